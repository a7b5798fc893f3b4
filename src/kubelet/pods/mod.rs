//! Pods of this node: one worker each, its plan, its status.

pub(crate) mod backoff;
mod conditions;
pub(crate) mod handle;
pub(crate) mod manager;
pub(crate) mod model;
pub(crate) mod plan;
pub(crate) mod qos;
mod recover;
pub(crate) mod status;
mod worker;
mod writer;

pub(crate) use self::worker::remove_roots;
