//! A node: pods become processes. Images, mounts, volumes, addresses, names, logs and exec; it knows the cluster only through
//! a Kubernetes client, and must not reach into the API server or the store.

pub mod image;
pub mod sandbox;
