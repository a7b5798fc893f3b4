//! Pods leave nodes with taints that they do not tolerate, at once or after as long as they do. The loop, and the pure decision per pod.
//! Upstream rule: k8s.io/kubernetes `pkg/controller/tainteviction/taint_eviction.go`.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kube::ResourceExt;
use tinderbox_client::clock::after;
use tinderbox_client::{Note, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::meta::is_deleting;
use crate::nodes::pods_on;
use crate::pods::{disrupt, is_over};
use crate::scheduler::affinity;

/// Runs the controller; a key is a node.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let nodes = context.caches.get::<Node>();
        let pods = context.caches.get::<Pod>();
        let queue = Queue::new(context.clock.clone());
        nodes.subscribe({
            let queue = queue.clone();
            move |change| {
                if change.old.map(|node| taints(node)) != change.new.map(|node| taints(node)) {
                    queue.add(change.key().name);
                }
            }
        });
        pods.subscribe({
            let (queue, nodes) = (queue.clone(), nodes.clone());
            move |change| {
                let node = change.new.and_then(|pod| pod.spec.as_ref()?.node_name.clone());
                let Some(node) = node else { return };
                if nodes.get(&ObjectKey::cluster(&*node)).is_some_and(|node| !taints(&node).is_empty()) {
                    queue.add(node);
                }
            }
        });
        nodes.synced().await?;
        pods.synced().await?;
        let applier = context.applier("kube-controller-manager", "taint-eviction-controller");
        let runner = Runner { name: "eviction", queue, concurrency: 2, token: context.token.clone() };
        let clock = context.clock.clone();
        runner
            .run(move |name: String| {
                let (nodes, pods, applier, now) = (nodes.clone(), pods.clone(), applier.clone(), clock.now());
                async move {
                    let Some(node) = nodes.get(&ObjectKey::cluster(name.clone())) else {
                        return Ok(Action::Done);
                    };
                    let taints = taints(&node);
                    let (mut leaving, mut again) = (Vec::new(), None::<Timestamp>);
                    for pod in pods_on(&pods, &name).into_iter().filter(|pod| !is_over(pod) && !is_deleting(&**pod)) {
                        match leaves_at(&pod, &taints, now) {
                            Some(at) if at <= now => leaving.push(leave(&pod, now)),
                            Some(at) => again = Some(again.map_or(at, |known| known.min(at))),
                            None => {}
                        }
                    }
                    for plan in leaving {
                        applier.apply(plan).await?;
                    }
                    Ok(again.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// The taints of a node that send pods off.
fn taints(node: &Node) -> Vec<Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().filter(|taint| taint.effect == "NoExecute").cloned().collect()
}

/// When a pod leaves a node with these taints; never, where it tolerates all of them for ever.
fn leaves_at(pod: &Pod, taints: &[Taint], now: Timestamp) -> Option<Timestamp> {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let mut first = None::<Timestamp>;
    for taint in taints {
        let since = taint.time_added.as_ref().map_or(now, |time| time.0);
        let mut known = tolerations.iter().filter(|one| affinity::tolerates(one, taint)).peekable();
        if known.peek().is_none() {
            return Some(now);
        }
        if let Some(seconds) = known.filter_map(|one| one.toleration_seconds).min() {
            let at = after(since, Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
            first = Some(first.map_or(at, |first| first.min(at)));
        }
    }
    first
}

/// Deletes a pod, after having said why.
fn leave(pod: &Pod, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let words = ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
    disrupt(pod, None, words, now).into_iter().for_each(|step| plan.push(step));
    plan.then();
    plan.push(Step::delete(pod));
    let text = format!("Marking for deletion Pod {}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
    plan.note(Note::normal(pod, "TaintManagerEviction", text));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn pods_stay_as_long_as_they_tolerate_it() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let taint = json!({"key": "lost", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"});
        let taints: Vec<Taint> = vec![serde_json::from_value(taint).unwrap()];
        let exists = |seconds: Value| json!({"key": "lost", "operator": "Exists", "tolerationSeconds": seconds});
        for (tolerations, wanted) in [
            (json!([]), Some("2026-01-01T00:01:00Z")),
            (json!([{"key": "other", "operator": "Exists"}]), Some("2026-01-01T00:01:00Z")),
            (json!([exists(json!(null))]), None),
            (json!([exists(json!(300)), exists(json!(90))]), Some("2026-01-01T00:01:30Z")),
            (json!([exists(json!(-5))]), Some("2026-01-01T00:00:00Z")),
        ] {
            let pod: Pod =
                serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}}))
                    .unwrap();
            let wanted = wanted.map(|text| text.parse::<Timestamp>().unwrap());
            assert_eq!(leaves_at(&pod, &taints, now), wanted, "{tolerations}");
        }
    }

    #[test]
    fn who_leaves_is_told_why() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}})).unwrap();
        let plan = leave(&pod, Timestamp::UNIX_EPOCH);
        let steps: Vec<String> = plan.steps().map(Step::describe).collect();
        assert_eq!(steps, ["patch pods/status n/p", "delete pods n/p"]);
        assert_eq!(plan.steps().next().unwrap().body()["status"]["conditions"][0]["reason"], "DeletionByTaintManager");
        assert_eq!(plan.notes[0].message, "Marking for deletion Pod n/p");
    }
}
