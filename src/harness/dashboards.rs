//! `dashboards check`: every query of every panel of the project's dashboards, and every alert without its threshold, asked of a
//! cluster's Prometheus. It goes through the API, as anybody may who only has a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use serde::Serialize;
use tinderbox_api::monitoring::PrometheusRule;
pub use tinderbox_platform::monitoring::dashboards::PROMETHEUS;
use tinderbox_platform::monitoring::dashboards::{
    AskError, Dashboard, Prometheus, Series, Window, above, faults, fill, selectors,
};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::manifest;
use crate::project::Project;

/// How much of the past is asked for, in seconds: what a dashboard shows when it is opened.
const SHOWN: i64 = 1800;
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// Questions at a time.
const TOGETHER: usize = 8;

/// What was asked, and what came.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DashboardsReport {
    /// What is wrong with the dashboards and rules themselves.
    pub faults: Vec<String>,
    /// Every query.
    pub queries: Vec<QueryReport>,
}

impl DashboardsReport {
    /// Nothing is wrong, and everything has data that can have some here.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let answered = |one: &QueryReport| matches!(one.answer, Answer::Data | Answer::UpstreamOnly);
        self.faults.is_empty() && self.queries.iter().all(answered)
    }
}

/// One query.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryReport {
    /// The dashboard, or the group of an alert.
    pub dashboard: String,
    /// The panel or the alert.
    pub panel: String,
    /// What was asked, its variables filled in.
    pub query: String,
    /// What came.
    pub answer: Answer,
    /// Why there is no data: the selector that finds none, or what Prometheus says.
    pub why: Option<String>,
}

/// What came to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Numbers.
    Data,
    /// No number.
    Nothing,
    /// Prometheus refused it.
    Failed,
    /// It was not asked: only upstream's parts tell it.
    UpstreamOnly,
}

/// Asks until everything has data or `wait` is over.
///
/// # Errors
/// When the cluster is not up, or the files cannot be read, or there is no Prometheus there.
pub async fn check(
    project: &Project,
    prometheus: &str,
    wait: Duration,
    talk: &Talk,
) -> Result<DashboardsReport, Error> {
    let folder = project.root.join("manifests/platform/monitoring");
    let (mut wrong, dashboards) = read(&folder.join("dashboards"))?;
    let alerts = alerts(&folder.join("rules.yaml"))?;
    let asked = Prometheus::of(Cluster::running(project).await?.client, prometheus).ok_or_else(|| {
        let message = format!("{prometheus:?} is not of the form NAMESPACE/NAME:PORT");
        Error::Usage { message, hint: None }
    })?;
    let deadline = Instant::now() + wait;
    talk.tell(Event::Step(format!("asking the Prometheus {prometheus}")));
    loop {
        let round = round(&asked, &dashboards, &alerts).await;
        let last = Instant::now() + PAUSE >= deadline;
        match round {
            Ok(queries) => {
                let mut report = DashboardsReport { faults: Vec::new(), queries };
                if report.is_good() || last {
                    report.faults.append(&mut wrong);
                    return Ok(report);
                }
            }
            Err(error) if last => return Err(error),
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The dashboards of a folder, and what is wrong with them.
fn read(folder: &Path) -> Result<(Vec<String>, Vec<Dashboard>), Error> {
    let paths = manifest::files_in(folder, &["json"]).map_err(Error::file("read", folder))?;
    let (mut wrong, mut dashboards) = (Vec::new(), Vec::new());
    for path in paths {
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        match Dashboard::read(&text) {
            Ok(dashboard) => {
                wrong.extend(faults(&dashboard));
                dashboards.push(dashboard);
            }
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
        }
    }
    Ok((wrong, dashboards))
}

/// An alert: its group, its name, and what it compares.
struct Alert {
    group: String,
    name: String,
    query: String,
}

fn alerts(path: &Path) -> Result<Vec<Alert>, Error> {
    let mut alerts = Vec::new();
    for object in manifest::load(path)? {
        let unreadable = |message: String| Error::Document { place: path.display().to_string(), message };
        let rule: PrometheusRule =
            serde_json::from_value(object.value.clone()).map_err(|error| unreadable(error.to_string()))?;
        for group in &rule.spec.groups {
            for rule in &group.rules {
                let name = rule.alert.clone().or_else(|| rule.record.clone()).unwrap_or_default();
                let query =
                    above(&rule.expression()).map_err(|why| unreadable(format!("{}: {name}: {why}", group.name)))?;
                alerts.push(Alert { group: group.name.clone(), name, query });
            }
        }
    }
    Ok(alerts)
}

/// A question: where it stands, and what is asked.
struct Question {
    dashboard: String,
    panel: String,
    query: String,
    upstream_only: bool,
}

/// Asks everything once.
async fn round(prometheus: &Prometheus, dashboards: &[Dashboard], alerts: &[Alert]) -> Result<Vec<QueryReport>, Error> {
    let window = Window::last(SHOWN, jiff::Timestamp::now().as_second());
    let mut questions = Vec::new();
    for dashboard in dashboards {
        let choice = prometheus.choose(dashboard, &BTreeMap::new(), window).await.map_err(unanswered)?;
        for panel in dashboard.all() {
            questions.extend(panel.targets.iter().map(|target| Question {
                dashboard: dashboard.title.clone(),
                panel: panel.title.clone(),
                query: fill(&target.expr, &choice.values).text,
                upstream_only: panel.is_upstream_only(),
            }));
        }
    }
    questions.extend(alerts.iter().map(|alert| Question {
        dashboard: format!("alerts {}", alert.group),
        panel: alert.name.clone(),
        query: alert.query.clone(),
        upstream_only: false,
    }));
    let asking = questions.into_iter().map(|question| ask(prometheus, window, question));
    let answers: Vec<_> = stream::iter(asking).buffered(TOGETHER).collect().await;
    answers.into_iter().collect()
}

async fn ask(prometheus: &Prometheus, window: Window, question: Question) -> Result<QueryReport, Error> {
    let Question { dashboard, panel, query, upstream_only } = question;
    let report = |answer, why| QueryReport { dashboard, panel, query: query.clone(), answer, why };
    if upstream_only {
        return Ok(report(Answer::UpstreamOnly, None));
    }
    let inside = match selectors(&query) {
        Ok(inside) => inside,
        Err(why) => return Ok(report(Answer::Failed, Some(why))),
    };
    // What finds nothing is told first: `or vector(0)` hides it in the whole.
    for selector in inside {
        let found = prometheus.range(&selector, window).await.map_err(unanswered)?;
        if !found.iter().any(Series::has_numbers) {
            return Ok(report(Answer::Nothing, Some(format!("no series {selector}"))));
        }
    }
    match prometheus.range(&query, window).await {
        Ok(found) if found.iter().any(Series::has_numbers) => Ok(report(Answer::Data, None)),
        Ok(_) => Ok(report(Answer::Nothing, Some("no number".to_owned()))),
        Err(AskError::Refused(why) | AskError::NoAnswer(why)) => Ok(report(Answer::Failed, Some(why))),
        Err(error) => Err(unanswered(error)),
    }
}

fn unanswered(error: AskError) -> Error {
    let act = "ask Prometheus through the API";
    match error {
        AskError::Unreachable(error) => Error::api(act)(error),
        other => Error::Api { act: act.to_owned(), source: Box::new(other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_dashboards_and_alerts_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/platform/monitoring");
        let (wrong, dashboards) = read(&folder.join("dashboards")).unwrap();
        assert_eq!(wrong, Vec::<String>::new());
        let titles: Vec<&str> = dashboards.iter().map(|one| one.title.as_str()).collect();
        assert_eq!(titles, ["Argo Workflow", "ArgoCD", "Spark Applications", "Spark Operator"]);
        let alerts = alerts(&folder.join("rules.yaml")).unwrap();
        assert!(alerts.iter().any(|one| one.name == "SparkApplicationFailed" && !one.query.contains('>')));
        assert!(alerts.iter().all(|one| selectors(&one.query).is_ok_and(|inside| !inside.is_empty())));
    }
}
