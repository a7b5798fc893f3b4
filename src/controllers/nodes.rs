//! Taints that follow from what a node says of itself: cordoned, under pressure, not ready. Nobody is evicted here.
//! Upstream rule: `doNoScheduleTaintingPass` of k8s.io/kubernetes `pkg/controller/nodelifecycle`.

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_client::{ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;

const EFFECT: &str = "NoSchedule";
const CORDONED: &str = "node.kubernetes.io/unschedulable";

/// Conditions, the status that is bad, and the taint for it.
const CONDITIONS: [(&str, &str, &str); 6] = [
    ("Ready", "False", "node.kubernetes.io/not-ready"),
    ("Ready", "Unknown", "node.kubernetes.io/unreachable"),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let nodes = context.caches.get::<Node>();
        let queue = Queue::new(context.clock.clone());
        nodes.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key().name)
        });
        nodes.synced().await?;
        let applier = context.applier("kube-controller-manager", "node-controller");
        let runner = Runner { name: "nodes", queue, concurrency: 2, token: context.token.clone() };
        let clock = context.clock.clone();
        runner
            .run(move |name: String| {
                let (nodes, applier, clock) = (nodes.clone(), applier.clone(), clock.clone());
                async move {
                    let Some(node) = nodes.get(&ObjectKey::cluster(name)) else {
                        return Ok(Action::Done);
                    };
                    Ok(applier.apply(plan(&node, clock.now())).await?.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// Gives a node the taints that it should have, and takes those that it should not; the taints of others stay. Pure.
fn plan(node: &Node, now: Timestamp) -> Plan {
    let wanted = wanted(node);
    let ours = |taint: &Taint| {
        let known = taint.key == CORDONED || CONDITIONS.iter().any(|(_, _, key)| taint.key == *key);
        taint.effect == EFFECT && known
    };
    let have = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let mut taints: Vec<Taint> =
        have.iter().filter(|taint| !ours(taint) || wanted.contains(&&*taint.key)).cloned().collect();
    for key in wanted {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == EFFECT) {
            let (key, effect) = (key.to_owned(), EFFECT.to_owned());
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

fn wanted(node: &Node) -> Vec<&'static str> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |kind: &str, status: &str| conditions.iter().any(|one| one.type_ == kind && one.status == status);
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let bad = CONDITIONS.iter().filter(|(kind, status, _)| is(kind, status)).map(|(_, _, key)| *key);
    bad.chain(cordoned.then_some(CORDONED)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn taints(node: Value) -> Value {
        let node: Node = serde_json::from_value(node).unwrap();
        let plan = plan(&node, Timestamp::UNIX_EPOCH);
        let written = plan.steps().next().map(|step| step.body()["spec"]["taints"].clone());
        written.unwrap_or_else(|| json!("unchanged"))
    }

    fn taint(key: &str) -> Value {
        json!({"key": format!("node.kubernetes.io/{key}"), "effect": "NoSchedule", "timeAdded": "1970-01-01T00:00:00Z"})
    }

    #[test]
    fn follow_the_node() {
        let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
        let other = json!({"key": "mine", "effect": "NoSchedule"});
        let evicting = json!({"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"});
        for (spec, status, wanted) in [
            (json!({}), ready("True"), json!("unchanged")),
            (json!({}), json!({}), json!("unchanged")),
            (json!({"unschedulable": true}), ready("True"), json!([taint("unschedulable")])),
            (json!({"unschedulable": true, "taints": [taint("unschedulable")]}), ready("True"), json!("unchanged")),
            (json!({"taints": [taint("unschedulable")]}), ready("True"), Value::Null),
            (json!({"taints": [other, taint("not-ready")]}), ready("Unknown"), json!([other, taint("unreachable")])),
            (json!({"taints": [evicting]}), ready("True"), json!("unchanged")),
            (
                json!({}),
                json!({"conditions": [{"type": "DiskPressure", "status": "True"}]}),
                json!([taint("disk-pressure")]),
            ),
        ] {
            assert_eq!(taints(json!({"spec": spec, "status": status})), wanted, "{spec} {status}");
        }
    }
}
