//! Waiting until applications are as the tree has them. What keeps one from it is told in its own words.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use futures::future::try_join_all;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::watcher;
use serde_json::json;
use tinderbox_api::gitops::{Application, marks};
use tinderbox_client::wait::{self, WaitError};
use tinderbox_gitops::sync::Operation;
use tinderbox_platform::ARGOCD;

use crate::cluster::Cluster;
use crate::error::Error;

/// How long applications may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Failures in a row after which a sync is not waited for any more, though the controller tries on.
const PATIENT: i64 = 2;
/// What the controller says of a source that is broken: trying again does not mend it.
const BROKEN: &str = "Failed to load target state";

/// How an application stands.
enum Standing {
    /// As the tree has it, and it works.
    Settled,
    /// On its way.
    Under(String),
    /// It will not come there by itself.
    Stuck(String),
}

/// Has these applications looked at anew, and waits until each that is synced without being asked is as its source has it, and works.
///
/// # Errors
/// When one cannot be synced, or the time is over; with what each of them says.
pub(crate) async fn settle(cluster: &Cluster, names: &BTreeSet<String>) -> Result<(), Error> {
    let apps: Api<Application> = Api::namespaced(cluster.client.clone(), ARGOCD);
    let known = apps.list(&ListParams::default()).await.map_err(Error::api("list applications"))?;
    let refresh = Patch::Merge(json!({"metadata": {"annotations": {marks::REFRESH: "normal"}}}));
    let old = known.iter().filter(|app| app.status.is_some() && names.contains(&app.name_any()));
    try_join_all(old.map(|app| {
        let (apps, name, refresh) = (apps.clone(), app.name_any(), refresh.clone());
        async move { apps.patch(&name, &PatchParams::default(), &refresh).await }
    }))
    .await
    .map_err(Error::api("have applications looked at"))?;
    let mut last = Vec::new();
    let judge = |known: &wait::Known<Application>| {
        last.clear();
        let mut stuck = Vec::new();
        for name in names {
            let found = known.get(&(ARGOCD.to_owned(), name.clone()));
            match found.map_or_else(|| Standing::Under("it is not there yet".to_owned()), standing) {
                Standing::Settled => {}
                Standing::Under(why) => last.push(format!("{name}: {why}")),
                Standing::Stuck(why) => stuck.push(format!("{name}: {why}")),
            }
        }
        match (stuck.is_empty(), last.is_empty()) {
            (false, _) => ControlFlow::Break(Err(Error::Unsynced { apps: stuck })),
            (true, true) => ControlFlow::Break(Ok(())),
            (true, false) => ControlFlow::Continue(()),
        }
    };
    let settled = wait::until(apps, watcher::Config::default(), "applications to be synced", PATIENCE, judge).await;
    match settled {
        Ok(outcome) => outcome,
        Err(WaitError::TimedOut { .. }) if !last.is_empty() => Err(Error::Unsynced { apps: last }),
        Err(error) => Err(error.into()),
    }
}

fn standing(app: &Application) -> Standing {
    let under = |why: &str| Standing::Under(why.to_owned());
    let Some(status) = &app.status else { return under("it was not looked at yet") };
    if app.annotations().contains_key(marks::REFRESH) {
        return under("it is being looked at");
    }
    // What was seen is about the source as it was then.
    let compared = status.sync.compared_to.as_ref();
    if compared.is_some_and(|to| to.source != app.spec.source || to.destination != app.spec.destination) {
        return under("it has changed, and was not looked at since");
    }
    for condition in &status.conditions {
        match condition.r#type.as_str() {
            "InvalidSpecError" | "SyncError" => return Standing::Stuck(condition.message.clone()),
            "ComparisonError" if condition.message.starts_with(BROKEN) => {
                return Standing::Stuck(condition.message.clone());
            }
            "ComparisonError" => return Standing::Under(condition.message.clone()),
            _ => {}
        }
    }
    let state = status.operation_state.as_ref();
    if let Some(state) = state.filter(|state| Operation::is_open(&state.phase)) {
        // Once may be for something that was about to come.
        let tried = state.sync_result.as_ref().map(|result| &result.revision);
        if state.retry_count.unwrap_or_default() >= PATIENT && tried == Some(&status.sync.revision) {
            return Standing::Stuck(state.message.clone());
        }
        return Standing::Under(format!("syncing: {}", state.message));
    }
    if app.operation.is_some() {
        return under("a sync is about to begin");
    }
    match (status.sync.status.as_str(), status.health.status.as_str()) {
        ("Synced", "Healthy" | "Suspended") => Standing::Settled,
        ("OutOfSync", _) if app.automated().is_none() => Standing::Settled,
        ("Synced", "Degraded") => Standing::Stuck(format!("it does not work: {}", status.health.message)),
        (sync, health) => Standing::Under(format!("{sync}, {health}")),
    }
}
