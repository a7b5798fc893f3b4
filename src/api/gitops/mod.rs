//! Application, AppProject and ApplicationSet, `argoproj.io/v1alpha1`, as Argo CD 3 defines them: structure and definitions.
//! Upstream rule: `pkg/apis/application/v1alpha1/types.go` of argoproj/argo-cd.

mod application;
mod definitions;
pub mod marks;
mod operation;
mod project;
mod resource;
mod set;
mod source;
mod status;

pub use application::{
    Application, ApplicationSpec, Automated, Backoff, Destination, IgnoreDifference, Info, NamespaceMetadata,
    RetryStrategy, SyncPolicy,
};
pub use definitions::definitions;
pub use operation::{ApplyStrategy, Initiator, Operation, Selected, SyncOperation, SyncStrategy};
pub use project::{
    AppProject, AppProjectSpec, AppProjectStatus, Orphaned, OrphanedKey, ProjectDestination, ResourceKind, Role,
    SyncWindow,
};
pub use set::{
    ApplicationSet, ApplicationSetSpec, ApplicationSetStatus, Generator, GitDirectory, GitFile, GitGenerator,
    ListGenerator, MatrixGenerator, PreservedFields,
};
pub use source::{ApplicationSource, DirectorySource, HelmSource, KustomizeSource};
pub use status::{
    ApplicationStatus, ComparedTo, Condition, HealthReport, History, OperationState, ResourceResult, ResourceStatus,
    Summary, SyncResult, SyncState,
};

/// The group of all three kinds.
pub const GROUP: &str = "argoproj.io";
/// Their version.
pub const VERSION: &str = "v1alpha1";
