//! The Kubernetes API over HTTP, on top of the store. Resources are a table and behaviour is shared; it must not know
//! controllers, processes or files other than what the store keeps.

pub mod error;
pub mod schema;
