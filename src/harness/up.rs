//! `up` and `down`: a cluster with its platform, and its removal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use tinderbox_providers::{AnyProvider, Arrival, Down, Folder, Found, Provider, ProviderName, Scope, kind, merged};

use crate::apply;
use crate::beside;
use crate::claim::{self, Claim};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, ObjectName, Talk};
use crate::gitops;
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
    /// The link that opens the console.
    pub console: Option<String>,
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
    parts_belong(project, &place)?;
    let scope = place.scope()?;
    let mut plan = place.plan().await?;
    let Platform { objects, children, parts, .. } = platform(project, place.name(), &scope)?;
    match &place {
        AnyProvider::Existing(existing) => {
            let cluster = Cluster::with(&project.cluster, existing.client().await?);
            let owner = scope.owner.unwrap_or_default();
            for (name, claim) in claim::plan(&cluster, &objects, &owner).await? {
                plan.steps.push(match claim {
                    Claim::Make => format!("make {name}"),
                    Claim::Update => format!("bring {name} up to date"),
                    Claim::Leave => format!("leave {name} as it is: it is there already, and not ours"),
                });
            }
        }
        _ => {
            plan.steps.extend(objects.iter().map(|object| format!("apply {}", object.name())));
            plan.steps.extend(children.iter().map(|child| {
                let names: Vec<String> = child.objects.iter().map(|object| object.name().to_string()).collect();
                format!("sync application/{}: {}", child.name, names.join(", "))
            }));
            plan.steps.extend(parts.iter().map(|object| format!("apply {}", object.name())));
        }
    }
    if beside::of(&place).is_some() && !objects.is_empty() {
        plan.steps.push("start the process that runs the platform".to_owned());
    }
    Ok(UpPlan {
        cluster: project.cluster.clone(),
        provider: place.name(),
        folder: place.folder().path().to_owned(),
        found: plan.found.as_str(),
        steps: plan.steps,
    })
}

/// What `up` brings into a cluster.
#[derive(Default)]
pub(crate) struct Platform {
    /// What it applies itself.
    pub(crate) objects: Vec<Object>,
    /// The applications that bring the rest. In a cluster that is not ours there are none: whose each object is has to be seen there.
    pub(crate) children: Vec<gitops::Child>,
    /// Parts that were asked for beside it, which may stand upon what the applications bring.
    parts: Vec<Object>,
    /// Definitions of kinds that must be there already.
    definitions: Vec<String>,
}

impl Platform {
    /// The names of all that is brought.
    fn names(&self) -> Vec<ObjectName> {
        let synced = self.children.iter().flat_map(|child| &child.objects);
        self.objects.iter().chain(synced).chain(&self.parts).map(Object::name).collect()
    }
}

/// Parts are made for the local place: what they say of addresses holds nowhere else.
fn parts_belong(project: &Project, place: &AnyProvider) -> Result<(), Error> {
    if project.with.is_empty() || place.name() == ProviderName::Embedded {
        return Ok(());
    }
    let message = format!("--with {}: parts are of the local place alone", project.with.join(","));
    let hint = "docs/monitoring.md says how monitoring comes into other places".to_owned();
    Err(Error::Usage { message, hint: Some(hint) })
}

pub(crate) fn platform(project: &Project, place: ProviderName, scope: &Scope) -> Result<Platform, Error> {
    let Some(root) = project.platform(place) else { return Ok(Platform::default()) };
    let plan = gitops::expand(project, &root)?;
    let mut platform = match (&scope.owner, &scope.namespace) {
        (None, _) => {
            let mut parts = Vec::new();
            for part in project.parts()? {
                parts.extend(manifest::load(&part)?);
            }
            apply::in_order(&mut parts);
            Platform { objects: plan.root, children: plan.children, parts, definitions: Vec::new() }
        }
        (Some(_), None) => Platform { objects: plan.objects(), ..Platform::default() },
        (Some(_), Some(namespace)) => {
            let (objects, definitions) = claim::within(plan.objects(), namespace);
            Platform { objects, definitions, ..Platform::default() }
        }
    };
    apply::in_order(&mut platform.objects);
    Ok(platform)
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
    let place = project.provider(verb)?;
    parts_belong(project, &place)?;
    let scope = place.scope()?;
    let platform = platform(project, place.name(), &scope)?;
    let objects = &platform.objects;
    talk.tell(Event::Step(format!("starting cluster {}", project.cluster)));
    let said = talk.for_provider();
    let fresh = !place.folder().exists();
    let up = tokio::select! {
        up = place.up(&said) => Some(up?),
        () = &mut stop => None,
    };
    let Some(up) = up else {
        if fresh {
            take_away(project, &place).await?;
        }
        return Err(Error::Interrupted);
    };
    let applied = async {
        let mut cluster = Cluster::connect(&project.cluster, &up.endpoint.kubeconfig).await?;
        cluster.owner.clone_from(&scope.owner);
        match &scope.owner {
            Some(owner) => {
                claim::defined(&cluster, &platform.definitions).await?;
                claim::rights(&cluster, objects, scope.namespace.is_some()).await?;
                claim::apply(&cluster, objects, owner, talk).await?;
            }
            None => drop(apply::apply(&cluster, objects, "default", talk).await?),
        }
        // A project without a platform has no accounts that one could act as.
        if let Some(process) = beside::of(&place).filter(|_| !objects.is_empty()) {
            let limit = scope.namespace.iter().flat_map(|name| ["--namespace".to_owned(), name.clone()]);
            let tree = (!platform.children.is_empty()).then(|| project.root.display().to_string());
            let tree = tree.into_iter().flat_map(|root| ["--project".to_owned(), root]);
            // In one namespace there is nothing to choose, nor a right to look at labels of namespaces.
            let jobs = scope.namespace.is_none().then(|| beside::say(&project.config.spark_operator));
            process.start(&limit.chain(tree).chain(jobs.into_iter().flatten()).collect::<Vec<_>>()).await?;
        }
        if !platform.children.is_empty() {
            talk.tell(Event::Step("syncing the platform".to_owned()));
            gitops::settle(&cluster, &platform.children.iter().map(|child| child.name.clone()).collect()).await?;
        }
        apply::apply(&cluster, &platform.parts, "default", talk).await?;
        Ok(cluster)
    };
    let settled = async {
        up.settling.done().await?;
        Ok(began.elapsed())
    };
    let applied = tokio::select! {
        applied = async { tokio::try_join!(settled, applied) } => applied,
        () = &mut stop => Err(Error::Interrupted),
    };
    let (ready, cluster) = match applied {
        Ok(done) => done,
        Err(error) => {
            if up.arrival == Arrival::New {
                take_away(project, &place).await?;
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
        console: up.endpoint.console,
        kubeconfig: up.endpoint.kubeconfig,
        context: up.endpoint.context,
        pid: up.endpoint.pid,
        ready_ms: whole_millis(ready),
        took_ms: whole_millis(began.elapsed()),
        platform: platform.names(),
        notes: up.notes,
    };
    Ok((report, cluster))
}

/// Puts the cluster's context into the user's own kubeconfig, until `down`; a note says so.
///
/// # Errors
/// When that file cannot be changed, or has such a context of another cluster.
pub async fn merge(project: &Project, report: &mut UpReport) -> Result<(), Error> {
    let path = merged::put(&Folder::new(project.home(), &project.cluster)?).await?;
    report.notes.push(format!("the context {} is in {} too, until `down`", report.context, path.display()));
    Ok(())
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
    /// What stays, and why.
    pub notes: Vec<String>,
}

impl DownReport {
    fn new(cluster: String, down: &Down, notes: Vec<String>) -> Self {
        let Down { existed, stopped, killed, took } = *down;
        Self { cluster, existed, stopped, killed, took_ms: whole_millis(took), notes }
    }
}

/// Takes the cluster away, or every cluster of this project.
///
/// # Errors
/// When something stays.
pub async fn down(project: &Project, all: bool) -> Result<Vec<DownReport>, Error> {
    let began = Instant::now();
    let names = if all { Folder::names(project.home())? } else { vec![project.cluster.clone()] };
    let (mut reports, mut failure) = (Vec::new(), None);
    for name in names {
        let mut project = project.clone();
        project.cluster.clone_from(&name);
        if all {
            project.asked = None;
        }
        let taken = async { take_away(&project, &project.provider("down")?).await };
        match taken.await {
            Ok((down, notes)) => reports.push(DownReport::new(name, &down, notes)),
            // One that stays does not keep the others.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if all {
        // Without an engine nothing is left in one; a kubeconfig that cannot be read is told by `doctor`.
        let containers = kind::remove_orphans(project.home()).await.unwrap_or_default();
        let contexts = merged::remove_orphans().await.unwrap_or_default();
        let containers =
            containers.into_iter().map(|name| (format!("the container {name} was left without a folder"), name));
        let contexts =
            contexts.into_iter().map(|name| (format!("the context {name} was left in your kubeconfig"), name));
        for (note, name) in containers.chain(contexts) {
            let notes = vec![note];
            let took_ms = whole_millis(began.elapsed());
            reports.push(DownReport { cluster: name, existed: true, stopped: true, killed: false, took_ms, notes });
        }
    }
    failure.map_or(Ok(reports), Err)
}

/// Takes a cluster away, the processes beside it first; of somebody else's what we brought into it. Gives what stays, and why.
///
/// # Errors
/// When something stays that should not.
pub(crate) async fn take_away(project: &Project, place: &impl Provider) -> Result<(Down, Vec<String>), Error> {
    if let Some(platform) = beside::of(place) {
        platform.stop().await?;
    }
    merged::take_out(place.folder()).await?;
    let scope = place.scope()?;
    let mut notes = Vec::new();
    // Only there does it matter what is in the cluster, or whether it can be seen at all.
    if let Some(owner) = &scope.owner
        && let Found::Running(endpoint) = place.find().await?
    {
        let cluster = Cluster::connect(&project.cluster, &endpoint.kubeconfig).await?;
        notes = claim::remove(&cluster, &platform(project, place.name(), &scope)?.objects, owner).await?;
    }
    Ok((place.down().await?, notes))
}

pub(crate) fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
