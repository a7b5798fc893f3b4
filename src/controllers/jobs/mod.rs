//! Jobs: pods that run to success, so and so many times. The loop; what to do is decided in `plan`.

mod backoff;
pub(crate) mod conditions;
mod course;
mod index;
mod indexes;
mod plan;
mod pod;
mod policy;
mod tally;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tinderbox_client::{Applier, Cache, ObjectKey, Plan, Queue, Result, Runner, runner::Action};

use crate::context::Context;
use crate::meta::{controller_of, has_finalizer, remove_finalizer};

/// Keeps a pod until its outcome is counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let jobs = context.caches.get::<Job>();
        let pods = context.caches.get::<Pod>();
        let queue = Queue::new(context.clock.clone());
        jobs.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        pods.subscribe({
            let queue = queue.clone();
            move |change| {
                for pod in [change.old, change.new].into_iter().flatten() {
                    if let Some(owner) = controller_of(&**pod).filter(|owner| owner.kind == "Job") {
                        queue.add(ObjectKey::new(pod.namespace().unwrap_or_default(), &owner.name));
                    }
                }
            }
        });
        jobs.synced().await?;
        pods.synced().await?;
        let applier = context.applier("kube-controller-manager", "job-controller");
        let clock = context.clock.clone();
        let runner = Runner { name: "jobs", queue, concurrency: 8, token: context.token.clone() };
        runner.run(move |key| reconcile(key, jobs.clone(), pods.clone(), applier.clone(), clock.now())).await;
        Ok(())
    }
    .boxed()
}

async fn reconcile(
    key: ObjectKey,
    jobs: Cache<Job>,
    pods: Cache<Pod>,
    applier: Arc<Applier>,
    now: Timestamp,
) -> Result<Action> {
    let job = jobs.get(&key);
    let uid = job.as_ref().and_then(|job| job.uid());
    let mut plan = match (&job, &uid) {
        (Some(job), Some(uid)) => plan::plan(job, &pods.controlled_by(uid), now)?,
        _ => Plan::default(),
    };
    let orphans = pods.in_namespace(&key.namespace).into_iter().filter(|pod| {
        let owner = controller_of(&**pod).filter(|owner| owner.kind == "Job" && owner.name == key.name);
        has_finalizer(&**pod, TRACKING) && owner.is_some_and(|owner| Some(&owner.uid) != uid.as_ref())
    });
    for orphan in orphans {
        remove_finalizer(&*orphan, TRACKING).into_iter().for_each(|step| plan.push(step));
    }
    Ok(applier.apply(plan).await?.into())
}
