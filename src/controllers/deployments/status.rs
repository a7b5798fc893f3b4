//! The status of a Deployment: numbers, and the conditions that `kubectl rollout status` reads. Pure.
//! Upstream rule: `pkg/controller/deployment/progress.go` and `util/deployment_util.go`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tinderbox_client::clock::after;

use super::rolling::Bounds;
use crate::pods::seconds;

const PROGRESSING: &str = "Progressing";
/// A deadline that stands for none.
const NO_DEADLINE: i32 = i32::MAX;

/// A condition in the making.
pub(super) struct Progress {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Progress {
    pub(super) fn created(name: &str) -> Self {
        let message = format!("Created new replica set \"{name}\"");
        Self { status: "True", reason: "NewReplicaSetCreated", message }
    }

    fn found(name: &str) -> Self {
        let message = format!("Found new replica set \"{name}\"");
        Self { status: "True", reason: "FoundNewReplicaSet", message }
    }

    fn paused() -> Self {
        Self { status: "Unknown", reason: "DeploymentPaused", message: "Deployment is paused".to_owned() }
    }

    fn resumed() -> Self {
        Self { status: "Unknown", reason: "DeploymentResumed", message: "Deployment is resumed".to_owned() }
    }
}

/// The status that follows from the ReplicaSets, and when to look whether the roll takes too long.
pub(super) fn status(
    deployment: &Deployment,
    new: Option<&ReplicaSet>,
    all: &[Arc<ReplicaSet>],
    now: Timestamp,
) -> (DeploymentStatus, Option<Timestamp>) {
    let old = deployment.status.clone().unwrap_or_default();
    let mut status = numbers(deployment, new, all);
    status.conditions = old.conditions.clone();
    status.collision_count = old.collision_count;
    let bounds = Bounds::of(deployment);
    let available = status.available_replicas.unwrap_or_default() >= bounds.least_available();
    let (word, reason, message) = if available {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set(&mut status, "Available", word, reason, message, now);
    let again = progress(deployment, new, &old, &mut status, now);
    copy_failure(new, all, &mut status);
    (status, again)
}

fn numbers(deployment: &Deployment, new: Option<&ReplicaSet>, all: &[Arc<ReplicaSet>]) -> DeploymentStatus {
    let sum = |of: &dyn Fn(&ReplicaSet) -> Option<i32>| {
        let numbers = all.iter().map(|set| of(set).unwrap_or_default());
        numbers.fold(0, i32::saturating_add)
    };
    let asked = sum(&|set| set.spec.as_ref()?.replicas);
    let available = sum(&|set| set.status.as_ref()?.available_replicas);
    let some = |number: i32| Some(number).filter(|number| *number > 0);
    let updated = new.and_then(|set| set.status.as_ref()).map_or(0, |status| status.replicas);
    DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(sum(&|set| set.status.as_ref().map(|status| status.replicas))),
        updated_replicas: some(updated),
        ready_replicas: some(sum(&|set| set.status.as_ref()?.ready_replicas)),
        available_replicas: some(available),
        unavailable_replicas: some(asked - available),
        ..DeploymentStatus::default()
    }
}

fn progress(
    deployment: &Deployment,
    new: Option<&ReplicaSet>,
    old: &DeploymentStatus,
    status: &mut DeploymentStatus,
    now: Timestamp,
) -> Option<Timestamp> {
    let spec = deployment.spec.as_ref()?;
    let deadline = spec.progress_deadline_seconds.filter(|seconds| *seconds != NO_DEADLINE);
    let Some(deadline) = deadline else {
        remove(status, PROGRESSING);
        return None;
    };
    let current = find(old, PROGRESSING);
    let reason = current.and_then(|condition| condition.reason.as_deref());
    if spec.paused == Some(true) {
        if !matches!(reason, Some("DeploymentPaused" | "ProgressDeadlineExceeded")) {
            tell(status, Progress::paused(), now);
        }
        return None;
    }
    if reason == Some("DeploymentPaused") {
        tell(status, Progress::resumed(), now);
        return Some(after(now, seconds(deadline)));
    }
    let subject = new.map_or_else(
        || format!("Deployment \"{}\"", deployment.name_any()),
        |set| format!("ReplicaSet \"{}\"", set.name_any()),
    );
    let replicas = spec.replicas.unwrap_or(1);
    let get = |number: Option<i32>| number.unwrap_or_default();
    let complete = get(status.updated_replicas) == replicas
        && get(status.replicas) == replicas
        && get(status.available_replicas) == replicas;
    let settled = get(status.replicas) == get(status.updated_replicas) && reason == Some("NewReplicaSetAvailable");
    if settled {
        return None;
    }
    if complete {
        let message = format!("{subject} has successfully progressed.");
        tell(status, Progress { status: "True", reason: "NewReplicaSetAvailable", message }, now);
        return None;
    }
    let old_pods = |status: &DeploymentStatus| get(status.replicas) - get(status.updated_replicas);
    let moved = get(status.updated_replicas) > get(old.updated_replicas)
        || old_pods(status) < old_pods(old)
        || get(status.ready_replicas) > get(old.ready_replicas)
        || get(status.available_replicas) > get(old.available_replicas);
    if moved {
        let message = format!("{subject} is progressing.");
        tell(status, Progress { status: "True", reason: "ReplicaSetUpdated", message }, now);
        return Some(after(now, seconds(deadline)));
    }
    let Some(current) = current else {
        if let Some(set) = new {
            tell(status, Progress::found(&set.name_any()), now);
        }
        return Some(after(now, seconds(deadline)));
    };
    if matches!(reason, Some("ProgressDeadlineExceeded" | "NewReplicaSetAvailable")) {
        return None;
    }
    let since = current.last_update_time.as_ref().map_or(now, |time| time.0);
    let until = after(since, seconds(deadline));
    if until > now {
        return Some(until);
    }
    let message = format!("{subject} has timed out progressing.");
    tell(status, Progress { status: "False", reason: "ProgressDeadlineExceeded", message }, now);
    None
}

/// Puts a Progressing condition into a status.
pub(super) fn tell(status: &mut DeploymentStatus, progress: Progress, now: Timestamp) {
    let kept = find(status, PROGRESSING).filter(|condition| condition.status == progress.status);
    let since = kept.and_then(|condition| condition.last_transition_time.clone());
    remove(status, PROGRESSING);
    let condition = DeploymentCondition {
        type_: PROGRESSING.to_owned(),
        status: progress.status.to_owned(),
        reason: Some(progress.reason.to_owned()),
        message: Some(progress.message),
        last_update_time: Some(Time(now)),
        last_transition_time: since.or(Some(Time(now))),
    };
    status.conditions.get_or_insert_default().push(condition);
}

fn copy_failure(new: Option<&ReplicaSet>, all: &[Arc<ReplicaSet>], status: &mut DeploymentStatus) {
    remove(status, "ReplicaFailure");
    let failure = |set: &ReplicaSet| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|condition| condition.type_ == "ReplicaFailure").cloned()
    };
    let found = new.and_then(failure).or_else(|| all.iter().find_map(|set| failure(set)));
    if let Some(failure) = found {
        status.conditions.get_or_insert_default().push(DeploymentCondition {
            type_: failure.type_,
            status: failure.status,
            reason: failure.reason,
            message: failure.message,
            last_update_time: failure.last_transition_time.clone(),
            last_transition_time: failure.last_transition_time,
        });
    }
}

fn find<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    let conditions = status.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn remove(status: &mut DeploymentStatus, type_: &str) {
    if let Some(conditions) = status.conditions.as_mut() {
        conditions.retain(|condition| condition.type_ != type_);
    }
}

fn set(status: &mut DeploymentStatus, type_: &str, word: &str, reason: &str, message: &str, now: Timestamp) {
    let have = find(status, type_);
    if have.is_some_and(|have| have.status == word && have.reason.as_deref() == Some(reason)) {
        return;
    }
    let kept = have.filter(|have| have.status == word);
    let since = kept.and_then(|have| have.last_transition_time.clone());
    remove(status, type_);
    status.conditions.get_or_insert_default().push(DeploymentCondition {
        type_: type_.to_owned(),
        status: word.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_update_time: Some(Time(now)),
        last_transition_time: since.or(Some(Time(now))),
    });
}
