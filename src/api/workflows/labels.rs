//! The labels and annotations by which workflows, their pods and their tools know what belongs together.
//! Upstream rule: `workflow/common/common.go` of argoproj/argo-workflows.

/// Name of the workflow that a pod belongs to.
pub const WORKFLOW: &str = "workflows.argoproj.io/workflow";
/// `true` on workflows that have ended; on pods, once the controller has seen their end.
pub const COMPLETED: &str = "workflows.argoproj.io/completed";
/// Phase of a workflow.
pub const PHASE: &str = "workflows.argoproj.io/phase";
/// Name of the CronWorkflow that a workflow comes from.
pub const CRON_WORKFLOW: &str = "workflows.argoproj.io/cron-workflow";
/// Name of the WorkflowTemplate that a workflow comes from.
pub const WORKFLOW_TEMPLATE: &str = "workflows.argoproj.io/workflow-template";
/// Name of the ClusterWorkflowTemplate that a workflow comes from.
pub const CLUSTER_WORKFLOW_TEMPLATE: &str = "workflows.argoproj.io/cluster-workflow-template";
/// Name of the workflow that a workflow was made after.
pub const RESUBMITTED_FROM: &str = "workflows.argoproj.io/resubmitted-from-workflow";
/// How far a workflow has been put into an archive.
pub const ARCHIVING_STATUS: &str = "workflows.argoproj.io/workflow-archiving-status";
/// How often what failed of a workflow was run again; ours: objects that nodes make after that are other ones.
pub const RETRIES: &str = "tinderbox.dev/retries";
/// On pods of an exit handler.
pub const ON_EXIT: &str = "workflows.argoproj.io/on-exit";
/// What a ConfigMap is for: `Cache` or `Parameter`.
pub const CONFIG_MAP_TYPE: &str = "workflows.argoproj.io/configmap-type";
/// Whether everything that a node gives has been reported.
pub const REPORT_COMPLETED: &str = "workflows.argoproj.io/report-outputs-completed";
/// Name of a pod's node.
pub const NODE_NAME: &str = "workflows.argoproj.io/node-name";
/// Id of a pod's node.
pub const NODE_ID: &str = "workflows.argoproj.io/node-id";
/// Which form the names of a workflow's pods have: `v1` or `v2`.
pub const POD_NAME_FORMAT: &str = "workflows.argoproj.io/pod-name-format";
/// When a workflow of a CronWorkflow was due.
pub const SCHEDULED_TIME: &str = "workflows.argoproj.io/scheduled-time";
/// The container whose log is shown first.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// What may be kept as a finalizer on pods until their end was seen.
pub const POD_FINALIZER: &str = "workflows.argoproj.io/status";
