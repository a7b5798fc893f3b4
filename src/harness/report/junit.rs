//! The report as JUnit XML: a suite per scenario, a case per check. What explains a failure is in its text.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::diagnose::Cause;
use crate::e2e::E2eReport;
use crate::error::Error;
use crate::explain::Explanation;
use crate::scenario::ScenarioReport;

/// The report as JUnit XML.
///
/// # Errors
/// When it cannot be encoded.
pub fn junit(report: &E2eReport) -> Result<String, Error> {
    let mut whole = Report::new("tinderbox e2e");
    whole.set_time(Duration::from_millis(report.took_ms));
    whole.add_test_suites(report.scenarios.iter().map(suite));
    whole.to_string().map_err(|error| Error::Internal(format!("the report is no XML: {error}")))
}

fn suite(scenario: &ScenarioReport) -> TestSuite {
    let mut suite = TestSuite::new(scenario.name.as_str());
    suite.set_time(Duration::from_millis(scenario.took_ms));
    for phase in &scenario.phases {
        suite.add_property((format!("phase.{}.ms", phase.name), phase.took_ms.to_string()));
    }
    for pod in &scenario.pods {
        let phases: Vec<&str> = pod.phases.iter().map(|entered| entered.phase.as_str()).collect();
        let codes: Vec<String> = pod
            .containers
            .iter()
            .map(|container| {
                format!(
                    "{}={}",
                    container.name,
                    container.exit_code.map_or_else(|| "none".to_owned(), |code| code.to_string())
                )
            })
            .collect();
        suite.add_property((
            format!("pod.{}", pod.name),
            format!("{}; exit codes {}", phases.join(" > "), codes.join(", ")),
        ));
    }
    for check in &scenario.checks {
        let status = if check.passed {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(check.detail.clone().unwrap_or_default());
            if let Some(explanation) = &scenario.explanation {
                status.set_description(text(explanation));
            }
            status
        };
        let mut case = TestCase::new(check.what.as_str(), status);
        case.set_classname(scenario.name.as_str());
        suite.add_test_case(case);
    }
    suite
}

/// An explanation as plain text.
#[must_use]
pub(crate) fn text(explanation: &Explanation) -> String {
    let mut out = explanation.summary.clone();
    for (title, lines) in explanation.cause.iter().flat_map(Cause::parts) {
        let _ = write!(out, "\n{title}:\n  {}", lines.join("\n  "));
    }
    for (title, lines) in [("conditions", &explanation.conditions), ("events", &explanation.events)] {
        if !lines.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{title}:\n  {}", lines.join("\n  "));
        }
    }
    for tail in &explanation.logs {
        let _ = write!(out, "\nlast lines of {} ({}):\n  {}", tail.pod, tail.container, tail.lines.join("\n  "));
    }
    out
}
