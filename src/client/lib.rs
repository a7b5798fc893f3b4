//! What every controller stands on: a clock, shared caches of watched objects, a level-triggered runner, plans and the one
//! loop that applies them, events, and metrics. It knows a `kube::Client` and nothing of who answers it.

pub mod applier;
pub mod cache;
pub mod caches;
pub mod clock;
pub mod discovery;
pub mod error;
pub mod events;
pub mod key;
pub mod leader;
pub mod metrics;
pub mod patch;
pub mod plan;
pub mod queue;
pub mod runner;
pub mod wait;

pub use applier::Applier;
pub use cache::{Cache, Change};
pub use caches::Caches;
pub use clock::{Clock, ManualClock};
pub use error::{Error, Result};
pub use events::{Note, Recorder, Severity};
pub use key::ObjectKey;
pub use leader::Contender;
pub use plan::{Plan, Step, Verb};
pub use queue::Queue;
pub use runner::{Action, Runner};
