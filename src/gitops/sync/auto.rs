//! Whether an application is synced without being asked. Pure.
//! Upstream rule: `autoSync` in `controller/appcontroller.go` of argoproj/argo-cd.

use std::time::Duration;

use jiff::Timestamp;
use tinderbox_api::gitops::{
    Application, Initiator, Operation, OperationState, ResourceStatus, RetryStrategy, Selected, SyncOperation,
};
use tinderbox_client::clock::after;

use super::retry::grown;

/// Pauses between syncs that undo changes in the cluster.
const HEAL_FIRST: Duration = Duration::from_secs(2);
const HEAL_FACTOR: i64 = 3;
const HEAL_LONGEST: Duration = Duration::from_secs(300);
/// How often a sync of the controller's own is tried again when nothing is said of it.
const RETRIES: i64 = 5;

/// Whether to sync.
#[derive(Debug, Clone, PartialEq)]
pub enum Auto {
    /// No; and why.
    No(&'static str),
    /// Not yet.
    Later(Timestamp),
    /// No, and something is wrong: the text of a `SyncError`.
    Refused(String),
    /// Yes.
    Sync(Box<Operation>),
}

/// Decides. `resources` are the application's objects compared to `revision`; `targets` tells how many the source has.
#[must_use]
pub fn decide(
    app: &Application,
    status: &str,
    revision: &str,
    resources: &[ResourceStatus],
    targets: usize,
    now: Timestamp,
) -> Auto {
    let Some(automated) = app.automated() else {
        return Auto::No("it is synced when asked");
    };
    let policy = app.spec.sync_policy.clone().unwrap_or_default();
    let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
    if app.operation.is_some() || state.is_some_and(|state| super::Operation::is_open(&state.phase)) {
        return Auto::No("another operation is in progress");
    }
    if app.metadata.deletion_timestamp.is_some() {
        return Auto::No("it is being deleted");
    }
    if status != "OutOfSync" {
        return Auto::No("it is not out of sync");
    }
    let prune = automated.prune.unwrap_or_default();
    let differing = || resources.iter().filter(|one| one.status == "OutOfSync");
    let is_extra = |one: &ResourceStatus| one.requires_pruning.unwrap_or_default();
    if !prune && differing().all(is_extra) {
        return Auto::No("only extra objects differ, and they are not pruned");
    }
    let mut sync = SyncOperation {
        revision: revision.to_owned(),
        prune: Some(prune).filter(|prune| *prune),
        sync_options: policy.sync_options.clone(),
        ..SyncOperation::default()
    };
    if let Some(state) = state.filter(|state| is_attempt(state, app, revision)) {
        if state.phase != "Succeeded" {
            return Auto::Refused(format!("Failed last sync attempt to [{revision}]: {}", state.message));
        }
        if !automated.self_heal.unwrap_or_default() {
            return Auto::No("the most recent sync was to this revision");
        }
        let last = state.operation.sync.as_ref().and_then(|sync| sync.auto_heal_attempts_count).unwrap_or_default();
        let finished = state.finished_at.as_ref().map_or(now, |time| time.0);
        let quiet = after(finished, HEAL_LONGEST);
        // After a long quiet time the pauses begin anew.
        let count = if now > quiet { 0 } else { last };
        let due = if count == 0 {
            finished
        } else {
            after(finished, grown(HEAL_FIRST, HEAL_FACTOR, count - 1, HEAL_LONGEST))
        };
        if due > now {
            return Auto::Later(due);
        }
        sync.auto_heal_attempts_count = Some(count + 1);
        sync.resources = differing()
            .map(|one| Selected {
                group: one.group.clone(),
                kind: one.kind.clone(),
                name: one.name.clone(),
                namespace: one.namespace.clone(),
            })
            .collect();
    }
    if prune && targets == 0 && !automated.allow_empty.unwrap_or_default() {
        return Auto::Refused(format!("Skipping sync attempt to [{revision}]: auto-sync will wipe out all resources"));
    }
    let retry = policy.retry.unwrap_or(RetryStrategy { limit: Some(RETRIES), ..RetryStrategy::default() });
    Auto::Sync(Box::new(Operation {
        sync: Some(sync),
        initiated_by: Some(Initiator { automated: Some(true), ..Initiator::default() }),
        retry: Some(retry),
        ..Operation::default()
    }))
}

/// Whether the last operation synced to this revision, from the source as it is.
fn is_attempt(state: &OperationState, app: &Application, revision: &str) -> bool {
    state.sync_result.as_ref().is_some_and(|result| {
        let same = result.source == app.spec.source && result.sources == app.spec.sources;
        result.revision == revision && same
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn with(automated: Value, more: Value) -> Application {
        let mut app = json!({
            "metadata": {"name": "pi"},
            "spec": {"source": {"repoURL": "r"}, "syncPolicy": {"automated": automated}},
        });
        app.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(app).expect("an application")
    }

    fn last(phase: &str, revision: &str, attempts: i64) -> Value {
        json!({"status": {"operationState": {
            "phase": phase, "message": "m", "finishedAt": "1970-01-01T00:00:00Z",
            "operation": {"sync": {"autoHealAttemptsCount": attempts}},
            "syncResult": {"revision": revision, "source": {"repoURL": "r"}},
        }}})
    }

    fn resources(value: &Value) -> Vec<ResourceStatus> {
        serde_json::from_value(value.clone()).expect("resources")
    }

    #[test]
    fn syncs_when_it_should_and_only_then() {
        let changed = json!([{"kind": "ConfigMap", "name": "a", "status": "OutOfSync"}, {"kind": "ConfigMap", "name": "b", "status": "Synced"}]);
        let extra = json!([{"kind": "ConfigMap", "name": "a", "status": "OutOfSync", "requiresPruning": true}]);
        let short = |auto: Auto| match auto {
            Auto::No(why) => why.to_owned(),
            Auto::Later(at) => format!("at {}", at.as_second()),
            Auto::Refused(why) => why,
            Auto::Sync(operation) => {
                let sync = operation.sync.unwrap_or_default();
                let retries = operation.retry.and_then(|retry| retry.limit).unwrap_or_default();
                let heals = sync.auto_heal_attempts_count.unwrap_or_default();
                format!(
                    "sync prune={} only={} heals={heals} retries={retries}",
                    sync.prune.unwrap_or_default(),
                    sync.resources.len()
                )
            }
        };
        for (rule, app, status, resources_now, targets, now, expected) in [
            (
                "out of sync",
                with(json!({}), json!({})),
                "OutOfSync",
                &changed,
                2,
                0,
                "sync prune=false only=0 heals=0 retries=5",
            ),
            (
                "with pruning",
                with(json!({"prune": true}), json!({})),
                "OutOfSync",
                &extra,
                1,
                0,
                "sync prune=true only=0 heals=0 retries=5",
            ),
            ("no policy", with(Value::Null, json!({})), "OutOfSync", &changed, 2, 0, "it is synced when asked"),
            (
                "switched off",
                with(json!({"enabled": false}), json!({})),
                "OutOfSync",
                &changed,
                2,
                0,
                "it is synced when asked",
            ),
            ("synced", with(json!({}), json!({})), "Synced", &changed, 2, 0, "it is not out of sync"),
            ("unknown", with(json!({}), json!({})), "Unknown", &changed, 2, 0, "it is not out of sync"),
            (
                "being deleted",
                with(json!({}), json!({"metadata": {"deletionTimestamp": "1970-01-01T00:00:00Z"}})),
                "OutOfSync",
                &changed,
                2,
                0,
                "it is being deleted",
            ),
            (
                "asked already",
                with(json!({}), json!({"operation": {"sync": {}}})),
                "OutOfSync",
                &changed,
                2,
                0,
                "another operation is in progress",
            ),
            (
                "running",
                with(json!({}), last("Running", "x", 0)),
                "OutOfSync",
                &changed,
                2,
                0,
                "another operation is in progress",
            ),
            (
                "terminating",
                with(json!({}), last("Terminating", "x", 0)),
                "OutOfSync",
                &changed,
                2,
                0,
                "another operation is in progress",
            ),
            (
                "only extra objects",
                with(json!({}), json!({})),
                "OutOfSync",
                &extra,
                1,
                0,
                "only extra objects differ, and they are not pruned",
            ),
            (
                "wipes everything",
                with(json!({"prune": true}), json!({})),
                "OutOfSync",
                &extra,
                0,
                0,
                "Skipping sync attempt to [r1]: auto-sync will wipe out all resources",
            ),
            (
                "may wipe everything",
                with(json!({"prune": true, "allowEmpty": true}), json!({})),
                "OutOfSync",
                &extra,
                0,
                0,
                "sync prune=true only=0 heals=0 retries=5",
            ),
            (
                "once for a revision",
                with(json!({}), last("Succeeded", "r1", 0)),
                "OutOfSync",
                &changed,
                2,
                0,
                "the most recent sync was to this revision",
            ),
            (
                "another revision",
                with(json!({}), last("Succeeded", "r0", 0)),
                "OutOfSync",
                &changed,
                2,
                0,
                "sync prune=false only=0 heals=0 retries=5",
            ),
            (
                "a failed one is not tried again",
                with(json!({"selfHeal": true}), last("Failed", "r1", 0)),
                "OutOfSync",
                &changed,
                2,
                0,
                "Failed last sync attempt to [r1]: m",
            ),
            (
                "a failed one of another revision does not count",
                with(json!({}), last("Failed", "r0", 0)),
                "OutOfSync",
                &changed,
                2,
                0,
                "sync prune=false only=0 heals=0 retries=5",
            ),
            (
                "self-heal, only what differs",
                with(json!({"selfHeal": true}), last("Succeeded", "r1", 0)),
                "OutOfSync",
                &changed,
                2,
                0,
                "sync prune=false only=1 heals=1 retries=5",
            ),
            (
                "self-heal waits",
                with(json!({"selfHeal": true}), last("Succeeded", "r1", 1)),
                "OutOfSync",
                &changed,
                2,
                1,
                "at 2",
            ),
            (
                "and longer",
                with(json!({"selfHeal": true}), last("Succeeded", "r1", 3)),
                "OutOfSync",
                &changed,
                2,
                2,
                "at 18",
            ),
            (
                "and goes on",
                with(json!({"selfHeal": true}), last("Succeeded", "r1", 2)),
                "OutOfSync",
                &changed,
                2,
                6,
                "sync prune=false only=1 heals=3 retries=5",
            ),
            (
                "and begins anew after a quiet time",
                with(json!({"selfHeal": true}), last("Succeeded", "r1", 9)),
                "OutOfSync",
                &changed,
                2,
                301,
                "sync prune=false only=1 heals=1 retries=5",
            ),
        ] {
            let now = Timestamp::from_second(now).expect("a time");
            let auto = decide(&app, status, "r1", &resources(resources_now), targets, now);
            assert_eq!(short(auto), expected, "{rule}");
        }
    }
}
