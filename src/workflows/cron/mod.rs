//! CronWorkflows: Workflows at the times of schedules. The loop; what is to be done is decided in `plan`.

mod child;
mod plan;
mod times;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kube::ResourceExt;
use tinderbox_api::workflows::{CronWorkflow, Workflow, labels};
use tinderbox_client::runner::Action;
use tinderbox_client::{Applier, Cache, Caches, Clock, ObjectKey, Result, Runner};
use tokio_util::sync::CancellationToken;

use crate::{Config, kept, metrics};

/// Schedules that are looked at side by side.
const CONCURRENCY: usize = 4;

/// Times that were seen to, by the uids of schedules: what was not run must not be run a little later.
type Seen = Arc<Mutex<HashMap<String, Timestamp>>>;

/// Runs the controller until cancelled.
pub(crate) async fn run(caches: Caches, applier: Applier, config: Config, token: CancellationToken) -> Result<()> {
    let clock = config.clock.clone();
    let (crons, workflows) = (caches.get_within::<CronWorkflow>(), caches.get_within_shrunk(kept::shrink));
    let queue = metrics::cron_queue(&config);
    metrics::follow_schedules(&config.metrics, &crons, &workflows);
    crons.subscribe({
        let queue = queue.clone();
        move |change| queue.add(change.key())
    });
    workflows.subscribe({
        let queue = queue.clone();
        move |change| {
            for workflow in [change.old, change.new].into_iter().flatten() {
                if let Some(name) = workflow.labels().get(labels::CRON_WORKFLOW) {
                    queue.add(ObjectKey::new(workflow.namespace().unwrap_or_default(), name));
                }
            }
        }
    });
    crons.synced().await?;
    workflows.synced().await?;
    let (applier, seen) = (Arc::new(applier), Seen::default());
    let runner = Runner { name: "cron workflows", queue, concurrency: CONCURRENCY, token };
    let reconciling =
        move |key| reconcile(key, crons.clone(), workflows.clone(), applier.clone(), clock.clone(), seen.clone());
    runner.run(reconciling).await;
    Ok(())
}

async fn reconcile(
    key: ObjectKey,
    crons: Cache<CronWorkflow>,
    workflows: Cache<Workflow>,
    applier: Arc<Applier>,
    clock: Clock,
    seen: Seen,
) -> Result<Action> {
    let Some(cron) = crons.get(&key) else {
        return Ok(Action::Done);
    };
    let uid = cron.uid().unwrap_or_default();
    let mut runs = workflows.in_namespace(&key.namespace);
    runs.retain(|run| child::is_of(&cron, run));
    let last = seen.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).copied();
    let turn = plan::plan(&cron, runs, last, clock.now());
    let again = applier.apply(turn.plan).await?;
    if let Some(due) = turn.seen {
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, due);
    }
    Ok(again.into())
}

/// The workflow that a schedule starts at a moment, without a clock that says so.
///
/// # Errors
/// That a schedule cannot be read, or that none has such a moment, and then which is the next.
pub fn run_at(cron: &CronWorkflow, moment: Timestamp) -> Result<Workflow, String> {
    let schedules = times::schedules(&cron.spec)?;
    if !schedules.iter().any(|schedule| schedule.has(moment)) {
        let next = times::next(&schedules, moment).map_or_else(|| "never".to_owned(), |next| next.to_string());
        return Err(format!("{} is not due at {moment}; after it, it is due {next}", cron.name_any()));
    }
    Ok(child::new(cron, moment))
}
