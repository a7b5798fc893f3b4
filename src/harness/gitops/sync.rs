//! `sync` and `rollback`: asking the controller for a sync, and following it to its end.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::watcher;
use serde::Serialize;
use serde_json::{Value, json};
use tinderbox_api::gitops::{Application, OperationState, marks};
use tinderbox_client::wait;
use tinderbox_gitops::source::DIRTY;
use tinderbox_gitops::sync::Operation;
use tinderbox_platform::ARGOCD;

use super::apps::{all, find};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, ObjectName, Talk};
use crate::project::Project;
use crate::up::whole_millis;

/// How long a sync may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What syncs came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncReport {
    /// Each application.
    pub applications: Vec<Synced>,
    /// How long all took together, in milliseconds.
    pub took_ms: u64,
}

impl SyncReport {
    /// Whether all went well.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.applications.iter().all(|one| one.phase == "Succeeded")
    }
}

/// What the sync of an application came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Synced {
    /// Its name.
    pub name: String,
    /// `Succeeded`, `Failed` or `Error`.
    pub phase: String,
    /// More of it.
    pub message: String,
    /// The revision.
    pub revision: String,
    /// What became of the objects.
    pub resources: Vec<Outcome>,
}

/// What became of an object.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Which.
    #[serde(flatten)]
    pub object: ObjectName,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    pub status: String,
    /// What was said of it.
    pub message: String,
}

/// Syncs an application, or all.
///
/// # Errors
/// When there is none of this name, the cluster is not up, or the controller does not answer.
pub async fn sync(project: &Project, name: Option<&str>, talk: &Talk) -> Result<SyncReport, Error> {
    let cluster = Cluster::running(project).await?;
    let apps = match name {
        Some(name) => vec![find(&cluster, name).await?],
        None => all(&cluster).await?,
    };
    let began = Instant::now();
    talk.tell(Event::Step(format!("syncing {}", name.unwrap_or("all applications"))));
    let each = apps.iter().map(|app| {
        let policy = app.spec.sync_policy.clone().unwrap_or_default();
        let prune = policy.automated.as_ref().and_then(|automated| automated.prune).unwrap_or_default();
        let asked = json!({"prune": prune, "syncOptions": policy.sync_options});
        ask(&cluster, app, asked)
    });
    let applications = try_join_all(each).await?;
    Ok(SyncReport { applications, took_ms: whole_millis(began.elapsed()) })
}

/// Goes back to an earlier sync of an application: the one of this id, or the one before the last.
///
/// # Errors
/// When there is no such sync, it was of files that were not committed, or the application is synced without being asked, which would
/// undo it at once.
pub async fn rollback(project: &Project, name: &str, id: Option<i64>, talk: &Talk) -> Result<SyncReport, Error> {
    let cluster = Cluster::running(project).await?;
    let app = find(&cluster, name).await?;
    if app.automated().is_some() {
        return Err(Error::Usage {
            message: format!("rollback cannot be performed when auto-sync is enabled, as it is for {name}"),
            hint: Some("take the change back in the tree: `git revert`, which is synced at once".to_owned()),
        });
    }
    let history = app.status.as_ref().map(|status| status.history.clone()).unwrap_or_default();
    let known: Vec<String> = history.iter().filter_map(|one| one.id).map(|id| id.to_string()).collect();
    let found = match id {
        Some(id) => history.iter().find(|one| one.id == Some(id)),
        None => history.iter().rev().nth(1),
    };
    let Some(found) = found else {
        let which = id.map_or_else(|| "no sync before the last".to_owned(), |id| format!("no sync with the id {id}"));
        return Err(Error::Usage {
            message: format!("there is {which} in the history of {name}"),
            hint: Some(format!("ids: {}; `cargo xtask status {name}` shows them", known.join(", "))),
        });
    };
    if found.revision.contains(DIRTY) {
        return Err(Error::Usage {
            message: format!("{} was a working tree with changes, which nobody has kept", found.revision),
            hint: Some("choose one of a commit, and commit what is worth going back to".to_owned()),
        });
    }
    let began = Instant::now();
    talk.tell(Event::Step(format!("taking {name} back to {}", found.revision)));
    let options = app.spec.sync_policy.clone().unwrap_or_default().sync_options;
    let asked = json!({"revision": found.revision, "source": found.source, "prune": true, "syncOptions": options});
    let applications = vec![ask(&cluster, &app, asked).await?];
    Ok(SyncReport { applications, took_ms: whole_millis(began.elapsed()) })
}

/// Asks for a sync, and waits until it is over. One that is under way is waited for first.
async fn ask(cluster: &Cluster, app: &Application, sync: Value) -> Result<Synced, Error> {
    let name = app.name_any();
    let apps: Api<Application> = Api::namespaced(cluster.client.clone(), ARGOCD);
    let what = format!("the sync of {name}");
    over(&apps, &name, &what, |_| true).await?;
    // Told apart from syncs of others by this.
    let mark = format!("{}-{}", std::process::id(), jiff::Timestamp::now().as_nanosecond());
    let mut operation = json!({
        "metadata": {"annotations": {marks::REFRESH: "normal"}},
        "operation": {"sync": sync, "initiatedBy": {"username": user()}, "info": [{"name": "request", "value": mark}]},
    });
    if let Value::Object(sync) = &mut operation["operation"]["sync"] {
        sync.retain(|_, value| !value.is_null());
    }
    let asked = apps.patch(&name, &PatchParams::default(), &Patch::Merge(&operation)).await;
    asked.map_err(Error::api(format!("ask for {what}")))?;
    let ours = |state: &OperationState| state.operation.info.iter().any(|info| info.value == mark);
    let app = over(&apps, &name, &what, ours).await?;
    let state = app.status.and_then(|status| status.operation_state).unwrap_or_default();
    let result = state.sync_result.unwrap_or_default();
    let outcome = |one: tinderbox_api::gitops::ResourceResult| Outcome {
        object: ObjectName { kind: one.kind, namespace: one.namespace, name: one.name },
        status: one.status,
        message: one.message,
    };
    Ok(Synced {
        name,
        phase: state.phase,
        message: state.message,
        revision: result.revision,
        resources: result.resources.into_iter().map(outcome).collect(),
    })
}

/// Waits until no operation is under way, and the last one is a wanted one.
async fn over(
    apps: &Api<Application>,
    name: &str,
    what: &str,
    wanted: impl Fn(&OperationState) -> bool,
) -> Result<Application, Error> {
    let is_over = |app: Option<&Application>| {
        app.is_none_or(|app| {
            let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
            let open = state.is_some_and(|state| Operation::is_open(&state.phase));
            app.operation.is_none() && !open && state.is_none_or(&wanted)
        })
    };
    let found = wait::object(apps.clone(), name, what, PATIENCE, is_over).await?;
    found.ok_or_else(|| Error::Usage { message: format!("the application {name} is gone"), hint: None })
}

/// Who asks.
fn user() -> String {
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".to_owned())
}

/// Tells of every change of an application, or of all, until the caller ends it.
///
/// # Errors
/// When there is none of this name, the cluster is not up, or the watch is refused.
pub async fn follow(project: &Project, name: Option<&str>, talk: &Talk) -> Result<(), Error> {
    let cluster = Cluster::running(project).await?;
    if let Some(name) = name {
        find(&cluster, name).await?;
    }
    let apps: Api<Application> = Api::namespaced(cluster.client.clone(), ARGOCD);
    let mut told: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let judge = |known: &wait::Known<Application>| {
        for app in known.values().filter(|app| name.is_none_or(|name| app.name_any() == name)) {
            let words = super::apps::words(app);
            let before = told.insert(app.name_any(), words.clone());
            if before.as_ref() != Some(&words) {
                talk.tell(Event::Note(format!("{}: {words}", app.name_any())));
            }
        }
        ControlFlow::<()>::Continue(())
    };
    let forever = Duration::from_secs(u64::from(u32::MAX));
    Ok(wait::until(apps, watcher::Config::default(), "applications", forever, judge).await?)
}
