//! What a kubelet is started with.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;

use crate::image::Images;

/// What a node offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a CPU.
    pub cpu_millis: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of disk under the state folder.
    pub ephemeral_storage: i64,
    /// Pods at most.
    pub pods: i64,
}

/// What a kubelet is started with; there are no defaults.
pub struct KubeletConfig {
    /// A client with the rights of a node.
    pub client: Client,
    /// The node's name.
    pub node_name: String,
    /// Labels of the node besides the standard ones.
    pub labels: BTreeMap<String, String>,
    /// The address that pods ask for names; `None` leaves them with the machine's own servers.
    pub cluster_dns: Option<Ipv4Addr>,
    /// Folder of this cluster: pods live in `pods/UID` below it, persistent volumes in `volumes`.
    pub state_dir: PathBuf,
    /// Where images come from.
    pub images: Arc<Images>,
    /// What the node offers; [`Capacity::of_machine`] for all that the machine has.
    pub capacity: Capacity,
}
