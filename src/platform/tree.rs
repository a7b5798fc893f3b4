//! The controller of applications over the working tree of a project. What it does is its own affair.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tinderbox_client::Clock;
use tinderbox_client::metrics::Registry;
use tinderbox_gitops::controller::{self, Config, Local};
use tinderbox_gitops::source::Repository;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ARGOCD;

/// How often it is looked whether files have changed.
const EVERY: Duration = Duration::from_millis(100);

/// Starts the controller of applications with the client of its account. Whatever repository an application names, the files are
/// those of the working tree that `project` is in. Its numbers are in `metrics`. It runs on `tracker` until `token` is cancelled.
pub fn gitops(
    client: &Client,
    clock: Clock,
    project: &Path,
    metrics: &Registry,
    tracker: &TaskTracker,
    token: &CancellationToken,
) {
    let local = Local::new(Repository::at(project), Vec::new());
    tracker.spawn(local.clone().watch(EVERY, clock.clone(), token.clone()));
    let config = Config { clock, sources: Arc::new(local), namespace: ARGOCD.to_owned(), metrics: metrics.clone() };
    controller::spawn(client, config, tracker, token);
}
