//! Workflows: what a Workflow wants done next, as a pure function; a runner of it without pods; and the controllers that carry it
//! out, who know a Kubernetes client and nothing of who answers it.

mod caller;
mod controller;
mod cron;
mod depends;
mod durations;
pub mod expr;
mod jsonpath;
mod kept;
pub mod lint;
pub mod locks;
mod metrics;
pub mod names;
mod operate;
mod outlet;
pub mod retry;
pub mod runner;
mod tags;
pub mod view;
mod when;

#[cfg(test)]
mod scenarios;

use futures::FutureExt;
use kube::Client;
use tinderbox_client::metrics::Registry;
use tinderbox_client::runner::see_out;
use tinderbox_client::{Applier, Caches, Clock, Recorder};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use cron::run_at;
pub use operate::operate;

/// What the controllers have to be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the time comes from.
    pub clock: Clock,
    /// The namespaces that they work in; every one, when there is none.
    pub namespaces: Vec<String>,
    /// Where it is counted what is done.
    pub metrics: Registry,
}

impl Config {
    /// The usual one.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, namespaces: Vec::new(), metrics: Registry::new() }
    }
}

/// The name under which the controllers write, and speak in events.
const NAME: &str = "workflow-controller";

/// Starts the controllers; they run on `tracker` until `token` is cancelled.
pub fn spawn(client: &Client, config: Config, tracker: &TaskTracker, token: &CancellationToken) {
    if config.namespaces.is_empty() {
        return control(None, client, config, tracker, token);
    }
    // Each namespace by itself: so they need no right beyond them, and know no ClusterWorkflowTemplates.
    for namespace in &config.namespaces {
        control(Some(namespace.clone()), client, config.clone(), tracker, token);
    }
}

fn control(
    namespace: Option<String>,
    client: &Client,
    config: Config,
    tracker: &TaskTracker,
    token: &CancellationToken,
) {
    let whole = namespace.is_none();
    let client = &metrics::client(client, &config.metrics);
    let caches = Caches::within(namespace, client.clone(), tracker.clone(), token.clone());
    let recorder = Recorder::new(client.clone(), NAME, config.clock.clone(), tracker, token.clone());
    let applier = Applier::new(caches.clone(), recorder, NAME);
    let crons = cron::run(caches.clone(), applier.clone(), config.clone(), token.clone());
    let workflows = controller::run(caches, applier, config, whole, token.clone());
    for (kind, run) in [("CronWorkflow", crons.boxed()), ("Workflow", workflows.boxed())] {
        tracker.spawn(see_out(NAME, kind, run, token.clone()));
    }
}
