//! CronJobs: Jobs at the times of a schedule. The loop; what to do is decided in `plan`.

mod job;
mod plan;
mod timing;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::ResourceExt;
use tinderbox_client::{Applier, Cache, ObjectKey, Queue, Result, Runner, runner::Action};

use crate::context::Context;
use crate::meta::controller_of;

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let crons = context.caches.get::<CronJob>();
        let jobs = context.caches.get::<Job>();
        let queue = Queue::new(context.clock.clone());
        crons.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        jobs.subscribe({
            let queue = queue.clone();
            move |change| {
                for job in [change.old, change.new].into_iter().flatten() {
                    if let Some(owner) = controller_of(&**job).filter(|owner| owner.kind == "CronJob") {
                        queue.add(ObjectKey::new(job.namespace().unwrap_or_default(), &owner.name));
                    }
                }
            }
        });
        crons.synced().await?;
        jobs.synced().await?;
        let applier = context.applier("kube-controller-manager", "cronjob-controller");
        let clock = context.clock.clone();
        let runner = Runner { name: "cronjobs", queue, concurrency: 4, token: context.token.clone() };
        runner.run(move |key| reconcile(key, crons.clone(), jobs.clone(), applier.clone(), clock.now())).await;
        Ok(())
    }
    .boxed()
}

async fn reconcile(
    key: ObjectKey,
    crons: Cache<CronJob>,
    jobs: Cache<Job>,
    applier: Arc<Applier>,
    now: Timestamp,
) -> Result<Action> {
    let Some(cron) = crons.get(&key) else {
        return Ok(Action::Done);
    };
    let jobs = jobs.controlled_by(&cron.uid().unwrap_or_default());
    let plan = plan::plan(&cron, &jobs, now)?;
    let again = plan.again;
    match applier.apply(plan).await {
        // Someone else's Job has the name: this time is theirs.
        Err(error) if error.is_already_exists() => Ok(again.into()),
        outcome => Ok(outcome?.into()),
    }
}
