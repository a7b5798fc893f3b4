//! GitOps from the working tree: what a place is to have, what became of it in a cluster, and what would change. The controller does the
//! syncing.

mod apps;
mod diff;
mod differ;
mod place;
mod render;
mod settle;
mod sync;
mod verify;

pub use apps::{AppLine, AppReport, CommitLine, HistoryLine, ObjectLine, OperationLine, short, status};
pub(crate) use apps::{all, line};
pub use diff::{DiffReport, diff};
pub use differ::{Change, Difference};
pub use place::{Child, Plan, expand};
pub use render::{RenderReport, Rendered, render};
pub(crate) use settle::settle;
pub use sync::{Outcome, SyncReport, Synced, follow, rollback, sync};
pub(crate) use verify::driver_lacks;
pub use verify::{Fault, VerifyReport, verify};
