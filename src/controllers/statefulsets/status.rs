//! The status of a StatefulSet. Pure. Upstream rule: `computeReplicaStatus` and `completeRollingUpdate` in
//! `pkg/controller/statefulset`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use super::identity::revision;
use super::plan::{is_available, is_running_and_ready};
use crate::meta::is_deleting;

/// The numbers that follow from the pods, between two revisions.
pub(super) fn status(
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    pods: &[Arc<Pod>],
    (current, update): (&str, &str),
    now: Timestamp,
) -> StatefulSetStatus {
    let old = set.status.clone().unwrap_or_default();
    let count = |fits: &dyn Fn(&Pod) -> bool| {
        let number = pods.iter().filter(|pod| fits(pod)).count();
        i32::try_from(number).unwrap_or(i32::MAX)
    };
    let some = |number: i32| Some(number).filter(|number| *number > 0);
    let of = |wanted: &str| count(&|pod| !is_deleting(pod) && revision(pod) == wanted);
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    let mut status = StatefulSetStatus {
        observed_generation: set.metadata.generation,
        replicas: count(&|_| true),
        ready_replicas: some(count(&is_running_and_ready)),
        available_replicas: Some(count(&|pod| is_available(pod, min_ready, now))),
        current_replicas: some(of(current)),
        updated_replicas: some(of(update)),
        current_revision: Some(current.to_owned()),
        update_revision: Some(update.to_owned()),
        collision_count: Some(old.collision_count.unwrap_or_default()),
        conditions: old.conditions,
    };
    let wanted = spec.replicas.unwrap_or(1);
    let rolls = spec.update_strategy.as_ref().is_none_or(|strategy| strategy.type_.as_deref() != Some("OnDelete"));
    let all = |number: Option<i32>| number.unwrap_or_default() == wanted;
    if rolls && status.replicas == wanted && all(status.ready_replicas) && all(status.updated_replicas) {
        status.current_replicas = status.updated_replicas;
        status.current_revision = status.update_revision.clone();
    }
    status
}
