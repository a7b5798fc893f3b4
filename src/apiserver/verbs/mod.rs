//! What can be done with a resource: a file per verb. Verbs share `write` and `respond`; none but `proxy` knows a path,
//! and none a socket.

pub(crate) mod collection;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod metrics;
pub(crate) mod patch;
pub(crate) mod pods;
pub(crate) mod proxy;
pub(crate) mod review;
pub(crate) mod scale;
pub(crate) mod update;
