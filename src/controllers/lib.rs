//! Kubernetes' own controllers and its scheduler, over any client: namespaces, garbage collection, workloads, services,
//! accounts, certificates, volumes. Each one looks, plans and applies; none knows how the API is served or how pods run.

mod accounts;
mod aggregation;
mod autoscaling;
mod certificates;
mod context;
mod cronjobs;
mod daemonsets;
mod deployments;
mod disruption;
mod endpoints;
mod eviction;
mod gc;
mod hash;
mod jobs;
mod meta;
mod namespaces;
mod node_pools;
mod nodes;
mod podgc;
mod pods;
mod quotas;
mod replicasets;
mod resources;
mod revisions;
mod scheduler;
mod statefulsets;
mod tokens;
mod volumes;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;
use kube::Client;
use tinderbox_client::error::chain;
use tinderbox_client::{Caches, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use context::Config;
use context::Context;
use resources::Resources;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// How long a controller may take to end.
const FAREWELL: Duration = Duration::from_millis(700);

type Run = Arc<dyn Fn(Context) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Every controller by name.
fn table(resources: &Resources) -> Vec<(&'static str, Run)> {
    let over = |run: fn(Context, Resources) -> BoxFuture<'static, Result<()>>| -> Run {
        let resources = resources.clone();
        Arc::new(move |context| run(context, resources.clone()))
    };
    vec![
        ("scheduler", Arc::new(scheduler::run)),
        ("accounts", Arc::new(accounts::run)),
        ("deployments", Arc::new(deployments::run)),
        ("replicasets", Arc::new(replicasets::run::<ReplicaSet>)),
        ("replication controllers", Arc::new(replicasets::run::<ReplicationController>)),
        ("statefulsets", Arc::new(statefulsets::run)),
        ("daemonsets", Arc::new(daemonsets::run)),
        ("jobs", Arc::new(jobs::run)),
        ("cronjobs", Arc::new(cronjobs::run)),
        ("endpoints", Arc::new(endpoints::run)),
        ("volumes", Arc::new(volumes::run)),
        ("tokens", Arc::new(tokens::run)),
        ("certificates", Arc::new(certificates::run)),
        ("aggregation", Arc::new(aggregation::run)),
        ("nodes", Arc::new(nodes::run)),
        ("eviction", Arc::new(eviction::run)),
        ("pod garbage", Arc::new(podgc::run)),
        ("node pools", Arc::new(node_pools::run)),
        ("autoscaling", Arc::new(autoscaling::run)),
        ("disruption", Arc::new(disruption::run)),
        ("resources", over(resources::run)),
        ("quotas", over(quotas::run)),
        ("namespaces", over(namespaces::run)),
        ("garbage collector", over(gc::run)),
    ]
}

/// Starts all controllers; they run on `tracker` until `token` is cancelled. A controller that fails is started again.
/// Returns the caches that they share, for others in the same process to read.
pub fn spawn_all(client: Client, config: Config, tracker: &TaskTracker, token: &CancellationToken) -> Caches {
    let caches = Caches::new(client.clone(), tracker.clone(), token.clone());
    let context = Context {
        client,
        caches: caches.clone(),
        clock: config.clock.clone(),
        config: Arc::new(config),
        tracker: tracker.clone(),
        token: token.clone(),
    };
    for (name, run) in table(&Resources::new()) {
        tracker.spawn(keep(name, run, context.clone()));
    }
    caches
}

/// Runs one controller until cancelled, again after each failure.
async fn keep(name: &'static str, run: Run, context: Context) {
    let mut pause = FIRST_PAUSE;
    while !context.token.is_cancelled() {
        let mut running = tokio::spawn(run(context.clone()));
        let outcome = tokio::select! {
            outcome = &mut running => outcome,
            () = context.token.cancelled() => {
                if tokio::time::timeout(FAREWELL, &mut running).await.is_err() {
                    running.abort();
                }
                return;
            }
        };
        match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(controller = name, error = %chain(&error), "failed, starting again"),
            Err(panic) => tracing::error!(controller = name, error = %panic, "broke off, starting again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
