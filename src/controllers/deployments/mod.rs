//! Deployments: ReplicaSets that follow a template as it changes. The loop; what to do is decided in `plan`.

mod plan;
pub(crate) mod rolling;
mod status;
mod template;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use tinderbox_client::{Applier, Cache, Change, ObjectKey, Queue, Result, Runner, runner::Action};

use crate::context::Context;
use crate::meta::{self, controller_of, selector};

#[derive(Clone)]
struct World {
    deployments: Cache<Deployment>,
    sets: Cache<ReplicaSet>,
    pods: Cache<Pod>,
    applier: Arc<Applier>,
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let world = World {
            deployments: context.caches.get(),
            sets: context.caches.get(),
            pods: context.caches.get(),
            applier: context.applier("kube-controller-manager", "deployment-controller"),
        };
        let queue = Queue::new(context.clock.clone());
        subscribe(&world, &queue);
        world.deployments.synced().await?;
        world.sets.synced().await?;
        world.pods.synced().await?;
        let clock = context.clock.clone();
        let runner = Runner { name: "deployments", queue, concurrency: 4, token: context.token.clone() };
        runner.run(move |key| reconcile(world.clone(), key, clock.now())).await;
        Ok(())
    }
    .boxed()
}

fn subscribe(world: &World, queue: &Queue<ObjectKey>) {
    world.deployments.subscribe({
        let queue = queue.clone();
        move |change| queue.add(change.key())
    });
    world.sets.subscribe({
        let (queue, deployments) = (queue.clone(), world.deployments.clone());
        move |change| {
            for set in [change.old, change.new].into_iter().flatten() {
                owners_of(set, &deployments).into_iter().for_each(|key| queue.add(key));
            }
        }
    });
    // Pods matter to recreation alone, and only when the last of an old ReplicaSet goes.
    world.pods.subscribe({
        let (queue, sets) = (queue.clone(), world.sets.clone());
        move |change: &Change<'_, Pod>| {
            let gone = change.new.is_none() || change.new.is_some_and(|pod| crate::pods::is_over(pod));
            let pod = change.latest().filter(|_| gone);
            let Some(owner) = pod.and_then(controller_of).filter(|owner| owner.kind == "ReplicaSet") else {
                return;
            };
            let set = sets.get(&ObjectKey::new(change.key().namespace, &owner.name));
            if let Some(owner) = set.as_deref().and_then(controller_of) {
                queue.add(ObjectKey::new(change.key().namespace, &owner.name));
            }
        }
    });
}

fn owners_of(set: &ReplicaSet, deployments: &Cache<Deployment>) -> Vec<ObjectKey> {
    meta::owners_of(set, deployments, |deployment| {
        let wanted = deployment.spec.as_ref().and_then(|spec| selector(&spec.selector).ok());
        wanted.is_some_and(|wanted| wanted.matches_map(set.metadata.labels.as_ref()))
    })
}

async fn reconcile(world: World, key: ObjectKey, now: Timestamp) -> Result<Action> {
    let Some(deployment) = world.deployments.get(&key) else {
        return Ok(Action::Done);
    };
    let sets = world.sets.in_namespace(&key.namespace);
    let pods = world.pods.in_namespace(&key.namespace);
    let plan = plan::plan(&deployment, &sets, &pods, now)?;
    Ok(world.applier.apply(plan).await?.into())
}
