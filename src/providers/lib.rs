//! Places to run a cluster in. A provider brings a Kubernetes up and takes it away; what is done with it is not its business.
//! The embedded place is the one composer of store, API server, controllers and kubelet. Nothing here prints.

mod any;
pub mod aside;
pub mod embedded;
pub mod engine;
mod error;
mod folder;
pub mod kind;
mod place;

pub use any::AnyProvider;
pub use embedded::program;
pub use error::{Class, Error};
pub use folder::Folder;
pub use place::{Abilities, Arrival, Down, Endpoint, Found, Plan, Provider, ProviderName, Talk, Up, context};
