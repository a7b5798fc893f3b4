//! The nodes' agent as a whole: starts the parts, stops them. No part of its own.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use tinderbox_api::streams::{
    Connection, ContainerRef, ExecOptions, LogOptions, LogStream, PodStreams, PodUsage, Session, StreamError,
};
use tokio_util::task::AbortOnDropHandle;

use crate::addresses::Addresses;
use crate::config::KubeletConfig;
use crate::container::files::Resolver;
use crate::context::{Exits, Shared};
use crate::known::KnownImages;
use crate::memory::MemoryWatch;
use crate::node::fleet::Fleet;
use crate::objects::Objects;
use crate::pods::handle::Pods;
use crate::pods::{manager, remove_roots};
use crate::runtime::Runtime;
use crate::sandbox::PlaceError;
use crate::services::Services;
use crate::stats::Meter;
use crate::streams::Streams;
use crate::{dns, proxy, room};

const DNS_PORT: u16 = 53;

/// Why a kubelet could not start.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// The folders of the node.
    #[error("cannot make the folder {path}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// The Node object.
    #[error("cannot register the node {name}")]
    Register {
        /// Its name.
        name: String,
        /// What the API said.
        source: kube::Error,
    },
    /// The Node objects.
    #[error("cannot list the nodes")]
    List(#[source] kube::Error),
    /// More nodes than addresses.
    #[error("there is no address left for the node {name}")]
    Address {
        /// Its name.
        name: String,
    },
    /// The name server's sockets.
    #[error("cannot serve names on {address}")]
    Names {
        /// Where.
        address: SocketAddrV4,
        /// What the place said.
        source: PlaceError,
    },
}

/// All nodes of a cluster, in one process. Dropping it stops the agents; the pods' processes live as long as the place does.
pub struct Kubelet {
    streams: Streams,
    fleet: Arc<Fleet>,
    place: Arc<dyn Runtime>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Kubelet {
    /// Registers the first nodes of each pool and those that are there already, takes up their pods, and follows what becomes of the
    /// Node objects from then on.
    ///
    /// # Errors
    /// When folders cannot be made, the API refuses the nodes, or the name server's address is taken.
    pub async fn start(config: KubeletConfig, place: Arc<dyn Runtime>) -> Result<Self, KubeletError> {
        let pods_folder = config.state_dir.join("pods");
        let persistent = config.state_dir.join("volumes");
        for path in [&pods_folder, &persistent] {
            std::fs::create_dir_all(path).map_err(|source| KubeletError::Folder { path: path.clone(), source })?;
        }
        let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let shared = Arc::new(Shared {
            exits: Exits::start(place.exits()),
            objects: Objects::new(config.client.clone()),
            services: Services::start(config.client.clone()),
            addresses: Addresses::default(),
            resolver: Resolver { cluster: config.cluster_dns, machine: machine.clone() },
            client: config.client,
            place: place.clone(),
            known_images: KnownImages::new(&config.images),
            images: config.images,
            groups: config.groups.map(Arc::new),
            memory_watch: MemoryWatch::start(place.clone()),
            pods: pods_folder,
            persistent,
        });
        remove_roots(&shared.pods);
        let mut tasks = vec![tokio::spawn(room::keep(shared.images.store().clone()))];
        if let Some(address) = config.cluster_dns {
            let address = SocketAddrV4::new(address, DNS_PORT);
            let server = dns::Server::bind(&*place, address, shared.services.clone(), &machine).await;
            let server = server.map_err(|source| KubeletError::Names { address, source })?;
            tasks.push(tokio::spawn(server.run()));
        }
        tasks.push(tokio::spawn(proxy::run(place.clone(), shared.services.clone())));
        let pods = Pods::default();
        let fleet = Arc::new(Fleet::new(shared.clone(), pods.clone(), config.pools, config.as_node, config.renew));
        fleet.begin().await?;
        let (following, leftovers) = (fleet.clone(), shared.clone());
        tasks.push(tokio::spawn(async move { following.follow().await }));
        tasks.push(tokio::spawn(async move { manager::remove_leftovers(&leftovers).await }));
        Ok(Self {
            streams: Streams { shared, pods, meter: Meter::default() },
            fleet,
            place,
            _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect(),
        })
    }

    /// Stops the agents, which leave the API as it is, and then ends every process of every pod with the place.
    pub async fn stop(&self) {
        self.fleet.end().await;
        self.place.stop().await;
    }
}

impl PodStreams for Kubelet {
    fn logs(&self, container: ContainerRef, options: LogOptions) -> BoxFuture<'_, Result<LogStream, StreamError>> {
        self.streams.logs(container, options)
    }

    fn exec(&self, container: ContainerRef, options: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        self.streams.exec(container, options)
    }

    fn attach(&self, container: ContainerRef, options: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        self.streams.attach(container, options)
    }

    fn port_forward(&self, pod: ContainerRef, port: u16) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        self.streams.port_forward(pod, port)
    }

    fn usage(&self) -> BoxFuture<'_, Vec<PodUsage>> {
        self.streams.usage()
    }

    fn dial(&self, address: SocketAddrV4) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        self.streams.dial(address)
    }
}
