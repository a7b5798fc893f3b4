//! Applications and their sets: the loops that generate, render, compare, sync and report. What is to be done is decided in [`crate::sync`] and
//! [`crate::compare`], and by nobody else.

mod act;
mod desired;
mod kinds;
mod metrics;
mod observe;
mod operate;
mod remove;
mod report;
mod sets;
mod sources;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ListParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt};
use serde_json::Value;
use tinderbox_api::gitops::{AppProject, AppProjectSpec, Application, ProjectDestination, ResourceKind, marks};
use tinderbox_client::clock::after;
use tinderbox_client::metrics::Registry;
use tinderbox_client::patch::diff;
use tinderbox_client::plan::encode;
use tinderbox_client::runner::{Action, see_out};
use tinderbox_client::{Applier, Cache, Caches, Change, Clock, ObjectKey, Recorder, Result, Runner, Step};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use sources::{Local, Rendered, Sources};

use crate::compare;
use crate::project;
use crate::sync::auto::{Auto, decide};
use crate::sync::{Key, Operation, window};
use kinds::Kinds;
use metrics::Metrics;

/// Applications that are looked at side by side.
const CONCURRENCY: usize = 8;
/// The longest time between two looks at an application.
const REFRESH: Duration = Duration::from_secs(120);
/// The cluster that the controller runs for, by URL and by name.
const OWN_CLUSTER: [&str; 2] = ["https://kubernetes.default.svc", "in-cluster"];

/// What the controller has to be told.
#[derive(Clone)]
pub struct Config {
    /// Where the time comes from.
    pub clock: Clock,
    /// Where objects come from.
    pub sources: Arc<dyn Sources>,
    /// The namespace that applications and projects stand in.
    pub namespace: String,
    /// Where it is counted what is done.
    pub metrics: Registry,
}

/// How long until it is looked again whether the kinds of applications are there: at first, and at last.
const LOOK: [Duration; 2] = [Duration::from_millis(25), Duration::from_secs(2)];

/// What the loop works with.
#[derive(Clone)]
struct Context {
    apps: Cache<Application>,
    projects: Cache<AppProject>,
    kinds: Kinds,
    applier: Applier,
    sources: Arc<dyn Sources>,
    clock: Clock,
    namespace: String,
    metrics: Metrics,
    memory: Arc<Mutex<HashMap<Key, Compared>>>,
}

/// What a comparison came to.
struct Compared {
    print: observe::Print,
    content: u64,
    modified: bool,
}

/// Starts the controller; it runs on `tracker` until `token` is cancelled.
pub fn spawn(client: &Client, config: Config, tracker: &TaskTracker, token: &CancellationToken) {
    let (client, spawned, stop) = (metrics::client(client, &config.metrics), tracker.clone(), token.clone());
    tracker.spawn(async move {
        tokio::select! {
            () = served(&client, &config) => (),
            () = stop.cancelled() => return,
        }
        let caches = Caches::within(Some(config.namespace.clone()), client.clone(), spawned.clone(), stop.clone());
        let recorder = Recorder::new(client, marks::MANAGER, config.clock.clone(), &spawned, stop.clone());
        let applier = Applier::new(caches.clone(), recorder, marks::MANAGER);
        let running = run(caches, applier, config, spawned, stop.clone());
        see_out(marks::MANAGER, "Application", running, stop).await;
    });
}

/// Returns when the kinds of applications can be listed. They come with the platform, and soon: it is looked often at first.
async fn served(client: &Client, config: &Config) {
    let one = ListParams::default().limit(1);
    let [mut pause, longest] = LOOK;
    loop {
        let apps: Api<Application> = Api::namespaced(client.clone(), &config.namespace);
        let projects: Api<AppProject> = Api::namespaced(client.clone(), &config.namespace);
        if apps.list(&one).await.is_ok() && projects.list(&one).await.is_ok() {
            return;
        }
        config.clock.sleep(pause).await;
        pause = (pause * 9 / 8).min(longest);
    }
}

async fn run(
    caches: Caches,
    applier: Applier,
    config: Config,
    tracker: TaskTracker,
    token: CancellationToken,
) -> Result<()> {
    let metrics = Metrics::new(&config.metrics);
    let queue = metrics.queue(config.clock.clone());
    let (marked, namespace) = (queue.clone(), config.namespace.clone());
    let handler = move |change: &Change<'_, DynamicObject>| {
        for object in [change.old, change.new].into_iter().flatten() {
            let id = object.metadata.annotations.as_ref().and_then(|all| all.get(marks::TRACKING_ID));
            if let Some((app, _)) = id.and_then(|id| id.split_once(':')) {
                marked.add(ObjectKey::new(&namespace, app));
            }
        }
    };
    sets::start(&caches, &applier, &config, &tracker, &token);
    let kinds = Kinds::new(caches.client().clone(), Arc::new(handler), tracker.clone(), token.clone());
    let context = Context {
        apps: caches.get_within(),
        projects: caches.get_within(),
        kinds,
        applier,
        sources: config.sources.clone(),
        clock: config.clock.clone(),
        namespace: config.namespace,
        metrics,
        memory: Arc::default(),
    };
    let marked = queue.clone();
    context.apps.subscribe(move |change| marked.add(change.key()));
    let (marked, apps) = (queue.clone(), context.apps.clone());
    context.projects.subscribe(move |change| {
        let project = change.key().name;
        apps.list().iter().filter(|app| project_of(app) == project).for_each(|app| marked.add(ObjectKey::of(&**app)));
    });
    let (marked, apps, stop) = (queue.clone(), context.apps.clone(), token.clone());
    let mut changes = config.sources.changes();
    tracker.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
            apps.list().iter().for_each(|app| marked.add(ObjectKey::of(&**app)));
        }
    });
    context.apps.synced().await?;
    context.projects.synced().await?;
    context.metrics.follow(&context.apps);
    match caches.client().apiserver_version().await {
        Ok(version) => context.metrics.cluster(&context.kinds, format!("{}.{}", version.major, version.minor)),
        Err(error) => tracing::warn!(%error, "the version of the API is not told"),
    }
    let runner = Runner { name: "applications", queue, concurrency: CONCURRENCY, token };
    runner.run(move |key| reconcile(key, context.clone())).await;
    Ok(())
}

fn project_of(app: &Application) -> &str {
    if app.spec.project.is_empty() { "default" } else { &app.spec.project }
}

async fn reconcile(key: ObjectKey, context: Context) -> Result<Action> {
    let Some(app) = context.apps.get(&key) else { return Ok(Action::Done) };
    let annotation = |key: &str| app.annotations().get(key).map(String::as_str);
    if annotation(marks::SKIP_RECONCILE) == Some("true") {
        return Ok(Action::Done);
    }
    let now = context.clock.now();
    if app.metadata.deletion_timestamp.is_some() {
        remove::remove(&context, &app, now).await?;
        return Ok(Action::Done);
    }
    let begun = Instant::now();
    let mut new = (*app).clone();
    if let Some(annotations) = &mut new.metadata.annotations {
        annotations.remove(marks::REFRESH);
    }
    // What was asked for is taken over before anything is done for it.
    if let Some(note) = operate::begin(&mut new, now) {
        context.write(&app, &new, true).await?;
        context.applier.recorder().publish(note);
        return Ok(Action::At(now));
    }
    let (notes, again) = match context.project(&app).map_or_else(Err, |project| Ok((valid(&project, &app), project))) {
        Err(wrong) => (give_up(&mut new, "InvalidSpecError", vec![wrong], now), None),
        Ok((wrong, _)) if !wrong.is_empty() => (give_up(&mut new, "InvalidSpecError", wrong, now), None),
        Ok((_, project)) => match observe::source_of(&app) {
            Err(wrong) => (give_up(&mut new, "InvalidSpecError", vec![wrong], now), None),
            Ok(source) => match observe::view(&context, &app, source, String::new()).await? {
                Err(wrong) => (give_up(&mut new, "ComparisonError", vec![wrong], now), None),
                Ok(view) => proceed(&context, &mut new, &project, &view, now).await?,
            },
        },
    };
    let refreshed = annotation(marks::REFRESH).is_some();
    let changed = encode(&*app) != encode(&new);
    if changed || refreshed {
        new.status.get_or_insert_default().reconciled_at = Some(Time(now));
        context.write(&app, &new, false).await?;
    }
    for note in notes {
        context.applier.recorder().publish(note);
    }
    context.metrics.compared(&app, begun.elapsed());
    let look = after(now, REFRESH);
    Ok(Action::At(again.map_or(look, |again: jiff::Timestamp| again.min(look))))
}

/// Nothing can be said of the application, and an operation that is under way comes to its end.
fn give_up(
    app: &mut Application,
    of: &'static str,
    wrong: Vec<String>,
    now: jiff::Timestamp,
) -> Vec<tinderbox_client::Note> {
    let status = app.status.get_or_insert_default();
    if let Some(state) = status.operation_state.as_mut().filter(|state| Operation::is_open(&state.phase)) {
        Operation::Error.as_str().clone_into(&mut state.phase);
        state.message = wrong.join("; ");
        state.finished_at = Some(Time(now));
    }
    report::unknown(app, of, wrong, now)
}

/// Reports what was seen, and carries on what is under way, or begins what is due.
async fn proceed(
    context: &Context,
    app: &mut Application,
    project: &AppProject,
    view: &observe::View,
    now: jiff::Timestamp,
) -> Result<(Vec<tinderbox_client::Note>, Option<jiff::Timestamp>)> {
    let mut notes = report::seen(app, view, now);
    let step = operate::carry_on(context, app, project, view, now).await?;
    notes.extend(step.notes);
    let mut again = step.again;
    let status = app.status.clone().unwrap_or_default();
    let targets = view.pairs.iter().filter(|pair| pair.target.is_some()).count();
    match decide(app, &status.sync.status, &view.revision, &status.resources, targets, now) {
        Auto::No(why) => {
            tracing::debug!(application = app.name_any(), why, "no sync of its own");
            if status.sync.status == compare::SYNCED {
                report::clear(app, "SyncError");
            }
        }
        Auto::Later(at) => again = Some(again.map_or(at, |again| again.min(at))),
        Auto::Refused(why) => report::set(app, "SyncError", why, now),
        Auto::Sync(operation) => match window::allows(&project.spec.sync_windows, app, false, now) {
            Ok(true) => app.operation = Some(*operation),
            Ok(false) => tracing::debug!(application = app.name_any(), "kept back by a sync window"),
            Err(wrong) => report::set(app, "SyncError", wrong, now),
        },
    }
    Ok((notes, again))
}

/// What is wrong with an application before anything is rendered.
fn valid(project: &AppProject, app: &Application) -> Vec<String> {
    let mut wrong = project::violations(project, app);
    let to = &app.spec.destination;
    let named = [&to.server, &to.name].into_iter().find(|text| !text.is_empty());
    if let Some(named) = named.filter(|named| !OWN_CLUSTER.contains(&named.as_str())) {
        let own = OWN_CLUSTER.join(" or ");
        wrong.push(format!("application destination {named} is not known here: objects go to {own} alone"));
    }
    wrong
}

impl Context {
    /// The name of an application in tracking ids.
    fn name_of(&self, app: &Application) -> String {
        let namespace = app.namespace().unwrap_or_default();
        if namespace == self.namespace { app.name_any() } else { format!("{namespace}_{}", app.name_any()) }
    }

    /// The project of an application. The one named `default` lets everything through until there is one.
    fn project(&self, app: &Application) -> std::result::Result<AppProject, String> {
        let name = project_of(app);
        if let Some(project) = self.projects.get(&ObjectKey::new(&self.namespace, name)) {
            return Ok((*project).clone());
        }
        if name != "default" {
            return Err(format!("Application referencing project {name} which does not exist"));
        }
        let mut project = AppProject::default();
        project.metadata.name = Some(name.to_owned());
        let any = "*".to_owned();
        project.spec = AppProjectSpec {
            source_repos: vec![any.clone()],
            destinations: vec![ProjectDestination { server: any.clone(), namespace: any.clone(), name: String::new() }],
            cluster_resource_whitelist: vec![ResourceKind { group: any.clone(), kind: any, name: String::new() }],
            ..AppProjectSpec::default()
        };
        Ok(project)
    }

    fn respects_ignored(&self, app: &Application) -> bool {
        let options = app.spec.sync_policy.iter().flat_map(|policy| &policy.sync_options);
        options.into_iter().any(|option| option == "RespectIgnoreDifferences=true")
    }

    /// Whether an object differed when it and what it should be were what they are now.
    fn remembered(&self, key: &Key, print: &observe::Print, live: &Value) -> Option<bool> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memory.get_mut(key)?;
        if known.print != *print {
            if !known.print.is_about(print) || known.content != observe::content(live) {
                return None;
            }
            known.print = print.clone();
        }
        Some(known.modified)
    }

    fn remember(&self, key: &Key, print: observe::Print, live: &Value, modified: bool) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.insert(key.clone(), Compared { print, content: observe::content(live), modified });
    }

    /// Writes what has changed of an application; `locked` holds it to the version that was looked at.
    async fn write(&self, old: &Application, new: &Application, locked: bool) -> Result<()> {
        let Some(mut patch) = diff(&encode(old), &encode(new)) else { return Ok(()) };
        if locked {
            patch["metadata"]["resourceVersion"] = Value::from(old.resource_version().unwrap_or_default());
        }
        self.applier.step(Step::merge(old, patch)).await
    }
}
