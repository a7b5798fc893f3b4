//! `demo`: a tour of the platform on a cluster of its own, chapter by chapter: up, a workflow, a Spark job, one that cannot run and
//! why, a sync, a change, a schedule, dashboards, and away again. It does what the other verbs do, on a copy of the manifests; how it
//! looks and who turns the page is the listener's.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;
use tinderbox_api::spark::ScheduledSparkApplication;
use tinderbox_api::workflows::WorkflowTemplate;
use tinderbox_client::wait;

use crate::apply;
use crate::cluster::Cluster;
use crate::dashboards;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::gitops;
use crate::inquire::{self, Inquiry};
use crate::manifest;
use crate::project::Project;
use crate::reaper;
use crate::run::{self, Outcome, What};
use crate::up::{self, whole_millis};

/// The cluster of the tour, and the verb that it is remembered by.
const NAME: &str = "demo";
/// Where the sample jobs are.
const JOBS: &str = "spark-jobs";
/// The application that is synced, and the template that it holds.
const SYNCED: &str = "hello-argo-workflow-template";
/// The job that asks for more than there is.
const BIG: &str = "too-big";
/// The part that brings Prometheus, and how long it may take until that has looked at what ran.
const MONITORING: &str = "monitoring";
const SCRAPES: Duration = Duration::from_secs(10);
/// How long a job may take, and anything else.
const PATIENCE: Duration = Duration::from_secs(300);

/// One chapter of the tour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chapter {
    /// Its title.
    pub title: &'static str,
    /// What happens in it, in a sentence or two.
    pub words: &'static str,
    /// The command that does it.
    pub command: &'static str,
}

/// The chapters; the last is never skipped.
pub const CHAPTERS: [Chapter; 9] = [
    Chapter {
        title: "A cluster",
        words: "A small Kubernetes starts in one process, and its controllers sync the platform from this working tree: \
            the Spark operator, workflows, GitOps. The link opens the console; keep it beside this terminal.",
        command: "cargo xtask up",
    },
    Chapter {
        title: "A workflow",
        words: "Four pods in the form of a diamond. Look at its graph in the console.",
        command: "cargo xtask run hello-argo-workflows",
    },
    Chapter {
        title: "A Spark job",
        words: "A SparkApplication as production has it: the operator makes the driver, the driver makes two executors, and all are \
            real pods with a real Spark. The console shows its timeline, its stages and its log.",
        command: "cargo xtask run hello-spark-operator",
    },
    Chapter {
        title: "A job that cannot run",
        words: "The same job asks for 64 processors, and waits. Why it does is told with what shows it and what to change.",
        command: "cargo xtask explain too-big",
    },
    Chapter {
        title: "A sync",
        words: "Somebody removes a workflow template from the cluster. It stands in the manifests, so a sync brings it back.",
        command: "cargo xtask sync hello-argo-workflow-template",
    },
    Chapter {
        title: "A change",
        words: "A number in the template's manifest is changed and saved. The tour has a copy of the manifests: yours stay as they are.",
        command: "cargo xtask sync --watch",
    },
    Chapter {
        title: "The nightly",
        words: "The report of the flights as a schedule, which runs every night while the cluster is up.",
        command: "cargo xtask run nightly-flights",
    },
    Chapter {
        title: "Dashboards",
        words: "A real Prometheus has scraped all of it meanwhile. The console draws the same dashboards that Grafana loads in production.",
        command: "cargo xtask dashboards check",
    },
    Chapter { title: "Away again", words: "No process, mount, network or file stays.", command: "cargo xtask down" },
];

/// What the listener wants of a chapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It shall happen.
    Go,
    /// The next one.
    Skip,
    /// Go to the last.
    End,
}

/// What a chapter came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Its title.
    pub title: &'static str,
    /// In one sentence; nothing where it was skipped.
    pub outcome: Option<String>,
    /// What was explained in it.
    pub inquiry: Option<Inquiry>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// The tour.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoReport {
    /// Its chapters.
    pub chapters: Vec<Told>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Gives the tour; `turn` is asked before each chapter but the last, and `told` hears what it came to. The cluster goes at the end,
/// however that comes about.
///
/// # Errors
/// When there is a cluster of that name already, or a chapter does not end as it should.
pub async fn demo(
    project: &Project,
    stop: impl Future<Output = ()>,
    turn: impl AsyncFnMut(usize, &Chapter) -> Turn,
    told: impl Fn(&Told),
    talk: &Talk,
) -> Result<DemoReport, Error> {
    let began = Instant::now();
    let copy =
        TempDir::with_prefix("tinderbox-tour-").map_err(Error::file("make a folder in", std::env::temp_dir()))?;
    // What is a part of a larger repository is named so by its sources, and stays where it is.
    let is_whole = project.repository() == project.root;
    let mut own = if is_whole { project.with_manifests_in(copy.path())? } else { project.clone() };
    // Without a Prometheus on this machine one would have to be fetched first.
    own.with = if which::which("prometheus").is_ok() { vec![MONITORING.to_owned()] } else { Vec::new() };
    NAME.clone_into(&mut own.cluster);
    // A port of the user's choice is their own cluster's.
    own.config.port = 0;
    let place = own.embedded(NAME)?;
    if tinderbox_providers::Provider::made_by(&place)?.is_some_and(|verb| verb != NAME) {
        return Err(Error::Usage {
            message: format!("there is a cluster called {NAME} that is no tour's"),
            hint: Some(format!("take it away with `cargo xtask down --name {NAME}`")),
        });
    }
    reaper::start(&own)?;
    let outcome = tokio::select! {
        outcome = chapters(&own, copy.path(), turn, &told, talk) => outcome,
        () = stop => Err(Error::Interrupted),
    };
    let since = Instant::now();
    talk.tell(Event::Step("taking the cluster away".to_owned()));
    let down = up::take_away(&own, &place).await;
    let mut chapters = outcome?;
    down?;
    let outcome = Some("the cluster is gone".to_owned());
    let last = Told {
        title: CHAPTERS[CHAPTERS.len() - 1].title,
        outcome,
        inquiry: None,
        took_ms: whole_millis(since.elapsed()),
    };
    told(&last);
    chapters.push(last);
    Ok(DemoReport { chapters, took_ms: whole_millis(began.elapsed()) })
}

async fn chapters(
    project: &Project,
    copy: &Path,
    mut turn: impl AsyncFnMut(usize, &Chapter) -> Turn,
    told: &impl Fn(&Told),
    talk: &Talk,
) -> Result<Vec<Told>, Error> {
    let (mut all, mut cluster, mut console) = (Vec::new(), None, String::new());
    for (number, chapter) in CHAPTERS[..CHAPTERS.len() - 1].iter().enumerate() {
        let wanted = turn(number, chapter).await;
        if wanted == Turn::End {
            break;
        }
        let since = Instant::now();
        let mut inquiry = None;
        let outcome = match (wanted, number, &cluster) {
            // Without a cluster there is nothing to see.
            (_, 0, _) => {
                let (report, up) = up::up(project, NAME, std::future::pending(), talk).await?;
                cluster = Some(up);
                console = report.console.unwrap_or_default();
                Some(format!("the console is at {console}"))
            }
            (Turn::Go, 1, Some(cluster)) => Some(ran(project, cluster, "hello-argo-workflows", talk).await?),
            (Turn::Go, 2, Some(cluster)) => Some(ran(project, cluster, "hello-spark-operator", talk).await?),
            (Turn::Go, 3, Some(cluster)) => {
                inquiry = Some(too_big(project, cluster, talk).await?);
                Some(format!("{BIG} waits for a node that has so many"))
            }
            (Turn::Go, 4, Some(cluster)) => Some(brought_back(project, cluster, talk).await?),
            (Turn::Go, 5, Some(cluster)) => Some(changed(project, cluster, copy).await?),
            (Turn::Go, 6, Some(cluster)) => Some(nightly(project, cluster, talk).await?),
            (Turn::Go, 7, Some(_)) => Some(drawn(project, &console, talk).await?),
            _ => None,
        };
        let one = Told { title: chapter.title, outcome, inquiry, took_ms: whole_millis(since.elapsed()) };
        told(&one);
        all.push(one);
    }
    Ok(all)
}

async fn ran(project: &Project, cluster: &Cluster, app: &str, talk: &Talk) -> Result<String, Error> {
    let path = project.target(app)?;
    let what = What { app, path: &path, at: None, parameters: &[], budget: PATIENCE };
    let report = run::run(project, cluster, what, std::future::pending(), talk).await?;
    match report.outcome {
        Outcome::Failed => Err(Error::Internal(format!("{app} failed"))),
        Outcome::Succeeded | Outcome::Applied => Ok(format!("{app} succeeded, with {} pods", report.pods.len())),
    }
}

/// Submits a job that no node can take, and asks why it waits.
async fn too_big(project: &Project, cluster: &Cluster, talk: &Talk) -> Result<Inquiry, Error> {
    let mut objects = manifest::load(&project.target("hello-spark-operator")?)?;
    for object in objects.iter_mut().filter(|object| object.value["kind"] == "SparkApplication") {
        object.value["metadata"]["name"] = json!(BIG);
        object.value["spec"]["driver"]["coreRequest"] = json!("64");
    }
    apply::in_order(&mut objects);
    apply::apply(cluster, &objects, JOBS, talk).await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), JOBS);
    let waits = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()).and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| one.type_ == "PodScheduled" && one.status == "False")
    };
    wait::object(pods, &format!("{BIG}-driver"), "the scheduler to look at the driver", PATIENCE, waits).await?;
    inquire::inquire_of(cluster, Some(BIG), Some(JOBS)).await
}

/// Removes what the manifests hold, and syncs.
async fn brought_back(project: &Project, cluster: &Cluster, talk: &Talk) -> Result<String, Error> {
    let templates: Api<WorkflowTemplate> = Api::namespaced(cluster.client.clone(), JOBS);
    let removed = templates.delete(SYNCED, &DeleteParams::default()).await;
    removed.map_err(Error::api(format!("remove the template {SYNCED}")))?;
    let report = gitops::sync(project, Some(SYNCED), talk).await?;
    if !report.is_good() {
        return Err(Error::Internal(format!("the sync of {SYNCED} failed")));
    }
    wait::object(templates, SYNCED, "the template to be back", PATIENCE, |found| found.is_some()).await?;
    Ok(format!("the template {SYNCED} is back"))
}

/// Changes the template's manifest, and waits until the cluster has the change.
async fn changed(project: &Project, cluster: &Cluster, copy: &Path) -> Result<String, Error> {
    if !project.root.starts_with(copy) {
        return Ok("nothing is changed, as this project is a part of a larger repository".to_owned());
    }
    let file = project.apps().join(SYNCED).join("template.yaml");
    let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let since = Instant::now();
    fs::write(&file, text.replace("value: \"10\"", "value: \"20\"")).map_err(Error::file("write", &file))?;
    let templates: Api<WorkflowTemplate> = Api::namespaced(cluster.client.clone(), JOBS);
    let has = |found: Option<&WorkflowTemplate>| {
        let mut parameters = found.iter().flat_map(|template| &template.spec.arguments.parameters);
        parameters.any(|one| one.name == "argument" && one.value.as_ref().is_some_and(|value| value.0 == "20"))
    };
    wait::object(templates, SYNCED, "the change to be in the cluster", PATIENCE, has).await?;
    Ok(format!("the cluster had the change {} ms after it was saved", since.elapsed().as_millis()))
}

/// Asks what the dashboards ask, where there is a Prometheus.
async fn drawn(project: &Project, console: &str, talk: &Talk) -> Result<String, Error> {
    if project.with.is_empty() {
        return Ok("there is no prometheus on this machine: `cargo xtask doctor` says how to get it".to_owned());
    }
    let report = dashboards::check(project, dashboards::PROMETHEUS, SCRAPES, talk).await?;
    let data = report.queries.iter().filter(|one| one.answer == dashboards::Answer::Data).count();
    Ok(format!("{data} queries of the dashboards have data: {console}#/dashboards"))
}

/// Applies the schedule, and tells when it is due.
async fn nightly(project: &Project, cluster: &Cluster, talk: &Talk) -> Result<String, Error> {
    let mut objects = manifest::load(&project.target("nightly-flights")?)?;
    apply::in_order(&mut objects);
    apply::apply(cluster, &objects, JOBS, talk).await?;
    let schedules: Api<ScheduledSparkApplication> = Api::namespaced(cluster.client.clone(), JOBS);
    let mut next = String::new();
    let planned = |found: Option<&ScheduledSparkApplication>| {
        let due = found.and_then(|one| one.status.as_ref()?.next_run.as_ref());
        next = due.map(|due| due.0.to_string()).unwrap_or_default();
        due.is_some()
    };
    wait::object(schedules, "nightly-flights", "the schedule to be read", PATIENCE, planned).await?;
    Ok(format!("nightly-flights runs next at {next}"))
}
