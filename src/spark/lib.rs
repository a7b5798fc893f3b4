//! The Spark operator: SparkApplications submitted without a JVM, followed and run again, by controllers that know a
//! Kubernetes client and nothing of who answers it.

mod controller;
pub mod defaults;
mod metrics;
mod namespaces;
mod schedule;
pub mod submission;
pub mod validation;

use futures::FutureExt;
use kube::Client;
pub use namespaces::JobNamespaces;
pub use schedule::run_at;
use tinderbox_client::metrics::Registry;
use tinderbox_client::runner::see_out;
use tinderbox_client::{Applier, Caches, Clock, Recorder};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the operator has to be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the time comes from.
    pub clock: Clock,
    /// The user that Spark runs as: the one of its image.
    pub user: String,
    /// URL of the API, as spark-submit takes it; drivers find the API by their own configuration.
    pub master: String,
    /// The namespaces that it looks at; every one, when there is none.
    pub namespaces: Vec<String>,
    /// Whose applications it serves, of those that it sees.
    pub jobs: JobNamespaces,
    /// Where it is counted what is done.
    pub metrics: Registry,
}

impl Config {
    /// The usual one.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            user: "spark".to_owned(),
            master: "k8s://https://kubernetes.default.svc:443".to_owned(),
            namespaces: Vec::new(),
            jobs: JobNamespaces::default(),
            metrics: Registry::new(),
        }
    }
}

/// The name under which the operator writes, and speaks in events.
const NAME: &str = "spark-operator";

/// Starts the operator; it runs on `tracker` until `token` is cancelled.
pub fn spawn(client: &Client, config: Config, tracker: &TaskTracker, token: &CancellationToken) {
    if config.namespaces.is_empty() {
        return operate(None, client, config, tracker, token);
    }
    // Each namespace by itself: so it needs no right beyond them.
    for namespace in &config.namespaces {
        operate(Some(namespace.clone()), client, config.clone(), tracker, token);
    }
}

fn operate(
    namespace: Option<String>,
    client: &Client,
    config: Config,
    tracker: &TaskTracker,
    token: &CancellationToken,
) {
    let client = &metrics::client(client, &config.metrics);
    let caches = Caches::within(namespace, client.clone(), tracker.clone(), token.clone());
    let recorder = Recorder::new(client.clone(), NAME, config.clock.clone(), tracker, token.clone());
    let applier = Applier::new(caches.clone(), recorder, NAME);
    let schedules = schedule::run(caches.clone(), applier.clone(), config.clone(), token.clone());
    let applications = controller::run(caches, applier, config, token.clone());
    for (kind, run) in [("ScheduledSparkApplication", schedules.boxed()), ("SparkApplication", applications.boxed())] {
        tracker.spawn(see_out(NAME, kind, run, token.clone()));
    }
}
