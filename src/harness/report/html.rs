//! The report as one HTML page that needs nothing else: styles inside, light and dark by the reader's choice, no script.

use std::fmt::Write as _;

use super::duration;
use crate::diagnose::Cause;
use crate::e2e::E2eReport;
use crate::explain::Explanation;
use crate::kin::PodReport;
use crate::scenario::{ScenarioReport, Verdict};

pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2430; --soft: #5b6675; --line: #dfe4ea; --card: #f6f8fa;
  --good: #17713c; --good-soft: #dcf3e4; --bad: #b3261e; --bad-soft: #fbe3e1; --bar: #3a6fb0; --wait: #b9c3cf; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --ink: #e6eaf0; --soft: #98a4b3; --line: #2b333e; --card: #1a2029;
  --good: #6fd393; --good-soft: #16331f; --bad: #ff8a80; --bad-soft: #3d1a18; --bar: #6aa0e0; --wait: #414c59; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 0; } h3 { font-size: .95rem; margin: 1.25rem 0 .4rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); }
section { border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.25rem; margin-top: 1.25rem; }
.head { display: flex; gap: .75rem; align-items: baseline; flex-wrap: wrap; } .head .time { margin-left: auto; }
.badge { border-radius: 999px; padding: .1rem .65rem; font-weight: 600; font-size: .85rem; }
.passed { background: var(--good-soft); color: var(--good); } .failed { background: var(--bad-soft); color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; color: var(--soft); font-weight: 500; } th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.mark { width: 1.5rem; font-weight: 700; } .yes { color: var(--good); } .no { color: var(--bad); }
code, pre { font: 13px/1.45 ui-monospace, monospace; } pre { background: var(--card); border-radius: 8px; padding: .75rem; overflow-x: auto; margin: .4rem 0; }
td code { overflow-wrap: anywhere; } td.brief { white-space: nowrap; }
.explain { border-left: 4px solid var(--bad); padding-left: 1rem; margin-top: 1.25rem; }
.phases { display: flex; gap: 1.5rem; flex-wrap: wrap; margin-top: .6rem; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; min-width: 34rem; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .axis { fill: var(--soft); }
";

/// The report as one page.
#[must_use]
pub fn html(report: &E2eReport) -> String {
    let passed = report.scenarios.iter().filter(|scenario| scenario.verdict == Verdict::Passed).count();
    let all = report.scenarios.len();
    let (class, word) = badge(passed == all);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>tinderbox e2e: {word}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>End to end</h1>\n\
         <p><span class=\"badge {class}\">{word}</span> {passed} of {all} scenarios in {}</p>\n\
         <p class=\"soft\">Cluster {} ({}{}), began {}; up in {}{}.</p>\n",
        duration(report.took_ms),
        escape(&report.cluster),
        report.provider,
        if report.own_cluster { ", its own" } else { "" },
        escape(&report.began),
        duration(report.up_ms),
        report.down_ms.map(|ms| format!(", gone in {}", duration(ms))).unwrap_or_default(),
    );
    for scenario in &report.scenarios {
        page.push_str(&section(scenario));
    }
    page.push_str("</body>\n</html>\n");
    page
}

pub(super) fn badge(passed: bool) -> (&'static str, &'static str) {
    if passed { ("passed", "passed") } else { ("failed", "failed") }
}

// Writing to a string cannot fail: the results are let go.
fn section(scenario: &ScenarioReport) -> String {
    let (class, word) = badge(scenario.verdict == Verdict::Passed);
    let mut out = format!(
        "<section id=\"{0}\">\n<div class=\"head\"><h2>{0}</h2><span class=\"badge {class}\">{word}</span><span class=\"time\">{1}</span></div>\n<p class=\"soft\">{2}</p>\n",
        escape(&scenario.name),
        duration(scenario.took_ms),
        escape(&scenario.description),
    );
    out.push_str("<div class=\"phases\">");
    for phase in &scenario.phases {
        let _ = write!(out, "<span><span class=\"soft\">{}</span> {}</span>", phase.name, duration(phase.took_ms));
    }
    out.push_str("</div>\n");
    if let Some(explanation) = &scenario.explanation {
        out.push_str(&explained(explanation));
    }
    out.push_str("<h3>Checks</h3>\n<div class=\"scroll\"><table>\n");
    for check in &scenario.checks {
        let (class, mark) = if check.passed { ("yes", "✓") } else { ("no", "✗") };
        let detail = check
            .detail
            .as_ref()
            .map(|detail| format!("<br><span class=\"soft\">{}</span>", escape(detail)))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "<tr><td class=\"mark {class}\" title=\"{}\">{mark}</td><td><code>{}</code>{detail}</td></tr>",
            if check.passed { "passed" } else { "failed" },
            escape(&check.what)
        );
    }
    out.push_str("</table></div>\n");
    if !scenario.pods.is_empty() {
        out.push_str("<h3>Pods</h3>\n<div class=\"scroll\">");
        out.push_str(&timeline(scenario));
        out.push_str("</div>\n<div class=\"scroll\"><table>\n<tr><th>Pod</th><th>Part</th><th>Phases</th><th>Containers</th></tr>\n");
        for pod in &scenario.pods {
            out.push_str(&pod_row(pod));
        }
        out.push_str("</table></div>\n");
    }
    for line in &scenario.timelines {
        let _ = writeln!(out, "<p>{}</p>", escape(&line.to_string()));
    }
    out.push_str("</section>\n");
    out
}

fn pod_row(pod: &PodReport) -> String {
    let phases: Vec<String> =
        pod.phases.iter().map(|entered| format!("{} at {}", escape(&entered.phase), duration(entered.at_ms))).collect();
    let containers: Vec<String> = pod
        .containers
        .iter()
        .map(|container| {
            let code = container.exit_code.map_or_else(|| "not ended".to_owned(), |code| format!("exit code {code}"));
            let reason = container.reason.as_ref().map(|reason| format!(" ({})", escape(reason))).unwrap_or_default();
            let ran = container.ran_ms.map(|ms| format!(" after {}", duration(ms))).unwrap_or_default();
            let again = if container.restarts > 0 {
                format!(", started again {} times", container.restarts)
            } else {
                String::new()
            };
            format!("{}: {code}{reason}{ran}{again}", escape(&container.name))
        })
        .collect();
    format!(
        "<tr><td><code>{}</code></td><td>{}</td><td class=\"brief\">{}{}</td><td class=\"brief\">{}</td></tr>\n",
        escape(&pod.name),
        format!("{:?}", pod.role).to_lowercase(),
        phases.join("<br>"),
        if pod.gone { "<br><span class=\"soft\">removed since</span>" } else { "" },
        containers.join("<br>"),
    )
}

/// The pods over the scenario's time: waiting, running, ended.
fn timeline(scenario: &ScenarioReport) -> String {
    let end = scenario.took_ms.max(1);
    let (left, width, row) = (280_u64, 700_u64, 24_u64);
    let height = row * (scenario.pods.len() as u64 + 1);
    let at = |ms: u64| left + ms.min(end) * width / end;
    let mut out = format!(
        "<svg viewBox=\"0 0 {} {height}\" role=\"img\" aria-label=\"When each pod waited and ran\">\n",
        left + width + 20
    );
    for (index, pod) in scenario.pods.iter().enumerate() {
        let y = row * index as u64;
        let name = if pod.name.chars().count() > 40 {
            let tail: String = pod.name.chars().skip(pod.name.chars().count() - 39).collect();
            format!("…{tail}")
        } else {
            pod.name.clone()
        };
        let _ =
            writeln!(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", left - 10, y + 16, escape(&name));
        for (number, entered) in pod.phases.iter().enumerate() {
            let color = match entered.phase.as_str() {
                "Running" => "var(--bar)",
                "Pending" => "var(--wait)",
                "Failed" => "var(--bad)",
                _ => continue,
            };
            let until = pod.phases.get(number + 1).map_or(end, |next| next.at_ms);
            let (from, to) =
                (at(entered.at_ms), at(if entered.phase == "Failed" { entered.at_ms + end / 100 } else { until }));
            let _ = writeln!(
                out,
                "<rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"14\" rx=\"3\" fill=\"{color}\"><title>{} from {}</title></rect>",
                y + 5,
                (to - from).max(2),
                escape(&entered.phase),
                duration(entered.at_ms)
            );
        }
    }
    let y = height - 6;
    let _ = writeln!(
        out,
        "<text class=\"axis\" x=\"{left}\" y=\"{y}\">0</text><text class=\"axis\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>",
        left + width,
        duration(end)
    );
    out.push_str("</svg>");
    out
}

fn explained(explanation: &Explanation) -> String {
    let mut out = format!("<div class=\"explain\"><p><strong>{}</strong></p>\n", escape(&explanation.summary));
    for (title, lines) in explanation.cause.iter().flat_map(Cause::parts) {
        let _ = writeln!(out, "<h3>{}</h3><pre>{}</pre>", capital(title), escape(&lines.join("\n")));
    }
    for (title, lines) in [("Conditions", &explanation.conditions), ("Events", &explanation.events)] {
        if !lines.is_empty() {
            let _ = writeln!(out, "<h3>{title}</h3><pre>{}</pre>", escape(&lines.join("\n")));
        }
    }
    for tail in &explanation.logs {
        let _ = writeln!(
            out,
            "<h3>Last lines of {} ({})</h3><pre>{}</pre>",
            escape(&tail.pod),
            escape(&tail.container),
            escape(&tail.lines.join("\n"))
        );
    }
    out.push_str("</div>\n");
    out
}

fn capital(word: &str) -> String {
    word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect()
}

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}
