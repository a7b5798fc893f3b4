//! Places to run a cluster in. A provider brings a Kubernetes up and takes it away; what is done with it is not its business.
//! The embedded place is the one composer of store, API server, controllers and kubelet. Nothing here prints.

mod any;
pub mod aside;
pub mod embedded;
pub mod engine;
mod error;
pub mod existing;
mod folder;
pub mod kind;
pub mod merged;
mod place;
mod state;

pub use any::AnyProvider;
pub use error::{Class, Error};
pub use folder::Folder;
pub use place::{
    Abilities, Arrival, Down, Endpoint, Found, OWNER, Plan, Provider, ProviderName, Scope, Settling, Talk, Up, context,
};
