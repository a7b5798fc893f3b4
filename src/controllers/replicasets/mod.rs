//! ReplicaSets and ReplicationControllers: as many pods as asked for. The loop; what to do is decided in `plan`.

mod keeper;
mod plan;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use tinderbox_client::{Applier, Cache, Error, ObjectKey, Queue, Result, Runner, runner::Action};

use crate::context::Context;
use crate::meta;
use keeper::Keeper;

/// Runs the controller of one kind.
pub(crate) fn run<K: Keeper>(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let sets = context.caches.get::<K>();
        let pods = context.caches.get::<Pod>();
        let queue = Queue::new(context.clock.clone());
        sets.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        pods.subscribe({
            let (queue, sets) = (queue.clone(), sets.clone());
            move |change| {
                for pod in [change.old, change.new].into_iter().flatten() {
                    owners_of(pod, &sets).into_iter().for_each(|key| queue.add(key));
                }
            }
        });
        sets.synced().await?;
        pods.synced().await?;
        let applier = context.applier("kube-controller-manager", K::COMPONENT);
        let runner = Runner { name: K::NAME, queue, concurrency: 8, token: context.token.clone() };
        let clock = context.clock.clone();
        runner
            .run(move |key| {
                let (sets, pods) = (sets.clone(), pods.clone());
                reconcile(key, sets, pods, applier.clone(), clock.now())
            })
            .await;
        Ok(())
    }
    .boxed()
}

fn owners_of<K: Keeper>(pod: &Pod, sets: &Cache<K>) -> Vec<ObjectKey> {
    meta::owners_of(pod, sets, |set| {
        let wanted = set.wish().ok().and_then(|wish| meta::selector(&wish.selector).ok());
        wanted.is_some_and(|wanted| wanted.matches_map(pod.metadata.labels.as_ref()))
    })
}

async fn reconcile<K: Keeper>(
    key: ObjectKey,
    sets: Cache<K>,
    pods: Cache<Pod>,
    applier: Arc<Applier>,
    now: jiff::Timestamp,
) -> Result<Action> {
    let Some(set) = sets.get(&key) else {
        return Ok(Action::Done);
    };
    let plan = plan::plan(&*set, &pods.in_namespace(&key.namespace), now)?;
    match applier.apply(plan).await {
        Ok(again) => Ok(again.into()),
        Err(error) => {
            if let Some(step) = failure_to_tell(&sets, &key, &error, now) {
                applier.step(step).await?;
            }
            Err(error)
        }
    }
}

/// A refused create is told in the status, where the Deployment above finds it.
fn failure_to_tell<K: Keeper>(
    sets: &Cache<K>,
    key: &ObjectKey,
    error: &Error,
    now: jiff::Timestamp,
) -> Option<tinderbox_client::Step> {
    if error.is_conflict() || error.is_namespace_terminating() || error.status().is_none() {
        return None;
    }
    plan::failed(&*sets.get(key)?, &error.message(), now)
}
