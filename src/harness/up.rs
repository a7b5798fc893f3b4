//! `up` and `down`: a cluster with its platform, and its removal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use tinderbox_providers::embedded::{self, Embedded};
use tinderbox_providers::{Arrival, Down, Found, Provider as _};

use crate::apply;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, ObjectName, Talk};
use crate::manifest::{self, Object};
use crate::project::Project;

/// A cluster that is up.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpReport {
    /// Its name.
    pub cluster: String,
    /// How it came to be up.
    pub arrival: Arrival,
    /// URL of the API.
    pub server: String,
    /// The administrator's credentials.
    pub kubeconfig: PathBuf,
    /// Its context in that file.
    pub context: String,
    /// The node process.
    pub pid: Option<i32>,
    /// Until API and node were ready, in milliseconds.
    pub ready_ms: u64,
    /// Until the platform was applied too, in milliseconds.
    pub took_ms: u64,
    /// What was applied.
    pub platform: Vec<ObjectName>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What `up` would do.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpPlan {
    /// The cluster's name.
    pub cluster: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What there is of it: `nothing`, `stopped`, `starting` or `running`.
    pub found: &'static str,
    /// What would be done, in order.
    pub steps: Vec<String>,
}

/// What `up` would do, without doing it.
///
/// # Errors
/// When the state or the manifests cannot be read.
pub fn plan(project: &Project) -> Result<UpPlan, Error> {
    let place = project.embedded("up")?;
    let mut steps = Vec::new();
    let found = match place.find()? {
        Found::Nothing => {
            steps.push(format!("make {} with keys and an empty store", place.folder().path().display()));
            steps.push("start the node process".to_owned());
            "nothing"
        }
        Found::Stopped => {
            steps.push(format!("start the node process on what is in {}", place.folder().path().display()));
            "stopped"
        }
        Found::Starting => {
            steps.push("wait for the other command that is starting it".to_owned());
            "starting"
        }
        Found::Running(_) => "running",
    };
    for object in platform(project)? {
        steps.push(format!("apply {}", object.name()));
    }
    Ok(UpPlan { cluster: project.cluster.clone(), folder: place.folder().path().to_owned(), found, steps })
}

fn platform(project: &Project) -> Result<Vec<Object>, Error> {
    let mut objects = match project.platform() {
        Some(path) => manifest::load(&path)?,
        None => Vec::new(),
    };
    apply::in_order(&mut objects);
    Ok(objects)
}

/// Brings the cluster up and applies its platform; `verb` is remembered as what made it.
///
/// # Errors
/// When it cannot be brought up. What was new is taken away again.
pub async fn up(project: &Project, verb: &str, talk: &Talk) -> Result<(UpReport, Cluster), Error> {
    let began = Instant::now();
    // Broken files are found before anything is started.
    let objects = platform(project)?;
    let place = project.embedded(verb)?;
    talk.tell(Event::Step(format!("starting cluster {}", project.cluster)));
    let up = place.up(&talk.for_provider()).await?;
    let applied = async {
        let cluster = Cluster::connect(&project.cluster, &up.endpoint.kubeconfig).await?;
        apply::apply(&cluster, &objects, "default", talk).await?;
        Ok(cluster)
    };
    let cluster = match applied.await {
        Ok(cluster) => cluster,
        Err(error) => {
            if up.arrival == Arrival::New {
                place.down().await?;
            }
            return Err(error);
        }
    };
    let report = UpReport {
        cluster: project.cluster.clone(),
        arrival: up.arrival,
        server: up.endpoint.server,
        kubeconfig: up.endpoint.kubeconfig,
        context: embedded::context(&project.cluster),
        pid: up.endpoint.pid,
        ready_ms: whole_millis(up.took),
        took_ms: whole_millis(began.elapsed()),
        platform: objects.iter().map(Object::name).collect(),
        notes: up.notes,
    };
    Ok((report, cluster))
}

/// One cluster that was taken away.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DownReport {
    /// Its name.
    pub cluster: String,
    /// What was taken away.
    #[serde(flatten)]
    pub down: Down,
}

/// Takes the cluster away, or every cluster of this project.
///
/// # Errors
/// When something stays.
pub async fn down(project: &Project, all: bool) -> Result<Vec<DownReport>, Error> {
    let names = if all { Embedded::names(project.home())? } else { vec![project.cluster.clone()] };
    let mut reports = Vec::new();
    for name in names {
        let mut project = project.clone();
        project.cluster.clone_from(&name);
        let down = project.embedded("down")?.down().await?;
        reports.push(DownReport { cluster: name, down });
    }
    Ok(reports)
}

pub(crate) fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
