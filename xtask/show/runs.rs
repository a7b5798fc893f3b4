//! What is printed of runs: pods, steps, verdicts and what explains them.

use tinderbox::diagnose::Cause;
use tinderbox::e2e::{E2eReport, EverywhereReport};
use tinderbox::explain::Explanation;
use tinderbox::inquire::{Inquiry, Told};
use tinderbox::kin::PodReport;
use tinderbox::parity::{Difference, Parity};
use tinderbox::report::duration;
use tinderbox::run::{Outcome, RunReport};
use tinderbox::scenario::Verdict;

use super::table;

/// Pods with phases and exit codes.
pub(crate) fn pods(pods: &[PodReport]) -> String {
    table(
        &["POD", "PART", "PHASES", "EXIT CODES"],
        pods.iter().map(|pod| {
            let phases: Vec<String> =
                pod.phases.iter().map(|entered| format!("{} {}", entered.phase, duration(entered.at_ms))).collect();
            let codes: Vec<String> = pod
                .containers
                .iter()
                .map(|container| {
                    let code = container.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
                    format!("{}={code}", container.name)
                })
                .collect();
            vec![pod.name.clone(), format!("{:?}", pod.role).to_lowercase(), phases.join(", "), codes.join(" ")]
        }),
    )
}

/// What explains a failure.
pub(crate) fn explanation(explanation: &Explanation) -> String {
    let mut text = format!("why: {}", explanation.summary);
    text.extend(explanation.cause.iter().map(|why| format!("\n{}", cause(why))));
    for (title, lines) in [("conditions", &explanation.conditions), ("events", &explanation.events)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}:\n  {}", lines.join("\n  ")));
        }
    }
    for tail in &explanation.logs {
        text.push_str(&format!("\nlast lines of {} ({}):\n  {}", tail.pod, tail.container, tail.lines.join("\n  ")));
    }
    text
}

/// A cause, what shows it, and what to change.
fn cause(cause: &Cause) -> String {
    let part = |(title, lines): (&str, Vec<String>)| format!("{title}:\n  {}", lines.join("\n  "));
    cause.parts().into_iter().map(part).collect::<Vec<_>>().join("\n")
}

/// What is not well, and why.
pub(crate) fn inquiry(report: &Inquiry) -> String {
    let Inquiry { cluster, subjects } = report;
    if subjects.is_empty() {
        return format!("cluster {cluster}: there is nothing that waits or failed");
    }
    let told = subjects.iter().map(|Told { name, state, cause: why }| {
        let state = state.as_deref().map(|state| format!(": {state}")).unwrap_or_default();
        let place = if name.namespace.is_empty() { String::new() } else { format!(" in {}", name.namespace) };
        let why = why.as_ref().map_or_else(|| "nothing is wrong with it".to_owned(), cause);
        format!("{name}{place}{state}\n{}", indent(&why))
    });
    told.collect::<Vec<_>>().join("\n\n")
}

/// What became of a run.
pub(crate) fn run(report: &RunReport) -> String {
    let word = match report.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "FAILED",
        Outcome::Applied => "is applied",
    };
    let mut text = String::new();
    if !report.pods.is_empty() {
        text.push_str(&pods(&report.pods));
        text.push('\n');
    }
    for line in &report.timelines {
        text.push_str(&format!("{line}\n"));
    }
    for link in &report.links {
        text.push_str(&format!("history: {link}\n"));
    }
    text.push_str(&format!("{} {word} in {}", report.app, duration(report.took_ms)));
    if let Some(why) = &report.explanation {
        text.push('\n');
        text.push_str(&explanation(why));
    }
    text
}

/// The scenarios of several places, and how these compare.
pub(crate) fn everywhere(report: &EverywhereReport) -> String {
    let mut text = String::new();
    for place in &report.places {
        text.push_str(&format!("== {}\n{}\n\n", place.provider, e2e(place)));
    }
    let Parity { places, scenarios } = &report.parity;
    let mut head = vec!["SCENARIO"];
    head.extend(places.iter().map(|place| place.as_str()));
    head.push("DIFFERENCES");
    let head: Vec<String> = head.into_iter().map(str::to_uppercase).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    text.push_str(&table(
        &head,
        scenarios.iter().map(|row| {
            let mut cells = vec![row.scenario.clone()];
            cells.extend(row.results.iter().map(|result| match result {
                Some((Verdict::Passed, ms)) => duration(*ms),
                Some((Verdict::Failed, _)) => "FAILED".to_owned(),
                None => "did not run".to_owned(),
            }));
            let unknown = row.differences.iter().filter(|difference| difference.because.is_none()).count();
            cells.push(match (row.differences.len(), unknown) {
                (0, _) => "none".to_owned(),
                (all, 0) => format!("{all} listed"),
                (all, unknown) => format!("{} listed, {unknown} UNKNOWN", all - unknown),
            });
            cells
        }),
    ));
    for (scenario, difference) in report.parity.faults() {
        let Difference { object, aspect, value, only_in, .. } = difference;
        let object = if object.is_empty() { String::new() } else { format!(" of {object}") };
        text.push_str(&format!("\n{scenario}: {aspect}{object}: only in {only_in}: {value}"));
    }
    text
}

/// The scenarios and what they came to.
pub(crate) fn e2e(report: &E2eReport) -> String {
    let mut text = String::new();
    for scenario in &report.scenarios {
        let checks = scenario.checks.iter().filter(|check| check.passed).count();
        text.push_str(&format!(
            "{}: {} ({checks} of {} checks, {})\n",
            scenario.name,
            if scenario.verdict == Verdict::Passed { "passed" } else { "FAILED" },
            scenario.checks.len(),
            scenario
                .phases
                .iter()
                .map(|phase| format!("{} {}", phase.name, duration(phase.took_ms)))
                .collect::<Vec<_>>()
                .join(", "),
        ));
        for check in scenario.checks.iter().filter(|check| !check.passed) {
            text.push_str(&format!("  failed: {}: {}\n", check.what, check.detail.as_deref().unwrap_or_default()));
        }
        if !scenario.pods.is_empty() {
            text.push_str(&indent(&pods(&scenario.pods)));
            text.push('\n');
        }
        for line in &scenario.timelines {
            text.push_str(&format!("  {line}\n"));
        }
        if let Some(why) = &scenario.explanation {
            text.push_str(&indent(&explanation(why)));
            text.push('\n');
        }
        text.push('\n');
    }
    text.push_str(&table(
        &["SCENARIO", "RESULT", "TIME", "PODS"],
        report.scenarios.iter().map(|scenario| {
            let word = if scenario.verdict == Verdict::Passed { "passed" } else { "FAILED" };
            vec![scenario.name.clone(), word.to_owned(), duration(scenario.took_ms), scenario.pods.len().to_string()]
        }),
    ));
    let down = report.down_ms.map(|ms| format!(", down {}", duration(ms))).unwrap_or_default();
    text.push_str(&format!("\n\nup {}{down}, all together {}", duration(report.up_ms), duration(report.took_ms)));
    text
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
