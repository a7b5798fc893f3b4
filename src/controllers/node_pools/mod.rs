//! Pools of nodes that grow for pods that fit nowhere, and give back nodes that nobody needs. The loop; what to do is decided in `grow`
//! and `shrink`. A node comes and goes by its object alone: whoever runs nodes follows those.
//! Upstream: the Cluster Autoscaler (kubernetes/autoscaler), whose words, taint and rules these are.

mod grow;
mod shrink;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Node, ObjectReference, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use tinderbox_api::pools::{Pool, Pools};
use tinderbox_client::clock::after;
use tinderbox_client::{Cache, Note, Queue, Result, Runner, Severity, runner::Action};

use crate::context::Context;
use crate::meta::{controller_of, is_deleting};
use crate::pods::{condition, is_over};
use crate::scheduler::verdict::Seat;

/// The taint of a node that is about to go.
const LEAVING: &str = "ToBeDeletedByClusterAutoscaler";
/// A pod that a budget keeps on a node that is about to go is asked again after this time.
const AGAIN: Duration = Duration::from_secs(2);

/// What is remembered between two looks.
#[derive(Debug, Default)]
struct Memory {
    /// Since when nobody needs a node.
    idle: HashMap<String, Timestamp>,
    /// What was last said of a pod that waits, by uid.
    told: HashMap<String, String>,
}

/// What there is.
struct Observed {
    nodes: Vec<Arc<Node>>,
    pods: Vec<Arc<Pod>>,
    budgets: Vec<Arc<PodDisruptionBudget>>,
    namespaces: Vec<Arc<Namespace>>,
}

impl Observed {
    /// The nodes of a pool, those that are about to go included.
    fn of<'a>(&'a self, pools: &'a Pools, pool: &'a Pool) -> impl Iterator<Item = &'a Arc<Node>> {
        let ours =
            |node: &&Arc<Node>| pools.of(node).is_some_and(|one| one.name == pool.name) && !is_deleting(&***node);
        self.nodes.iter().filter(ours)
    }

    fn on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Arc<Pod>> {
        let on = move |pod: &&Arc<Pod>| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
        self.pods.iter().filter(on).filter(|pod| !is_over(pod))
    }

    /// The nodes that pods can go to, with their pods. A node that has not said yet what it offers offers what its pool does.
    fn seats(&self, pools: &Pools) -> Vec<Seat> {
        let stays = self.nodes.iter().filter(|node| !is_deleting(&***node) && !is_leaving(node));
        stays
            .map(|node| {
                let mut seat = Seat::new(offered(node, pools));
                self.on(&node.name_any()).for_each(|pod| seat.take(pod));
                seat
            })
            .collect()
    }
}

fn offered(node: &Arc<Node>, pools: &Pools) -> Arc<Node> {
    let said = node.status.as_ref().is_some_and(|status| status.allocatable.is_some());
    match pools.of(node) {
        Some(pool) if !said => {
            let mut node = (**node).clone();
            node.status = pools.template(pool, 0).status;
            Arc::new(node)
        }
        _ => node.clone(),
    }
}

fn is_leaving(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().any(|taint| taint.key == LEAVING)
}

/// Whether a pod is one of those that every node has.
fn is_of_daemon(pod: &Pod) -> bool {
    controller_of(pod).is_some_and(|owner| owner.kind == "DaemonSet")
        || pod.annotations().contains_key("kubernetes.io/config.mirror")
}

/// Whether the scheduler has said that a pod fits nowhere.
fn waits(pod: &Pod) -> bool {
    let said = condition(pod, "PodScheduled");
    let homeless = pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref().is_none_or(str::is_empty));
    homeless
        && !is_over(pod)
        && !is_deleting(pod)
        && said.is_some_and(|one| one.status == "False" && one.reason.as_deref() == Some("Unschedulable"))
}

/// An event about the pools as a whole, where the Cluster Autoscaler writes it: at its status.
fn at_status(reason: &str, message: String) -> Note {
    let regarding = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ConfigMap".to_owned()),
        namespace: Some("kube-system".to_owned()),
        name: Some("cluster-autoscaler-status".to_owned()),
        ..ObjectReference::default()
    };
    Note { regarding, severity: Severity::Normal, reason: reason.to_owned(), message }
}

/// Runs the controller, which has one key: everything.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let pools = context.config.pools.clone();
        let nodes: Cache<Node> = context.caches.get();
        let pods: Cache<Pod> = context.caches.get();
        let budgets: Cache<PodDisruptionBudget> = context.caches.get();
        let namespaces: Cache<Namespace> = context.caches.get();
        let queue = Queue::new(context.clock.clone());
        nodes.subscribe({
            let queue = queue.clone();
            move |change| {
                let what = |node: &Arc<Node>| {
                    (node.spec.clone(), node.metadata.labels.clone(), crate::nodes::ready(node).map(str::to_owned))
                };
                if change.old.map(what) != change.new.map(what) {
                    queue.add(String::new());
                }
            }
        });
        // Where no pool can change its size, pods change nothing either.
        if pools.iter().any(|pool| pool.max > pool.min) {
            pods.subscribe({
                let queue = queue.clone();
                move |change| {
                    let what = |pod: &Arc<Pod>| {
                        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
                        (node, waits(pod), is_over(pod), is_deleting(&**pod))
                    };
                    if change.old.map(what) != change.new.map(what) {
                        queue.add(String::new());
                    }
                }
            });
        }
        nodes.synced().await?;
        pods.synced().await?;
        budgets.synced().await?;
        namespaces.synced().await?;
        let applier = context.applier("cluster-autoscaler", "cluster-autoscaler");
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let runner = Runner { name: "node pools", queue, concurrency: 1, token: context.token.clone() };
        let clock = context.clock.clone();
        runner
            .run(move |_: String| {
                let (pools, memory, applier, now) = (pools.clone(), memory.clone(), applier.clone(), clock.now());
                let observed = Observed {
                    nodes: nodes.list(),
                    pods: pods.list(),
                    budgets: budgets.list(),
                    namespaces: namespaces.list(),
                };
                async move {
                    let (growth, departures) = {
                        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                        (grow::plan(&observed, &pools, &mut memory), shrink::plan(&observed, &pools, &mut memory, now))
                    };
                    let mut again = applier.apply(growth).await?;
                    // Each node goes by itself: what one waits for keeps no other.
                    for plan in departures {
                        let at = match applier.apply(plan).await {
                            Ok(at) => at,
                            Err(error) => {
                                tracing::debug!(%error, "a node cannot be emptied yet");
                                Some(after(now, AGAIN))
                            }
                        };
                        again = [again, at].into_iter().flatten().min();
                    }
                    Ok(Action::from(again))
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// How many nodes each pool has, by its name.
fn sizes(observed: &Observed, pools: &Pools) -> BTreeMap<String, u32> {
    pools
        .iter()
        .map(|pool| (pool.name.clone(), u32::try_from(observed.of(pools, pool).count()).unwrap_or(u32::MAX)))
        .collect()
}

#[cfg(test)]
mod tests;
