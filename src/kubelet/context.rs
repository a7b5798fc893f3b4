//! What every pod's worker is given: what all nodes share (place, images, addresses …) and what is its node's own (client, events).
//! No logic of its own beyond routing the ends of processes to those who wait for them.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;
use tokio::sync::{mpsc, oneshot};

use crate::addresses::Addresses;
use crate::cgroups::Groups;
use crate::container::files::Resolver;
use crate::events::Events;
use crate::image::Images;
use crate::known::KnownImages;
use crate::memory::MemoryWatch;
use crate::objects::Objects;
use crate::runtime::Runtime;
use crate::sandbox::Exited;
use crate::services::Services;

/// What all nodes of this process share.
pub(crate) struct Shared {
    /// A client with the rights of a node.
    pub(crate) client: Client,
    pub(crate) place: Arc<dyn Runtime>,
    pub(crate) images: Arc<Images>,
    pub(crate) known_images: KnownImages,
    pub(crate) objects: Objects,
    pub(crate) services: Services,
    pub(crate) addresses: Addresses,
    pub(crate) exits: Exits,
    /// What the kernel holds containers to, where this process may ask for it.
    pub(crate) groups: Option<Arc<Groups>>,
    /// What watches the memory of containers otherwise.
    pub(crate) memory_watch: MemoryWatch,
    /// Folders of pods, by UID.
    pub(crate) pods: PathBuf,
    /// Folders of persistent volumes.
    pub(crate) persistent: PathBuf,
    pub(crate) resolver: Resolver,
}

/// One node's means.
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    /// A client that acts as this node.
    pub(crate) client: Client,
    pub(crate) node: String,
    pub(crate) host_ip: Ipv4Addr,
    pub(crate) events: Events,
    pub(crate) cpu_millis: i64,
    pub(crate) memory: i64,
}

impl Deref for Context {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// Hands the end of each process to the one who waits for it.
#[derive(Clone, Default)]
pub(crate) struct Exits(Arc<Mutex<HashMap<String, oneshot::Sender<Exited>>>>);

impl Exits {
    /// Routes what the place reports, until it is gone.
    pub(crate) fn start(mut reports: mpsc::UnboundedReceiver<Exited>) -> Self {
        let exits = Self::default();
        let routes = exits.clone();
        tokio::spawn(async move {
            while let Some(exited) = reports.recv().await {
                let waiting = routes.take(&exited.id);
                if let Some(sender) = waiting {
                    // Whoever waited may have lost interest.
                    let _ = sender.send(exited);
                }
            }
        });
        exits
    }

    fn take(&self, id: &str) -> Option<oneshot::Sender<Exited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Announces interest in the end of a process that is about to start.
    pub(crate) fn expect(&self, id: &str) -> oneshot::Receiver<Exited> {
        let (sender, receiver) = oneshot::channel();
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        routes.insert(id.to_owned(), sender);
        receiver
    }

    /// The process did not start after all.
    pub(crate) fn forget(&self, id: &str) {
        drop(self.take(id));
    }
}
