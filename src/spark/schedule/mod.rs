//! ScheduledSparkApplications: SparkApplications at the times of a schedule. The loop; what is to be done is decided in `plan`.

mod child;
mod plan;
mod times;

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use tinderbox_api::spark::{ScheduledSparkApplication, SparkApplication, labels};
use tinderbox_client::runner::Action;
use tinderbox_client::{Applier, Cache, Caches, Clock, ObjectKey, Result, Runner};
use tokio_util::sync::CancellationToken;

use crate::namespaces::Gate;
use crate::{Config, metrics};

/// Schedules that are looked at side by side.
const CONCURRENCY: usize = 4;

/// Runs the controller until cancelled.
pub(crate) async fn run(caches: Caches, applier: Applier, config: Config, token: CancellationToken) -> Result<()> {
    let clock = config.clock.clone();
    let (schedules, apps) = (caches.get_within::<ScheduledSparkApplication>(), caches.get_within::<SparkApplication>());
    let queue = metrics::queue(&config, "scheduledsparkapplication", CONCURRENCY);
    schedules.subscribe({
        let queue = queue.clone();
        move |change| queue.add(change.key())
    });
    apps.subscribe({
        let queue = queue.clone();
        move |change| {
            for app in [change.old, change.new].into_iter().flatten() {
                if let Some(name) = app.labels().get(labels::SCHEDULED_APP_NAME) {
                    queue.add(ObjectKey::new(app.namespace().unwrap_or_default(), name));
                }
            }
        }
    });
    schedules.synced().await?;
    apps.synced().await?;
    let gate = Gate::new(&config.jobs, &caches);
    let applier = Arc::new(applier);
    let runner = Runner { name: "scheduled spark applications", queue, concurrency: CONCURRENCY, token };
    runner
        .run(move |key| reconcile(key, schedules.clone(), apps.clone(), gate.clone(), applier.clone(), clock.clone()))
        .await;
    Ok(())
}

async fn reconcile(
    key: ObjectKey,
    schedules: Cache<ScheduledSparkApplication>,
    apps: Cache<SparkApplication>,
    gate: Gate,
    applier: Arc<Applier>,
    clock: Clock,
) -> Result<Action> {
    let Some(scheduled) = schedules.get(&key) else {
        return Ok(Action::Done);
    };
    if scheduled.status.is_none() && !gate.admits(&key.namespace).await? {
        return Ok(Action::Done);
    }
    let mut runs = apps.in_namespace(&scheduled.namespace().unwrap_or_default());
    runs.retain(|app| child::is_of(&scheduled, app));
    Ok(applier.apply(plan::plan(&scheduled, runs, clock.now())).await?.into())
}

/// The run that a schedule starts at a moment, without a clock that says so.
///
/// # Errors
/// That the schedule cannot be read, or has no such moment, and then which are the ones around it.
pub fn run_at(scheduled: &ScheduledSparkApplication, moment: Timestamp) -> Result<SparkApplication, String> {
    let schedule = times::schedule(&scheduled.spec)?;
    let text = scheduled.spec.schedule.as_deref().unwrap_or_default();
    if !schedule.has(moment) {
        let next = schedule.next(moment).map_or_else(|| "never".to_owned(), |next| next.to_string());
        return Err(format!("the schedule {text:?} is not due at {moment}; after it, it is due {next}"));
    }
    Ok(child::new(scheduled, moment))
}
