//! A node's agent as a whole: starts the parts, stops them. No part of its own.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use tinderbox_api::streams::{
    Connection, ContainerRef, ExecOptions, LogOptions, LogStream, PodStreams, Session, StreamError,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::addresses::{self, Addresses};
use crate::config::KubeletConfig;
use crate::container::files::Resolver;
use crate::context::{Context, Exits, KnownImages};
use crate::events::Events;
use crate::node::{self, NodeAgent};
use crate::objects::Objects;
use crate::pods::handle::Pods;
use crate::pods::manager;
use crate::sandbox::{Place, PlaceError};
use crate::services::Services;
use crate::streams::Streams;
use crate::{dns, proxy};

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
    /// The name server's sockets.
    #[error("cannot serve names on {address}")]
    Names {
        /// Where.
        address: SocketAddrV4,
        /// What the place said.
        source: PlaceError,
    },
}

/// A running node. Dropping it stops the agent; the pods' processes live as long as the place does.
pub struct Kubelet {
    streams: Streams,
    place: Arc<Place>,
    stop: CancellationToken,
    manager: Mutex<Option<AbortOnDropHandle<()>>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Kubelet {
    /// Registers the node and takes up its pods.
    ///
    /// # Errors
    /// When folders cannot be made, the API refuses the node, or the name server's address is taken.
    pub async fn start(config: KubeletConfig, place: Arc<Place>) -> Result<Self, KubeletError> {
        let pods_folder = config.state_dir.join("pods");
        let persistent = config.state_dir.join("volumes");
        for path in [&pods_folder, &persistent] {
            std::fs::create_dir_all(path).map_err(|source| KubeletError::Folder { path: path.clone(), source })?;
        }
        let known_images = KnownImages::default();
        let agent = NodeAgent {
            client: config.client.clone(),
            name: config.node_name.clone(),
            labels: config.labels,
            address: addresses::NODE.to_string(),
            capacity: config.capacity,
            images: known_images.clone(),
        };
        let uid = agent
            .register()
            .await
            .map_err(|source| KubeletError::Register { name: config.node_name.clone(), source })?;
        let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let events = Events::start(config.client.clone(), config.node_name.clone());
        node::announce(&config.node_name, &events);
        let context = Arc::new(Context {
            exits: Exits::start(place.exits()),
            events,
            objects: Objects::new(config.client.clone()),
            services: Services::start(config.client.clone()),
            addresses: Addresses::default(),
            resolver: Resolver { cluster: config.cluster_dns, machine: machine.clone() },
            client: config.client,
            node: config.node_name,
            host_ip: addresses::NODE,
            place: place.clone(),
            images: config.images,
            known_images,
            pods: pods_folder,
            persistent,
            cpu_millis: config.capacity.cpu_millis,
            memory: config.capacity.memory,
        });
        let mut tasks = vec![tokio::spawn(agent.keep(uid))];
        if let Some(address) = config.cluster_dns {
            let address = SocketAddrV4::new(address, DNS_PORT);
            let server = dns::Server::bind(&place, address, context.services.clone(), &machine).await;
            let server = server.map_err(|source| KubeletError::Names { address, source })?;
            tasks.push(tokio::spawn(server.run()));
        }
        tasks.push(tokio::spawn(proxy::run(place.clone(), context.services.clone())));
        let pods = Pods::default();
        let stop = CancellationToken::new();
        let manager = tokio::spawn(manager::run(context.clone(), pods.clone(), stop.clone()));
        Ok(Self {
            streams: Streams { context, pods },
            place,
            stop,
            manager: Mutex::new(Some(AbortOnDropHandle::new(manager))),
            _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect(),
        })
    }

    /// The place in which the pods run.
    #[must_use]
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Stops the agent, which leaves the API as it is, and then ends every process of every pod with the place.
    pub async fn stop(&self) {
        self.stop.cancel();
        let manager = self.manager.lock().await.take();
        if let Some(manager) = manager
            && let Err(error) = manager.await
        {
            tracing::error!(%error, "the pods' manager did not end well");
        }
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

    fn dial(&self, address: SocketAddrV4) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        self.streams.dial(address)
    }
}
