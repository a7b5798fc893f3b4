//! The life of nodes: who does not renew its lease is not ready, and what is not ready is tainted. The loop; what follows is decided in
//! `health` and `taints`.

mod health;
mod taints;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use tinderbox_client::{Cache, ObjectKey, Plan, Queue, Result, Runner, runner::Action};

use self::health::Pulse;
use crate::context::Context;

const LEASES: &str = "kube-node-lease";

/// The status of a node's condition `Ready`.
pub(crate) fn ready(node: &Node) -> Option<&str> {
    let conditions = node.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|one| one.type_ == "Ready").map(|one| one.status.as_str())
}

/// The pods on a node.
pub(crate) fn pods_on(pods: &Cache<Pod>, node: &str) -> Vec<Arc<Pod>> {
    let on = |pod: &Arc<Pod>| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
    pods.list().into_iter().filter(on).collect()
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let nodes = context.caches.get::<Node>();
        let leases = context.caches.get::<Lease>();
        let pods = context.caches.get::<Pod>();
        let queue = Queue::new(context.clock.clone());
        nodes.subscribe({
            let (queue, nodes) = (queue.clone(), nodes.clone());
            move |change| {
                queue.add(change.key().name);
                // Whether others are ready says what becomes of those that are not.
                if change.old.map(|node| ready(node)) != change.new.map(|node| ready(node)) {
                    nodes.list().iter().for_each(|node| queue.add(node.name_any()));
                }
            }
        });
        leases.subscribe({
            let queue = queue.clone();
            move |change| {
                let key = change.key();
                if key.namespace == LEASES {
                    queue.add(key.name);
                }
            }
        });
        nodes.synced().await?;
        leases.synced().await?;
        pods.synced().await?;
        let applier = context.applier("kube-controller-manager", "node-controller");
        let pulses: Arc<Mutex<HashMap<String, Pulse>>> = Arc::default();
        let runner = Runner { name: "nodes", queue, concurrency: 2, token: context.token.clone() };
        let (clock, grace) = (context.clock.clone(), context.config.node_grace);
        runner
            .run(move |name: String| {
                let (nodes, leases, pods) = (nodes.clone(), leases.clone(), pods.clone());
                let (applier, clock, pulses) = (applier.clone(), clock.clone(), pulses.clone());
                async move {
                    let now: Timestamp = clock.now();
                    let Some(node) = nodes.get(&ObjectKey::cluster(name.clone())) else {
                        pulses.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                        return Ok(Action::Done);
                    };
                    let lease = leases.get(&ObjectKey::new(LEASES, &*name));
                    let seen = {
                        let mut pulses = pulses.lock().unwrap_or_else(PoisonError::into_inner);
                        pulses.entry(name.clone()).or_insert_with(|| Pulse::new(now)).feel(
                            &node,
                            lease.as_deref(),
                            grace,
                            now,
                        )
                    };
                    let plan = health::plan(&node, seen, grace, now);
                    if !plan.is_quiet() {
                        // The node changes by this: it will be looked at again.
                        return Ok(applier.apply(plan).await?.into());
                    }
                    let again = plan.again;
                    if ready(&node) == Some("Unknown") {
                        let mut plan = Plan::default();
                        health::unready(&pods_on(&pods, &name), now, &mut plan);
                        applier.apply(plan).await?;
                    }
                    let alone = !nodes.list().iter().any(|node| ready(node) == Some("True"));
                    applier.apply(taints::plan(&node, alone, now)).await?;
                    Ok(again.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}
