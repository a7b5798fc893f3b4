//! Workflow, WorkflowTemplate, ClusterWorkflowTemplate, CronWorkflow and WorkflowTaskResult, `argoproj.io/v1alpha1`, in the forms
//! of Argo Workflows 3.x and 4.x. Parts of pods are kept as they are written: before tags are filled in they need not be pods.
//! Upstream rule: `pkg/apis/workflow/v1alpha1` of argoproj/argo-workflows.

mod cron;
mod definitions;
mod flow;
pub mod labels;
mod options;
mod parameters;
mod request;
mod resource;
mod spec;
mod status;
mod template;
mod value;

pub use cron::{CronCondition, CronWorkflow, CronWorkflowSpec, CronWorkflowStatus, StopStrategy};
pub use definitions::definitions;
pub use flow::{Dag, DagTask, LifecycleHook, Sequence, Step, StepGroup, TemplateRef};
pub use options::{
    Backoff, ContinueOn, KeySelector, LabelValueFrom, MemoCache, Memoize, Metadata, Mutex, PodGc, RetryStrategy,
    SemaphoreRef, Synchronization, TtlStrategy, VolumeClaimGc, WorkflowMetadata,
};
pub use parameters::{Arguments, Artifact, Inputs, Outputs, Parameter, RawArtifact, SuppliedValue, ValueFrom};
pub use request::{Shutdown, of_template};
pub use spec::{
    ClusterWorkflowTemplate, Workflow, WorkflowSpec, WorkflowTaskResult, WorkflowTemplate, WorkflowTemplateRef,
};
pub use status::{
    Condition, Holding, LockStatus, MemoStatus, NodeFlag, NodePhase, NodeStatus, NodeSynchronization, NodeType, Phase,
    SynchronizationStatus, WorkflowStatus,
};
pub use template::{ContainerSet, Http, ResourceTemplate, Script, SuspendTemplate, Template};
pub use value::{IntOrText, Text};

/// The API group.
pub const GROUP: &str = "argoproj.io";
/// The version.
pub const VERSION: &str = "v1alpha1";
