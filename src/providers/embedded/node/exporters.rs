//! The metrics of what runs in the node process, each part at an address of its own that pods reach: what is an exporter in a pod
//! elsewhere; and the controller of Prometheuses, once there may be one. The Services of `manifests/clusters/local/monitoring` lead to them.

use std::net::{SocketAddrV4, TcpListener};
use std::time::Duration;

use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use tinderbox_client::metrics::Registry;
use tinderbox_client::{Caches, Clock};
use tinderbox_kubelet::runtime::Runtime;
use tinderbox_kubelet::sandbox::NODE_ADDRESS;
use tinderbox_platform::Metrics;
use tinderbox_platform::monitoring::config::Discovery;
use tinderbox_platform::monitoring::{self, serve as answer, state};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::compose::{failed, refused};
use crate::Error;

/// Ports of the Spark operator, of the controllers of workflows, of the controller of applications, and of the state of objects.
const PORTS: [u16; 4] = [9701, 9702, 9703, 9704];

/// How soon a watch that broke off is begun again.
const AGAIN: Duration = Duration::from_secs(1);
/// The binding by which the controller of Prometheuses may do anything, which `--with monitoring` brings.
const BINDING: &str = "prometheus-operator";

/// Starts the controller of Prometheuses when it has its rights: where monitoring is not wanted, it asks for nothing.
pub(super) fn watch_for_monitoring(admin: Client, operator: Client, tracker: &TaskTracker, token: &CancellationToken) {
    let (parts, stop) = (tracker.clone(), token.clone());
    tracker.spawn(async move {
        let bindings: Api<ClusterRoleBinding> = Api::all(admin);
        let there = |binding: Option<&ClusterRoleBinding>| binding.is_some();
        loop {
            let waiting = await_condition(bindings.clone(), BINDING, there);
            let waited = tokio::select! {
                waited = waiting => waited,
                () = stop.cancelled() => return,
            };
            match waited {
                Ok(_) => break,
                Err(error) => tracing::debug!(%error, "the watch for monitoring broke off"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
        monitoring::spawn(&operator, Clock::system(), Discovery::Files, &parts, &stop);
    });
}

/// Takes the addresses.
pub(super) async fn listen(place: &dyn Runtime) -> Result<Vec<TcpListener>, Error> {
    let mut listeners = Vec::new();
    for port in PORTS {
        listeners.push(place.listen_tcp(SocketAddrV4::new(NODE_ADDRESS, port)).await.map_err(refused)?);
    }
    Ok(listeners)
}

/// Serves on them what the parts tell.
pub(super) fn serve(
    listeners: Vec<TcpListener>,
    metrics: Metrics,
    caches: &Caches,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> Result<(), Error> {
    let objects = Registry::new();
    let told = state::Told { pods: caches.get(), jobs: caches.get(), cron_jobs: caches.get(), nodes: caches.get() };
    state::tell(&objects, told);
    for (listener, registry) in listeners.into_iter().zip([metrics.spark, metrics.workflows, metrics.gitops, objects]) {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed("listen"))?;
        tracker.spawn(answer(listener, registry, token.clone()));
    }
    Ok(())
}
