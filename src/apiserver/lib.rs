//! The Kubernetes API over HTTP, on top of the store. Resources are a table and behaviour is shared; it must not know
//! controllers, processes or files other than what the store keeps.
//!
//! A request goes through `handler` (who asks, what for, whether it may) to a verb; verbs share `write` for what happens
//! to an object on its way into the store, and `respond` for the form of the answer.

mod access;
mod admission;
pub mod auth;
mod body;
mod boot;
mod call;
mod codec;
mod convert;
pub mod crd;
mod custom;
pub mod defaults;
mod discovery;
mod endpoints;
pub mod error;
mod handler;
mod kinds;
mod metrics;
mod object;
pub mod openapi;
mod own_service;
pub mod patch;
mod path;
mod policies;
mod protobuf;
pub mod registry;
pub mod resource;
mod respond;
mod rules;
pub mod schema;
mod select;
mod server;
mod service;
pub mod streams;
pub mod table;
mod upkeep;
mod verbs;
mod view;
mod watch;
mod webhook;
mod write;

use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use jiff::Timestamp;
use tinderbox_api::streams::PodStreams;
use tinderbox_store::{OpenError, Options, Store};
use tokio_util::sync::CancellationToken;

pub use boot::StartError;
pub use service::LocalService;

use access::Access;
use auth::token::{TokenError, Tokens};
use metrics::Metrics;
use policies::Policies;
use registry::Registry;

/// The version that the server calls itself.
pub const VERSION: &str = "v1.34.2";

/// How many past events a store keeps for watches, unless told otherwise.
pub const HISTORY: usize = 8192;

/// What a server is made of.
pub struct Config {
    /// Where objects are.
    pub store: Store,
    /// Address range of services: the first two octets of a /16.
    pub service_range: [u8; 2],
    /// Addresses and ports behind the service `kubernetes`.
    pub advertised: Vec<std::net::SocketAddrV4>,
    /// What signs and checks the tokens of service accounts.
    pub tokens: Arc<Tokens>,
    /// How long pods tolerate a node that is not ready or not reached, unless they say so themselves
    /// (`--default-unreachable-toleration-seconds`).
    pub toleration_seconds: u32,
}

/// Why a configuration in memory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The store did not open.
    #[error("could not open a store in memory")]
    Store(#[from] OpenError),
    /// No key for tokens could be made.
    #[error("could not make a key for tokens")]
    Key(#[from] rcgen::Error),
    /// The key is of no use.
    #[error("could not use the key for tokens")]
    Tokens(#[from] TokenError),
}

impl Config {
    /// A configuration over a store, with the key that tokens are signed with.
    #[must_use]
    pub fn new(store: Store, tokens: Arc<Tokens>) -> Self {
        Self {
            store,
            service_range: [10, 96],
            advertised: vec![std::net::SocketAddrV4::new([10, 244, 0, 1].into(), 6443)],
            tokens,
            toleration_seconds: 300,
        }
    }

    /// A configuration that keeps everything in memory, with a key of its own.
    ///
    /// # Errors
    /// When the store does not open, or there is no randomness for a key.
    pub fn in_memory() -> Result<Self, ConfigError> {
        let options = Options { dir: None, history: HISTORY };
        let key = rcgen::KeyPair::generate()?.serialize_pem();
        Ok(Self::new(Store::open(options)?, Arc::new(Tokens::from_pem(&key)?)))
    }
}

/// The API server; clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

struct Inner {
    config: Config,
    registry: Registry,
    access: Access,
    /// Taken while something is given out that no two objects may have: addresses, node ports, names of kinds.
    allocation: Arc<tokio::sync::Mutex<()>>,
    streams: OnceLock<Weak<dyn PodStreams>>,
    metrics: Metrics,
    policies: Policies,
    shutdown: CancellationToken,
}

impl ApiServer {
    /// A server with the objects in place that every cluster has.
    ///
    /// # Errors
    /// When these objects cannot be written.
    pub async fn new(config: Config) -> Result<Self, StartError> {
        let server = Self(Arc::new(Inner {
            access: Access::new(&config.store, Arc::clone(&config.tokens)),
            policies: Policies::new(&config.store),
            config,
            registry: Registry::default(),
            allocation: Arc::default(),
            streams: OnceLock::new(),
            metrics: Metrics::new(SystemTime::now()),
            shutdown: CancellationToken::new(),
        }));
        server.load_definitions();
        boot::prepare(&server).await?;
        server.keep_up();
        Ok(server)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.config.store
    }

    /// The resources served.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Connects the node that runs the pods, for logs, exec and port-forward; only the first one counts. The server does
    /// not keep the node alive, because the node holds a client of the server.
    pub fn set_streams<T: PodStreams>(&self, streams: &Arc<T>) {
        let streams: Weak<T> = Arc::downgrade(streams);
        let _ = self.0.streams.set(streams);
    }

    pub(crate) fn streams(&self) -> Option<Arc<dyn PodStreams>> {
        self.0.streams.get()?.upgrade()
    }

    /// Ends listeners, connections and watches.
    pub fn shutdown(&self) {
        self.0.shutdown.cancel();
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    /// Waits for the right to give something out.
    pub(crate) async fn allocation(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.0.allocation).lock_owned().await
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.0.policies
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
