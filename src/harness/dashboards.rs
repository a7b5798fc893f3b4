//! `dashboards check`: every query of every panel of the project's dashboards, and every alert without its threshold, asked of a
//! cluster's Prometheus. It goes through the API, as anybody may who only has a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::Value;
use tinderbox_api::monitoring::PrometheusRule;
use tinderbox_platform::monitoring::dashboards::{Dashboard, above, faults, fill, selectors};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::manifest;
use crate::project::Project;

/// How much of the past is asked for, in seconds: what a dashboard shows when it is opened.
const SHOWN: i64 = 1800;
/// Seconds between two points.
const STEP: i64 = 5;
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// Questions at a time.
const TOGETHER: usize = 8;
/// The annotation of an alert about what only upstream's parts tell.
const UPSTREAM_ONLY: &str = "upstream_only";

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
    let asked = Prometheus::of(Cluster::running(project).await?, prometheus)?;
    let deadline = Instant::now() + wait;
    talk.tell(Event::Step(format!("asking the Prometheus {prometheus}")));
    loop {
        let round = asked.round(&dashboards, &alerts).await;
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
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(Error::file("read", folder))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
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

/// An alert: its group, its name, what it compares, and whether only upstream's parts tell it.
struct Alert {
    group: String,
    name: String,
    query: String,
    upstream_only: bool,
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
                let upstream_only = rule.annotations.get(UPSTREAM_ONLY).is_some_and(|value| value == "true");
                alerts.push(Alert { group: group.name.clone(), name, query, upstream_only });
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

/// A Prometheus behind the API.
struct Prometheus {
    cluster: Cluster,
    namespace: String,
    service: String,
}

impl Prometheus {
    fn of(cluster: Cluster, service: &str) -> Result<Self, Error> {
        let Some((namespace, name)) = service.split_once('/') else {
            let message = format!("{service:?} is not of the form NAMESPACE/NAME:PORT");
            return Err(Error::Usage { message, hint: None });
        };
        Ok(Self { cluster, namespace: namespace.to_owned(), service: name.to_owned() })
    }

    async fn round(&self, dashboards: &[Dashboard], alerts: &[Alert]) -> Result<Vec<QueryReport>, Error> {
        let mut questions = Vec::new();
        for dashboard in dashboards {
            let chosen = self.choose(dashboard).await?;
            for panel in dashboard.all() {
                questions.extend(panel.targets.iter().map(|target| Question {
                    dashboard: dashboard.title.clone(),
                    panel: panel.title.clone(),
                    query: fill(&target.expr, &chosen).text,
                    upstream_only: panel.is_upstream_only(),
                }));
            }
        }
        questions.extend(alerts.iter().map(|alert| Question {
            dashboard: format!("alerts {}", alert.group),
            panel: alert.name.clone(),
            query: alert.query.clone(),
            upstream_only: alert.upstream_only,
        }));
        let asking = questions.into_iter().map(|question| self.ask(question));
        let answers: Vec<_> = stream::iter(asking).buffered(TOGETHER).collect().await;
        answers.into_iter().collect()
    }

    /// Values of a dashboard's variables: each is asked for with those before it filled in.
    async fn choose(&self, dashboard: &Dashboard) -> Result<std::collections::BTreeMap<String, String>, Error> {
        let mut known: Vec<((String, String), Vec<String>)> = Vec::new();
        loop {
            let mut missing = None;
            let chosen = dashboard.choose(|selector, label| {
                let key = (selector.to_owned(), label.to_owned());
                match known.iter().find(|(have, _)| *have == key) {
                    Some((_, values)) => values.clone(),
                    None => {
                        missing.get_or_insert(key);
                        Vec::new()
                    }
                }
            });
            let Some((selector, label)) = missing else { return Ok(chosen) };
            let query = form(&[("match[]", &selector)]);
            let values = self.get(&format!("/label/{label}/values?{query}")).await?;
            let values = values["data"].as_array().into_iter().flatten();
            let values = values.filter_map(|value| value.as_str().map(str::to_owned)).collect();
            known.push(((selector, label), values));
        }
    }

    async fn ask(&self, question: Question) -> Result<QueryReport, Error> {
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
            let found = self.range(&selector).await?;
            if !has_numbers(&found) {
                return Ok(report(Answer::Nothing, Some(format!("no series {selector}"))));
            }
        }
        let found = self.range(&query).await?;
        Ok(match found["status"].as_str() {
            Some("success") if has_numbers(&found) => report(Answer::Data, None),
            Some("success") => report(Answer::Nothing, Some("no number".to_owned())),
            _ => report(Answer::Failed, Some(found["error"].as_str().unwrap_or("no answer").to_owned())),
        })
    }

    async fn range(&self, query: &str) -> Result<Value, Error> {
        let end = jiff::Timestamp::now().as_second();
        let (start, end, step) = ((end - SHOWN).to_string(), end.to_string(), STEP.to_string());
        let asked = form(&[("query", query), ("start", &start), ("end", &end), ("step", &step)]);
        self.get(&format!("/query_range?{asked}")).await
    }

    async fn get(&self, rest: &str) -> Result<Value, Error> {
        match self.cluster.ask_service(&self.namespace, &self.service, &format!("/api/v1{rest}")).await {
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or_default()),
            // Prometheus' own refusal of a query.
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
                Ok(serde_json::json!({"status": "error", "error": status.message}))
            }
            Err(error) => Err(Error::api("ask Prometheus through the API")(error)),
        }
    }
}

/// Some point of some series is a number.
fn has_numbers(answer: &Value) -> bool {
    let series = answer["data"]["result"].as_array().into_iter().flatten();
    let mut points = series.flat_map(|one| one["values"].as_array().into_iter().flatten());
    points.any(|point| point[1].as_str().is_some_and(|text| text != "NaN"))
}

/// Parameters of a URL.
fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    #[test]
    fn numbers_are_what_counts() {
        let answer = |values: Value| json!({"status": "success", "data": {"result": [{"values": values}]}});
        assert!(has_numbers(&answer(json!([[1, "NaN"], [2, "0"]]))));
        assert!(!has_numbers(&answer(json!([[1, "NaN"]]))));
        assert!(!has_numbers(&json!({"status": "success", "data": {"result": []}})));
        assert_eq!(form(&[("query", "a{b=\"c\"}"), ("step", "5")]), "query=a%7Bb%3D%22c%22%7D&step=5");
    }
}
