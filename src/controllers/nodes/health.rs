//! Whether nodes are still there: one that renews neither its lease nor its status for a while is not known to be, and its pods are not
//! ready. Times are this process' own: clocks of nodes may differ, and a machine may have slept. Pure.
//! Upstream rule: `monitorNodeHealth` of k8s.io/kubernetes `pkg/controller/nodelifecycle`, `MarkPodsNotReady` of
//! `pkg/controller/util/node`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tinderbox_client::clock::after;
use tinderbox_client::{Note, Plan, Step};

use crate::pods::is_ready;

/// The conditions that nobody vouches for any more.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Whoever looks so much later than it meant to has been asleep itself.
const SLEEP: Duration = Duration::from_secs(10);

/// The last sign of life of a node.
#[derive(Debug)]
pub(super) struct Pulse {
    sign: (Option<String>, Option<Timestamp>),
    seen: Timestamp,
    looked: Timestamp,
}

impl Pulse {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { sign: (None, None), seen: now, looked: now }
    }

    /// Takes in what the node said last; when it was seen to say something new.
    pub(super) fn feel(&mut self, node: &Node, lease: Option<&Lease>, grace: Duration, now: Timestamp) -> Timestamp {
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0.to_string()));
        let heartbeat = condition(node, "Ready").filter(|ready| ready.status != "Unknown");
        let heartbeat = heartbeat.and_then(|ready| ready.last_heartbeat_time.as_ref()).map(|time| time.0);
        let sign = (renewed, heartbeat.or(self.sign.1));
        let slept = now > after(after(self.looked, grace), SLEEP);
        if sign != self.sign || slept {
            (self.sign, self.seen) = (sign, now);
        }
        self.looked = now;
        self.seen
    }
}

fn condition<'a>(node: &'a Node, type_: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_deref()?.iter().find(|one| one.type_ == type_)
}

/// Gives up a node that was last seen too long ago, or says when it would be.
pub(super) fn plan(node: &Node, seen: Timestamp, grace: Duration, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let until = after(seen, grace);
    if now < until {
        plan.at(until);
        return plan;
    }
    let was_ready = condition(node, "Ready").is_some_and(|ready| ready.status == "True");
    let mut status = node.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    for type_ in CONDITIONS {
        match conditions.iter_mut().find(|one| one.type_ == type_) {
            Some(known) if known.status == "Unknown" => {}
            Some(known) => {
                known.status = "Unknown".to_owned();
                known.reason = Some("NodeStatusUnknown".to_owned());
                known.message = Some("Kubelet stopped posting node status.".to_owned());
                known.last_transition_time = Some(Time(now));
            }
            None => conditions.push(NodeCondition {
                type_: type_.to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(Time(now)),
            }),
        }
    }
    if let Some(step) = Step::status(node, node.status.as_ref(), &status) {
        plan.push(step);
        if was_ready {
            let text = format!("Node {} status is now: NodeNotReady", node.name_any());
            plan.note(Note::normal(node, "NodeNotReady", text));
        }
    }
    plan
}

/// Says of pods whose node is not known to be there that they are not ready.
pub(super) fn unready(pods: &[Arc<Pod>], now: Timestamp, plan: &mut Plan) {
    for pod in pods.iter().filter(|pod| is_ready(pod)) {
        let mut status = pod.status.clone().unwrap_or_default();
        for ready in status.conditions.iter_mut().flatten().filter(|one| one.type_ == "Ready") {
            ready.status = "False".to_owned();
            ready.last_transition_time = Some(Time(now));
        }
        if let Some(step) = Step::status(&**pod, pod.status.as_ref(), &status) {
            plan.push(step);
            plan.note(Note::warning(&**pod, "NodeNotReady", "Node is not ready"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const GRACE: Duration = Duration::from_secs(50);

    fn node(status: &str) -> Node {
        let ready = json!({"type": "Ready", "status": status, "lastHeartbeatTime": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({"metadata": {"name": "n"}, "status": {"conditions": [ready]}})).unwrap()
    }

    fn lease(time: &str) -> Lease {
        serde_json::from_value(json!({"metadata": {}, "spec": {"renewTime": time}})).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn every_renewal_is_a_sign_of_life() {
        let (first, second) = (lease("2026-01-01T00:00:00Z"), lease("2026-01-01T00:00:10Z"));
        let mut pulse = Pulse::new(at(0));
        assert_eq!(pulse.feel(&node("True"), Some(&first), GRACE, at(1)), at(1));
        assert_eq!(pulse.feel(&node("True"), Some(&first), GRACE, at(11)), at(1));
        assert_eq!(pulse.feel(&node("True"), Some(&second), GRACE, at(12)), at(12));
        assert_eq!(pulse.feel(&node("Unknown"), Some(&second), GRACE, at(62)), at(12));
        assert_eq!(pulse.feel(&node("Unknown"), Some(&second), GRACE, at(4000)), at(4000), "the machine slept");
    }

    #[test]
    fn who_is_silent_is_given_up() {
        let quiet = plan(&node("True"), at(10), GRACE, at(59));
        assert_eq!((quiet.is_quiet(), quiet.again), (true, Some(at(60))));
        let lost = plan(&node("True"), at(10), GRACE, at(60));
        let body = lost.steps().next().unwrap().body()["status"]["conditions"].clone();
        let told: Vec<&Value> = body.as_array().unwrap().iter().map(|one| &one["reason"]).collect();
        assert_eq!(
            told,
            ["NodeStatusUnknown", "NodeStatusNeverUpdated", "NodeStatusNeverUpdated", "NodeStatusNeverUpdated"]
        );
        assert_eq!(body[0]["message"], "Kubelet stopped posting node status.");
        assert_eq!(lost.notes[0].message, "Node n status is now: NodeNotReady");
    }

    #[test]
    fn its_pods_are_not_ready() {
        let pod = json!({"metadata": {"name": "p"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let mut plan = Plan::default();
        unready(&[Arc::new(serde_json::from_value(pod).unwrap())], at(0), &mut plan);
        assert_eq!(plan.steps().next().unwrap().body()["status"]["conditions"][0]["status"], "False");
        assert_eq!(plan.notes[0].reason, "NodeNotReady");
    }
}
