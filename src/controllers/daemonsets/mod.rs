//! DaemonSets: one pod on every node that fits. The loop; what to do is decided in `plan`.

mod backoff;
mod manage;
mod plan;
mod pod;
mod rolling;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use tinderbox_client::{Applier, Cache, Change, ObjectKey, Queue, Result, Runner, runner::Action};

use self::backoff::Backoff;
use crate::context::Context;
use crate::meta::{self, selector};

#[derive(Clone)]
struct World {
    sets: Cache<DaemonSet>,
    pods: Cache<Pod>,
    nodes: Cache<Node>,
    revisions: Cache<ControllerRevision>,
    applier: Arc<Applier>,
    backoff: Backoff,
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let world = World {
            sets: context.caches.get(),
            pods: context.caches.get(),
            nodes: context.caches.get(),
            revisions: context.caches.get(),
            applier: context.applier("kube-controller-manager", "daemonset-controller"),
            backoff: Backoff::default(),
        };
        let queue = Queue::new(context.clock.clone());
        subscribe(&world, &queue);
        world.sets.synced().await?;
        world.pods.synced().await?;
        world.nodes.synced().await?;
        world.revisions.synced().await?;
        let clock = context.clock.clone();
        let runner = Runner { name: "daemonsets", queue, concurrency: 2, token: context.token.clone() };
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
    world.nodes.subscribe({
        let (queue, sets) = (queue.clone(), world.sets.clone());
        move |change: &Change<'_, Node>| {
            // Heartbeats change no place.
            let place = |node: &Arc<Node>| (node.metadata.labels.clone(), node.spec.clone());
            if change.old.map(place) != change.new.map(place) {
                sets.list().iter().for_each(|set| queue.add(ObjectKey::of(&**set)));
            }
        }
    });
}

fn owners_of(pod: &Pod, sets: &Cache<DaemonSet>) -> Vec<ObjectKey> {
    meta::owners_of(pod, sets, |set| {
        let wanted = set.spec.as_ref().and_then(|spec| selector(&spec.selector).ok());
        wanted.is_some_and(|wanted| wanted.matches_map(pod.metadata.labels.as_ref()))
    })
}

async fn reconcile(world: World, key: ObjectKey, now: Timestamp) -> Result<Action> {
    let Some(set) = world.sets.get(&key) else {
        return Ok(Action::Done);
    };
    let uid = set.uid().unwrap_or_default();
    let seen = plan::Seen {
        pods: &world.pods.in_namespace(&key.namespace),
        nodes: &world.nodes.list(),
        revisions: &world.revisions.in_namespace(&key.namespace),
        held: &world.backoff.held(&uid, now),
    };
    let wish = plan::plan(&set, &seen, now)?;
    wish.failed.iter().for_each(|node| world.backoff.failed(&uid, node, now));
    Ok(world.applier.apply(wish.plan).await?.into())
}
