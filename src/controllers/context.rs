//! What every controller is given: caches, the applier, the clock and the configuration. Nothing is decided here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tinderbox_api::certificates::Authority;
use tinderbox_api::pools::Pools;
use tinderbox_client::{Applier, Caches, Clock, Recorder};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the controllers have to be told.
#[derive(Clone)]
pub struct Config {
    /// The cluster's certificate authority (PEM), for `kube-root-ca.crt` in each namespace.
    pub ca: String,
    /// What signs requests for certificates.
    pub authority: Arc<dyn Authority>,
    /// Folder for the volumes that are made on demand; nothing outside it is ever created or removed.
    pub volumes_dir: PathBuf,
    /// Where the time comes from.
    pub clock: Clock,
    /// How long a node may be silent before it counts as not ready (`--node-monitor-grace-period`).
    pub node_grace: Duration,
    /// The pools that nodes come from.
    pub pools: Pools,
}

/// A controller's view of the world. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) caches: Caches,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<Config>,
    pub(crate) tracker: TaskTracker,
    pub(crate) token: CancellationToken,
}

impl Context {
    /// An applier that writes as `manager` and publishes events as `component`.
    pub(crate) fn applier(&self, manager: &'static str, component: &str) -> Arc<Applier> {
        let recorder =
            Recorder::new(self.client.clone(), component, self.clock.clone(), &self.tracker, self.token.clone());
        Arc::new(Applier::new(self.caches.clone(), recorder, manager))
    }
}
