//! Places to run a cluster in. A provider brings a Kubernetes up and takes it away; what is done with it is not its business.
//! The embedded place is the one composer of store, API server, controllers and kubelet. Nothing here prints.

pub mod embedded;
mod error;
mod place;

pub use error::{Class, Error};
pub use place::{Arrival, Down, Endpoint, Found, Provider, Talk, Up};
