//! Pods whose node is gone for good: nobody is left to end them, so they are failed and deleted here.
//! Upstream rule: k8s.io/kubernetes `pkg/controller/podgc/gc_controller.go`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use tinderbox_client::clock::after;
use tinderbox_client::{ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::meta::is_deleting;
use crate::nodes::{pods_on, ready};
use crate::pods::{disrupt, is_over};

/// How long a node that pods name may take to show up.
const QUARANTINE: Duration = Duration::from_secs(40);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Runs the controller; a key is the name of a node.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let nodes = context.caches.get::<Node>();
        let pods = context.caches.get::<Pod>();
        let queue = Queue::new(context.clock.clone());
        nodes.subscribe({
            let queue = queue.clone();
            move |change| {
                if change.new.is_none_or(|node| is_out_of_service(node)) {
                    queue.add(change.key().name);
                }
            }
        });
        pods.subscribe({
            let (queue, nodes) = (queue.clone(), nodes.clone());
            move |change| {
                let Some(name) = change.new.and_then(|pod| pod.spec.as_ref()?.node_name.clone()) else { return };
                if nodes.get(&ObjectKey::cluster(&*name)).is_none_or(|node| is_out_of_service(&node)) {
                    queue.add(name);
                }
            }
        });
        nodes.synced().await?;
        pods.synced().await?;
        let applier = context.applier("kube-controller-manager", "pod-garbage-collector");
        let missing: Arc<Mutex<HashMap<String, Timestamp>>> = Arc::default();
        let runner = Runner { name: "pod garbage", queue, concurrency: 2, token: context.token.clone() };
        let clock = context.clock.clone();
        runner
            .run(move |name: String| {
                let (nodes, pods, applier, now) = (nodes.clone(), pods.clone(), applier.clone(), clock.now());
                let missing = missing.clone();
                async move {
                    let node = nodes.get(&ObjectKey::cluster(name.clone()));
                    let since = {
                        let mut missing = missing.lock().unwrap_or_else(PoisonError::into_inner);
                        if node.is_some() {
                            missing.remove(&name);
                        }
                        node.is_none().then(|| *missing.entry(name.clone()).or_insert(now))
                    };
                    let pods = pods_on(&pods, &name);
                    if let Some(until) = since.map(|since| after(since, QUARANTINE)).filter(|until| *until > now) {
                        return Ok(if pods.is_empty() { Action::Done } else { Action::At(until) });
                    }
                    // On a node that is out of service others have asked for the end of a pod, which nobody there brings about.
                    let lost = node.as_ref().is_none_or(|node| is_out_of_service(node));
                    for pod in pods.iter().filter(|pod| lost && (node.is_none() || is_deleting(&***pod))) {
                        applier.apply(remove(pod, now)).await?;
                    }
                    Ok(Action::Done)
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

fn is_out_of_service(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    ready(node) != Some("True") && taints.iter().any(|taint| taint.key == OUT_OF_SERVICE)
}

/// Fails a pod and deletes it without grace.
fn remove(pod: &Pod, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if !is_over(pod) {
        let words = ("DeletionByPodGC", "PodGC: node no longer exists");
        disrupt(pod, Some("Failed"), words, now).into_iter().for_each(|step| plan.push(step));
    }
    plan.then();
    plan.push(Step::delete(pod).at_once());
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_without_a_node_has_failed() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}})).unwrap();
        let plan = remove(&pod, Timestamp::UNIX_EPOCH);
        let steps: Vec<String> = plan.steps().map(Step::describe).collect();
        assert_eq!(steps, ["patch pods/status n/p", "delete pods n/p"]);
        let status = &plan.steps().next().unwrap().body()["status"];
        assert_eq!(
            (&status["phase"], &status["conditions"][0]["reason"]),
            (&json!("Failed"), &json!("DeletionByPodGC"))
        );
    }
}
