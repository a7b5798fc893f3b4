//! Tinderbox as a library: the use cases behind the command line, each a function from a [`Project`] to a typed report.
//!
//! ```no_run
//! # async fn example() -> Result<(), tinderbox::Error> {
//! let done = tinderbox::run("flights-report").await?;
//! assert!(done.succeeded(), "{done}");
//! # Ok(()) }
//! ```
//!
//! Nothing here prints: what happens meanwhile is told through [`Talk`], the result is returned.

mod apply;
pub mod bench;
pub mod beside;
mod claim;
pub mod cluster;
pub mod conformance;
pub mod console;
pub mod dashboards;
pub mod demo;
pub mod diagnose;
pub mod doctor;
pub mod e2e;
pub mod error;
pub mod event;
pub mod explain;
pub mod export;
mod follow;
pub mod gitops;
pub mod grafana;
mod history;
pub mod image;
mod images;
pub mod inquire;
pub mod job;
pub mod kin;
pub mod kubectl;
pub mod logs;
pub mod manifest;
mod moment;
pub mod nodes;
mod observe;
pub mod parity;
mod preflight;
pub mod project;
mod pulse;
pub mod reaper;
pub mod report;
pub mod run;
pub mod scenario;
mod session;
pub mod snapshot;
pub mod status;
pub mod suggest;
mod tell;
mod template;
pub mod timeline;
pub mod up;
pub mod workflow;

pub use error::{Class, Error};
pub use event::{Event, Talk};
pub use job::{application, run};
pub use project::{Flavour, Place, Project};
pub use session::Submitted;
pub use tinderbox_providers as providers;
