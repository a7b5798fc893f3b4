//! Nodes: their objects and leases, registered at the start, renewed for as long as they live; and all of them together.

mod agent;
pub(crate) mod fleet;
mod machine;
pub(crate) mod object;

pub(crate) use self::agent::NodeAgent;
pub use self::machine::capacity_of_machine;
