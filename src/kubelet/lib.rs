//! Virtual nodes: pods become processes. Images, mounts, volumes, addresses, names, logs and exec; it knows the cluster only through
//! a Kubernetes client, and must not reach into the API server or the store.

mod addresses;
pub mod cgroups;
mod config;
mod container;
mod context;
mod dns;
mod events;
mod fd;
mod ids;
pub mod image;
mod known;
mod kubelet;
mod logs;
mod memory;
mod node;
mod objects;
mod pods;
mod probes;
mod proxy;
mod room;
pub mod runtime;
pub mod sandbox;
mod services;
mod stats;
mod storage;
mod streams;
mod volumes;

pub use self::config::KubeletConfig;
pub use self::kubelet::{Kubelet, KubeletError};
pub use self::node::capacity_of_machine;
