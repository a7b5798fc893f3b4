//! The metrics of what runs in the node process, each part at an address of its own that pods reach: what is an exporter in a pod
//! elsewhere. The Services of `manifests/clusters/local/monitoring` lead to them.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

use tinderbox_client::Caches;
use tinderbox_client::metrics::Registry;
use tinderbox_kubelet::runtime::Runtime;
use tinderbox_platform::Metrics;
use tinderbox_platform::monitoring::{serve as answer, state};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::compose::{failed, refused};
use crate::Error;

/// The address of the node that pods reach.
const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Ports of the Spark operator, of the controllers of workflows, and of the state of objects.
const PORTS: [u16; 3] = [9701, 9702, 9704];

/// Takes the addresses.
pub(super) async fn listen(place: &dyn Runtime) -> Result<Vec<TcpListener>, Error> {
    let mut listeners = Vec::new();
    for port in PORTS {
        listeners.push(place.listen_tcp(SocketAddrV4::new(NODE, port)).await.map_err(refused)?);
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
    for (listener, registry) in listeners.into_iter().zip([metrics.spark, metrics.workflows, objects]) {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed("listen"))?;
        tracker.spawn(answer(listener, registry, token.clone()));
    }
    Ok(())
}
