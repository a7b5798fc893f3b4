//! What the scheduler writes: a pod gets its node, waits with a reason, or takes the place of others. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;
use tinderbox_client::{Note, Plan, Step};

use super::NAME;
use crate::meta::is_deleting;
use crate::pods::{condition, disrupt, set_condition};

/// Gives a pod its node.
pub(super) fn bind(pod: &Pod, node: &str) -> Plan {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let body = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": pod.uid()},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let mut plan = Plan::default();
    plan.push(Step::post(pod, "binding", body));
    let text = format!("Successfully assigned {namespace}/{name} to {node}");
    plan.note(Note::normal(pod, "Scheduled", text));
    plan
}

/// Says why a pod waits, and for which node if it preempted others there.
pub(super) fn stay(pod: &Pod, reason: &str, nominated: Option<&str>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let known = condition(pod, "PodScheduled");
    let is_told = known.is_some_and(|known| known.status == "False" && known.message.as_deref() == Some(reason));
    let mut status = pod.status.clone().unwrap_or_default();
    status.nominated_node_name = nominated.map(str::to_owned);
    if !is_told {
        set_condition(&mut status, "PodScheduled", "False", ("Unschedulable", reason), now);
    }
    let step = Step::status(pod, pod.status.as_ref(), &status);
    if step.is_some() && !is_told {
        plan.note(Note::warning(pod, "FailedScheduling", reason));
    }
    step.into_iter().for_each(|step| plan.push(step));
    plan
}

/// Removes pods from a node so that another one fits there, and says for which node that one waits.
pub(super) fn replace(pod: &Pod, node: &str, victims: &[Arc<Pod>], reason: &str, now: Timestamp) -> Plan {
    let mut plan = stay(pod, reason, Some(node), now);
    plan.then();
    let staying: Vec<_> = victims.iter().filter(|victim| !is_deleting(&***victim)).collect();
    for victim in &staying {
        let message = format!("{NAME}: preempting to accommodate a higher priority pod");
        disrupt(victim, None, ("PreemptionByScheduler", &message), now).into_iter().for_each(|step| plan.push(step));
    }
    plan.then();
    for victim in &staying {
        plan.push(Step::delete(&***victim));
        let text = format!("Preempted by pod {} on node {node}", pod.uid().unwrap_or_default());
        plan.note(Note::normal(&***victim, "Preempted", text));
    }
    plan.stages.retain(|stage| !stage.is_empty());
    plan
}
