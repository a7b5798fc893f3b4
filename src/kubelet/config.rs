//! What a kubelet is started with.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tinderbox_api::pools::Pools;

use crate::cgroups::Groups;
use crate::image::Images;

/// What a kubelet is started with; there are no defaults.
pub struct KubeletConfig {
    /// A client with the rights of a node, for what all nodes share: services, config maps, secrets.
    pub client: Client,
    /// A client that acts as the node of that name.
    pub as_node: Arc<dyn Fn(&str) -> Client + Send + Sync>,
    /// The pools that nodes come from: as many of each as its minimum says are made at once.
    pub pools: Pools,
    /// How often a node renews its lease.
    pub renew: Duration,
    /// The address that pods ask for names; `None` leaves them with the machine's own servers.
    pub cluster_dns: Option<Ipv4Addr>,
    /// Folder of this cluster: pods live in `pods/UID` below it, persistent volumes in `volumes`.
    pub state_dir: PathBuf,
    /// Where images come from.
    pub images: Arc<Images>,
    /// Groups that hold containers to their limits; without them memory is watched, and CPU time is not limited.
    pub groups: Option<Groups>,
}
