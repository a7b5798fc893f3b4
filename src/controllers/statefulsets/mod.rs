//! StatefulSets: pods with names, volumes and an order. The loop; what to do is decided in `plan`.

mod claims;
mod identity;
mod plan;
mod status;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use tinderbox_client::{Applier, Cache, ObjectKey, Queue, Result, Runner, runner::Action};

use crate::context::Context;
use crate::meta;

#[derive(Clone)]
struct World {
    sets: Cache<StatefulSet>,
    pods: Cache<Pod>,
    claims: Cache<PersistentVolumeClaim>,
    revisions: Cache<ControllerRevision>,
    applier: Arc<Applier>,
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let world = World {
            sets: context.caches.get(),
            pods: context.caches.get(),
            claims: context.caches.get(),
            revisions: context.caches.get(),
            applier: context.applier("kube-controller-manager", "statefulset-controller"),
        };
        let queue = Queue::new(context.clock.clone());
        subscribe(&world, &queue);
        world.sets.synced().await?;
        world.pods.synced().await?;
        world.claims.synced().await?;
        world.revisions.synced().await?;
        let clock = context.clock.clone();
        let runner = Runner { name: "statefulsets", queue, concurrency: 4, token: context.token.clone() };
        runner.run(move |key| reconcile(world.clone(), key, clock.now())).await;
        Ok(())
    }
    .boxed()
}

fn subscribe(world: &World, queue: &Queue<ObjectKey>) {
    world.sets.subscribe({
        let queue = queue.clone();
        move |change| queue.add(change.key())
    });
    world.pods.subscribe({
        let (queue, sets) = (queue.clone(), world.sets.clone());
        move |change| {
            for pod in [change.old, change.new].into_iter().flatten() {
                owners_of(pod, &sets).into_iter().for_each(|key| queue.add(key));
            }
        }
    });
    // A claim that goes makes room for the next one of its name.
    world.claims.subscribe({
        let (queue, sets) = (queue.clone(), world.sets.clone());
        move |change| {
            let key = change.key();
            for set in sets.in_namespace(&key.namespace).iter().filter(|_| change.new.is_none()) {
                if key.name.contains(&format!("-{}-", set.name_any())) {
                    queue.add(ObjectKey::of(&**set));
                }
            }
        }
    });
}

fn owners_of(pod: &Pod, sets: &Cache<StatefulSet>) -> Vec<ObjectKey> {
    meta::owners_of(pod, sets, |set| identity::ordinal(set, pod).is_some())
}

async fn reconcile(world: World, key: ObjectKey, now: Timestamp) -> Result<Action> {
    let Some(set) = world.sets.get(&key) else {
        return Ok(Action::Done);
    };
    let seen = plan::Seen {
        pods: &world.pods.in_namespace(&key.namespace),
        claims: &world.claims.in_namespace(&key.namespace),
        revisions: &world.revisions.in_namespace(&key.namespace),
    };
    let plan = plan::plan(&set, &seen, now)?;
    Ok(world.applier.apply(plan).await?.into())
}
