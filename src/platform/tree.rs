//! The controller of applications over the working tree of a project, and repositories elsewhere. What it does is its own affair.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tinderbox_client::Clock;
use tinderbox_client::metrics::Registry;
use tinderbox_gitops::controller::{self, Config, Local};
use tinderbox_gitops::source::{Remotes, Repository};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ARGOCD;

/// How often it is looked whether files have changed.
const EVERY: Duration = Duration::from_millis(100);

/// Where what is applied by hand lies in a project.
const ROOTS: &str = "manifests/clusters";
/// The folder of repositories among the downloads.
const REPOSITORIES: &str = "repositories";

/// Starts the controller of applications with the client of its account. The repository of the Applications that are applied by hand,
/// and those that it is a clone of, are the working tree that `project` is in; others are fetched into `downloads`. Its numbers are in
/// `metrics`. It runs on `tracker` until `token` is cancelled.
pub fn gitops(
    client: &Client,
    clock: Clock,
    project: &Path,
    downloads: &Path,
    metrics: &Registry,
    tracker: &TaskTracker,
    token: &CancellationToken,
) {
    let repository = Repository::at(project);
    let roots = project.strip_prefix(repository.root()).unwrap_or(Path::new("")).join(ROOTS);
    let local = Local::new(repository).beside(Remotes::new(downloads.join(REPOSITORIES)), roots);
    tracker.spawn(local.clone().watch(EVERY, clock.clone(), token.clone()));
    let config = Config { clock, sources: Arc::new(local), namespace: ARGOCD.to_owned(), metrics: metrics.clone() };
    controller::spawn(client, config, tracker, token);
}
