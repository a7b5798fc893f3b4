//! What controllers ask of pods: whether they are ready, over, or better to delete than others; and pods made from a
//! template. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use tinderbox_client::Step;
use tinderbox_client::clock::after;

use crate::meta::is_deleting;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// `status.phase`, `Pending` when there is none yet.
pub(crate) fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status.and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Whether the pod has run to its end, one way or the other.
pub(crate) fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod counts for its owner: neither over nor on its way out.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_over(pod) && !is_deleting(pod)
}

/// A condition of the pod.
pub(crate) fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Says of a pod that it is about to be deleted, why, and that it has failed if so it is; nothing where that is said already.
pub(crate) fn disrupt(pod: &Pod, phase: Option<&str>, words: (&str, &str), now: Timestamp) -> Option<Step> {
    let mut status = pod.status.clone().unwrap_or_default();
    if let Some(phase) = phase {
        status.phase = Some(phase.to_owned());
    }
    set_condition(&mut status, "DisruptionTarget", "True", words, now);
    Step::status(pod, pod.status.as_ref(), &status)
}

/// Gives a status a condition, which keeps its time while it keeps its state.
pub(crate) fn set_condition(
    status: &mut PodStatus,
    type_: &str,
    word: &str,
    (reason, message): (&str, &str),
    now: Timestamp,
) {
    let conditions = status.conditions.get_or_insert_default();
    let kept = conditions.iter().find(|condition| condition.type_ == type_ && condition.status == word);
    let since = kept.and_then(|known| known.last_transition_time.clone());
    conditions.retain(|condition| condition.type_ != type_);
    conditions.push(PodCondition {
        type_: type_.to_owned(),
        status: word.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: since.or(Some(Time(now))),
        ..PodCondition::default()
    });
}

/// Whether the pod is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// When a ready pod counts as available: once it was ready for `min_ready` seconds.
pub(crate) fn available_at(pod: &Pod, min_ready: i32) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    if min_ready <= 0 {
        return Some(Timestamp::MIN);
    }
    let since = ready.last_transition_time.as_ref()?.0;
    Some(after(since, seconds(min_ready)))
}

/// A number of seconds from the API; what is below zero is zero.
pub(crate) fn seconds(number: impl Into<i64>) -> Duration {
    Duration::from_secs(u64::try_from(number.into()).unwrap_or_default())
}

/// The statuses of all containers, init containers first.
pub(crate) fn container_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_deref());
    let main = status.and_then(|status| status.container_statuses.as_deref());
    init.into_iter().chain(main).flatten()
}

/// How often the pod's containers were started again.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    container_statuses(pod).map(|status| status.restart_count).fold(0, i32::saturating_add)
}

/// Orders pods so that those which a controller deletes first come first.
/// Upstream rule: `ActivePodsWithRanks` in `pkg/controller/controller_utils.go`.
pub(crate) fn sort_for_deletion(pods: &mut [Arc<Pod>]) {
    let mut on_node: BTreeMap<String, usize> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| is_active(pod)) {
        *on_node.entry(node(pod).to_owned()).or_default() += 1;
    }
    pods.sort_by(|one, other| {
        let key = |pod: &Pod| {
            let stage = match phase(pod) {
                "Pending" => 0,
                "Running" => 2,
                _ => 1,
            };
            (!node(pod).is_empty(), stage, is_ready(pod), cost(pod))
        };
        let crowd = |pod: &Pod| on_node.get(node(pod)).copied().unwrap_or_default();
        key(one)
            .cmp(&key(other))
            .then_with(|| crowd(other).cmp(&crowd(one)))
            .then_with(|| later_first(ready_since(one), ready_since(other)))
            .then_with(|| restarts(other).cmp(&restarts(one)))
            .then_with(|| later_first(created(&**one), created(&**other)))
    });
}

fn node(pod: &Pod) -> &str {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

fn cost(pod: &Pod) -> i32 {
    let cost = pod.annotations().get(DELETION_COST);
    cost.and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

/// When an object was made.
pub(crate) fn created<K: Resource>(object: &K) -> Option<Timestamp> {
    object.meta().creation_timestamp.as_ref().map(|time| time.0)
}

fn later_first(one: Option<Timestamp>, other: Option<Timestamp>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => other.cmp(&one),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// A pod as a template describes it, named by the server after `prefix`.
pub(crate) fn from_template(
    template: &PodTemplateSpec,
    namespace: Option<String>,
    prefix: &str,
    owner: OwnerReference,
) -> Pod {
    let meta = template.metadata.as_ref();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{prefix}-")),
            namespace,
            labels: meta.and_then(|meta| meta.labels.clone()),
            annotations: meta.and_then(|meta| meta.annotations.clone()),
            finalizers: meta.and_then(|meta| meta.finalizers.clone()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}
