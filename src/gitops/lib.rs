//! GitOps: objects from sources, and what has to be done so that a cluster has them. Rendering, comparing, planning and health
//! are pure; the controller knows a Kubernetes client and nothing of who answers it.

pub mod compare;
pub mod controller;
mod error;
mod glob;
pub mod health;
pub mod kustomize;
pub mod manifest;
pub mod project;
pub mod set;
pub mod source;
pub mod sync;
pub mod tree;

pub use error::{Error, Result};
pub use manifest::Object;
