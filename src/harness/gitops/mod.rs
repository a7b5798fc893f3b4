//! GitOps from the working tree: what a place is to have, and what became of it in a cluster. The controller does the syncing.

mod place;
mod settle;

pub use place::{Child, Plan, expand};
pub(crate) use settle::settle;
