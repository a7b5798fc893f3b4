//! Taints that follow from what is known of a node: cordoned, under pressure, not ready. Pure; sending pods off is `eviction`'s.
//! Upstream rules: `doNoScheduleTaintingPass`, `processTaintBaseEviction` and `handleDisruption` of k8s.io/kubernetes
//! `pkg/controller/nodelifecycle`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_client::{Plan, Step};

use super::ready;

const CORDONED: &str = "node.kubernetes.io/unschedulable";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// Conditions, the status that is bad, and the taint for it.
const CONDITIONS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];

/// Gives a node the taints that it should have, and takes those that it should not; the taints of others stay. Where no node is
/// ready, `alone` says so: then it is not the node that is lost, and nobody is sent off.
pub(super) fn plan(node: &Node, alone: bool, now: Timestamp) -> Plan {
    let wanted = wanted(node, alone);
    let ours = |taint: &Taint| match taint.effect.as_str() {
        "NoSchedule" => taint.key == CORDONED || CONDITIONS.iter().any(|(_, _, key)| taint.key == *key),
        "NoExecute" => [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()),
        _ => false,
    };
    let have = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let is = |taint: &Taint, wanted: &(&str, &str)| taint.key == wanted.0 && taint.effect == wanted.1;
    let mut taints: Vec<Taint> =
        have.iter().filter(|taint| !ours(taint) || wanted.iter().any(|one| is(taint, one))).cloned().collect();
    for one in wanted {
        if !taints.iter().any(|taint| is(taint, &one)) {
            let (key, effect) = (one.0.to_owned(), one.1.to_owned());
            taints.push(Taint { key, effect, value: None, time_added: Some(Time(now)) });
        }
    }
    let mut plan = Plan::default();
    if taints != have {
        let mut new = node.clone();
        new.spec.get_or_insert_default().taints = (!taints.is_empty()).then_some(taints);
        Step::update(node, &new).into_iter().for_each(|step| plan.push(step));
    }
    plan
}

/// Keys and effects.
fn wanted(node: &Node, alone: bool) -> Vec<(&'static str, &'static str)> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |kind: &str, status: &str| conditions.iter().any(|one| one.type_ == kind && one.status == status);
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let bad = CONDITIONS.iter().filter(|(kind, status, _)| is(kind, status)).map(|(_, _, key)| *key);
    let barred = bad.chain(cordoned.then_some(CORDONED)).map(|key| (key, "NoSchedule"));
    let left = match ready(node) {
        Some("False") if !alone => Some((NOT_READY, "NoExecute")),
        Some("Unknown") if !alone => Some((UNREACHABLE, "NoExecute")),
        _ => None,
    };
    barred.chain(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn taints(node: Value) -> Value {
        let node: Node = serde_json::from_value(node).unwrap();
        let plan = plan(&node, false, Timestamp::UNIX_EPOCH);
        let written = plan.steps().next().map(|step| step.body()["spec"]["taints"].clone());
        written.unwrap_or_else(|| json!("unchanged"))
    }

    fn taint_of(key: &str, effect: &str) -> Value {
        json!({"key": format!("node.kubernetes.io/{key}"), "effect": effect, "timeAdded": "1970-01-01T00:00:00Z"})
    }

    fn taint(key: &str) -> Value {
        taint_of(key, "NoSchedule")
    }

    #[test]
    fn follow_the_node() {
        let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
        let other = json!({"key": "mine", "effect": "NoSchedule"});
        let evicting = taint_of("unreachable", "NoExecute");
        for (spec, status, wanted) in [
            (json!({}), ready("True"), json!("unchanged")),
            (json!({}), json!({}), json!("unchanged")),
            (json!({"unschedulable": true}), ready("True"), json!([taint("unschedulable")])),
            (json!({"unschedulable": true, "taints": [taint("unschedulable")]}), ready("True"), json!("unchanged")),
            (json!({"taints": [taint("unschedulable")]}), ready("True"), Value::Null),
            (
                json!({"taints": [other, taint("not-ready")]}),
                ready("Unknown"),
                json!([other, taint("unreachable"), evicting]),
            ),
            (json!({"taints": [evicting]}), ready("True"), Value::Null),
            (json!({}), ready("False"), json!([taint("not-ready"), taint_of("not-ready", "NoExecute")])),
            (
                json!({}),
                json!({"conditions": [{"type": "DiskPressure", "status": "True"}]}),
                json!([taint("disk-pressure")]),
            ),
        ] {
            assert_eq!(taints(json!({"spec": spec, "status": status})), wanted, "{spec} {status}");
        }
    }

    #[test]
    fn nobody_is_sent_off_where_there_is_no_other_node() {
        let node = json!({"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
        let node: Node = serde_json::from_value(node).unwrap();
        let plan = plan(&node, true, Timestamp::UNIX_EPOCH);
        let written: Vec<_> = plan.steps().map(|step| step.body()["spec"]["taints"].clone()).collect();
        assert_eq!(written, [json!([taint("unreachable")])]);
    }
}
