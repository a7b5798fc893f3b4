//! Images in OCI's and Docker's form: a store of unpacked layers in the user's cache folder, archives, registries. Rootless, and
//! shared by all clusters of a user.
//!
//! The client of registries is our own, upon the HTTP client that downloads packages: what is needed of the protocol is small, and
//! a download that stopped must go on where it was, which the ready-made clients do not do.

mod accounts;
mod archive;
mod collect;
mod decompress;
mod digest;
mod error;
mod keep;
mod layer;
mod manifest;
mod pull;
mod record;
mod registry;
mod store;
#[cfg(test)]
mod tests;
mod view;

pub use accounts::Accounts;
pub(crate) use collect::EVERY as COLLECT_EVERY;
pub use decompress::reader as unpacked;
pub use digest::Digest;
pub use error::OciError;
pub use keep::{Pruned, Stored};
pub use record::{Origin, Record};
pub(crate) use registry::Keyring;
pub use store::{Hold, Store};
pub use view::Unpacked;
