//! Ingress: one port through which the machine's browsers and clients reach services by host and path. It knows a Kubernetes
//! client and a way to connect to pods, nothing of where they run.

mod backend;
mod forward;
mod page;
mod routes;
mod serve;
mod status;
mod tls;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use tinderbox_api::streams::PodStreams;
use tinderbox_client::{Cache, Caches, Clock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use routes::Routes;

/// The controller that an IngressClass of ours names.
pub const CONTROLLER: &str = "tinderbox.dev/ingress";

/// What it sees of the cluster.
struct World {
    port: u16,
    caches: Caches,
    ingresses: Cache<Ingress>,
    classes: Cache<IngressClass>,
    services: Cache<Service>,
    slices: Cache<EndpointSlice>,
    node: Arc<dyn PodStreams>,
    /// Made anew when an Ingress or a class has changed.
    routes: Mutex<Option<Arc<Routes>>>,
    turn: AtomicUsize,
}

impl World {
    fn routes(&self) -> Arc<Routes> {
        let mut known = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| Arc::new(Routes::new(&self.ingresses.list(), &self.classes.list()))).clone()
    }

    fn forget_routes(&self) {
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Serves Ingresses on a port of this machine, and writes into their status where they are reached, on `tracker` until `token` is
/// cancelled.
///
/// # Errors
/// When the listener has no port.
pub fn spawn(
    listener: TcpListener,
    caches: &Caches,
    node: Arc<dyn PodStreams>,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> std::io::Result<()> {
    let port = listener.local_addr()?.port();
    let world = Arc::new(World {
        port,
        caches: caches.clone(),
        ingresses: caches.get(),
        classes: caches.get(),
        services: caches.get(),
        slices: caches.get(),
        node,
        routes: Mutex::default(),
        turn: AtomicUsize::new(0),
    });
    let weak = Arc::downgrade(&world);
    let forget = move || {
        if let Some(world) = weak.upgrade() {
            world.forget_routes();
        }
    };
    world.ingresses.subscribe({
        let forget = forget.clone();
        move |_| forget()
    });
    world.classes.subscribe(move |_| forget());
    tracker.spawn(status::run(world.clone(), Clock::system(), tracker.clone(), token.clone()));
    tracker.spawn(serve::run(listener, world, token.clone()));
    Ok(())
}
