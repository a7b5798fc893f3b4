//! `up` and `down`: a cluster with its platform, and its removal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use tinderbox_providers::{Arrival, Down, Folder, Provider, ProviderName};

use crate::apply;
use crate::beside;
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
    /// The place that it is in.
    pub provider: ProviderName,
    /// How it came to be up.
    pub arrival: Arrival,
    /// URL of the API.
    pub server: String,
    /// URL under which Ingresses are reached.
    pub ingress: Option<String>,
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
    /// The place that it would be in.
    pub provider: ProviderName,
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
pub async fn plan(project: &Project) -> Result<UpPlan, Error> {
    let place = project.provider("up")?;
    let mut plan = place.plan().await?;
    for object in platform(project)? {
        plan.steps.push(format!("apply {}", object.name()));
    }
    Ok(UpPlan {
        cluster: project.cluster.clone(),
        provider: place.name(),
        folder: place.folder().path().to_owned(),
        found: plan.found.as_str(),
        steps: plan.steps,
    })
}

fn platform(project: &Project) -> Result<Vec<Object>, Error> {
    let mut objects = match project.platform() {
        Some(path) => manifest::load(&path)?,
        None => Vec::new(),
    };
    apply::in_order(&mut objects);
    Ok(objects)
}

/// Brings the cluster up and applies its platform, until `stop` ends; `verb` is remembered as what made it.
///
/// # Errors
/// When it cannot be brought up, or is stopped. What was new is taken away again.
pub async fn up(
    project: &Project,
    verb: &str,
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<(UpReport, Cluster), Error> {
    let mut stop = std::pin::pin!(stop);
    let began = Instant::now();
    // Broken files are found before anything is started.
    let objects = platform(project)?;
    let place = project.provider(verb)?;
    talk.tell(Event::Step(format!("starting cluster {}", project.cluster)));
    let said = talk.for_provider();
    let fresh = !place.folder().exists();
    let up = tokio::select! {
        up = place.up(&said) => Some(up?),
        () = &mut stop => None,
    };
    let Some(up) = up else {
        if fresh {
            take_away(&place).await?;
        }
        return Err(Error::Interrupted);
    };
    let applied = async {
        let cluster = Cluster::connect(&project.cluster, &up.endpoint.kubeconfig).await?;
        apply::apply(&cluster, &objects, "default", talk).await?;
        // A project without a platform has no accounts that one could act as.
        if let Some(platform) = beside::of(&place).filter(|_| !objects.is_empty()) {
            platform.start(&[]).await?;
        }
        Ok(cluster)
    };
    let applied = tokio::select! {
        applied = applied => applied,
        () = &mut stop => Err(Error::Interrupted),
    };
    let cluster = match applied {
        Ok(cluster) => cluster,
        Err(error) => {
            if up.arrival == Arrival::New {
                take_away(&place).await?;
            }
            return Err(error);
        }
    };
    let report = UpReport {
        cluster: project.cluster.clone(),
        provider: place.name(),
        arrival: up.arrival,
        server: up.endpoint.server,
        ingress: up.endpoint.ingress,
        kubeconfig: up.endpoint.kubeconfig,
        context: up.endpoint.context,
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
    /// There was something of it.
    pub existed: bool,
    /// A process ran, and was ended.
    pub stopped: bool,
    /// It did not end when asked, and was killed.
    pub killed: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl DownReport {
    fn new(cluster: String, down: &Down) -> Self {
        let Down { existed, stopped, killed, took } = *down;
        Self { cluster, existed, stopped, killed, took_ms: whole_millis(took) }
    }
}

/// Takes the cluster away, or every cluster of this project.
///
/// # Errors
/// When something stays.
pub async fn down(project: &Project, all: bool) -> Result<Vec<DownReport>, Error> {
    let names = if all { Folder::names(project.home())? } else { vec![project.cluster.clone()] };
    let (mut reports, mut failure) = (Vec::new(), None);
    for name in names {
        let mut project = project.clone();
        project.cluster.clone_from(&name);
        if all {
            project.asked = None;
        }
        match take_away(&project.provider("down")?).await {
            Ok(down) => reports.push(DownReport::new(name, &down)),
            // One that stays does not keep the others.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(reports), |error| Err(error.into()))
}

/// Takes a cluster away, the processes beside it first.
///
/// # Errors
/// When something stays.
pub(crate) async fn take_away(place: &impl Provider) -> Result<Down, Error> {
    if let Some(platform) = beside::of(place) {
        platform.stop().await?;
    }
    Ok(place.down().await?)
}

pub(crate) fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
