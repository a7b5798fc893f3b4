//! Monitoring: from PodMonitors, ServiceMonitors and PrometheusRules to a Prometheus that runs in the cluster; the metrics that stand
//! for exporters of their own elsewhere; and what dashboards ask. Its controller knows a Kubernetes client and nothing of who answers it.

pub mod config;
pub mod dashboards;
mod discovery;
mod operator;
pub mod rules;
mod select;
mod serve;
pub mod state;

use kube::Client;
use tinderbox_client::runner::see_out;
use tinderbox_client::{Applier, Caches, Clock, Recorder};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use serve::serve;

/// The name under which the controller writes, and speaks in events.
const NAME: &str = "prometheus-operator";

/// Starts the controller of Prometheuses, which find their targets by `discovery`; it runs on `tracker` until `token` is cancelled.
pub fn spawn(
    client: &Client,
    clock: Clock,
    discovery: config::Discovery,
    tracker: &TaskTracker,
    token: &CancellationToken,
) {
    let caches = Caches::new(client.clone(), tracker.clone(), token.clone());
    let recorder = Recorder::new(client.clone(), NAME, clock.clone(), tracker, token.clone());
    let applier = Applier::new(caches.clone(), recorder, NAME);
    let running = operator::run(caches, applier, clock, discovery, token.clone());
    tracker.spawn(see_out(NAME, "Prometheus", running, token.clone()));
}
