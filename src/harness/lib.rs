//! Tinderbox as a library: the use cases behind the command line, each a function from a [`Project`] to a typed report.
//!
//! ```no_run
//! # async fn example() -> Result<(), tinderbox::Error> {
//! let project = tinderbox::Project::open(&tinderbox::Place { cluster: "local".into(), ..Default::default() })?;
//! let talk = tinderbox::Talk::silent();
//! let (_, cluster) = tinderbox::up::up(&project, "up", std::future::pending(), &talk).await?;
//! let app = project.target("flights-report")?;
//! let what = tinderbox::run::What { app: "flights-report", path: &app, at: None, budget: std::time::Duration::from_secs(300) };
//! let report = tinderbox::run::run(&project, &cluster, what, std::future::pending(), &talk).await?;
//! assert_eq!(report.outcome, tinderbox::run::Outcome::Succeeded);
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
pub mod diagnose;
pub mod doctor;
pub mod e2e;
pub mod error;
pub mod event;
pub mod explain;
pub mod export;
mod follow;
pub mod gitops;
mod history;
pub mod image;
mod images;
pub mod inquire;
pub mod kin;
pub mod kubectl;
pub mod logs;
pub mod manifest;
mod moment;
pub mod nodes;
mod observe;
pub mod parity;
pub mod project;
pub mod reaper;
pub mod report;
pub mod run;
pub mod scenario;
mod session;
pub mod snapshot;
pub mod status;
pub mod suggest;
mod tell;
pub mod timeline;
pub mod up;
pub mod workflow;

pub use error::{Class, Error};
pub use event::{Event, Talk};
pub use project::{Flavour, Place, Project};
pub use session::Submitted;
pub use tinderbox_providers as providers;
