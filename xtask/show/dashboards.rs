//! What `dashboards` found and did, as text.

use tinderbox::dashboards::{Answer, DashboardsReport};
use tinderbox::grafana::ImportReport;

use super::table;

/// What has no data, and a line of sums.
pub(crate) fn dashboards(report: &DashboardsReport) -> String {
    let mut text = String::new();
    for fault in &report.faults {
        text.push_str(&format!("{fault}\n"));
    }
    let bad: Vec<_> =
        report.queries.iter().filter(|one| matches!(one.answer, Answer::Nothing | Answer::Failed)).collect();
    if !bad.is_empty() {
        let rows = bad.iter().map(|one| {
            let why = one.why.clone().unwrap_or_default();
            [one.dashboard.clone(), one.panel.clone(), why, one.query.clone()].to_vec()
        });
        text.push_str(&table(&["DASHBOARD", "PANEL", "WHY", "QUERY"], rows));
        text.push('\n');
    }
    let count = |answer: Answer| report.queries.iter().filter(|one| one.answer == answer).count();
    text.push_str(&format!(
        "{} queries: {} with data, {} without, {} failed, {} upstream only",
        report.queries.len(),
        count(Answer::Data),
        count(Answer::Nothing),
        count(Answer::Failed),
        count(Answer::UpstreamOnly),
    ));
    text
}

/// The table of dashboards that a Grafana took or not.
pub(crate) fn imported(report: &ImportReport) -> String {
    let rows = report.dashboards.iter().map(|one| {
        let version = one.version.map(|version| version.to_string()).unwrap_or_default();
        let what = one.why.clone().or_else(|| one.url.clone()).unwrap_or_default();
        let state = if one.why.is_none() { "imported" } else { "refused" };
        [one.title.clone(), state.to_owned(), version, what].to_vec()
    });
    table(&["DASHBOARD", "STATE", "VERSION", "URL"], rows)
}
