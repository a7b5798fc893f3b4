//! What makes the structures resources for clients.

use super::{ClusterWorkflowTemplate, CronWorkflow, GROUP, VERSION, Workflow, WorkflowTaskResult, WorkflowTemplate};

resource!(Workflow, "workflows", NamespaceResourceScope);
resource!(WorkflowTemplate, "workflowtemplates", NamespaceResourceScope);
resource!(ClusterWorkflowTemplate, "clusterworkflowtemplates", ClusterResourceScope);
resource!(CronWorkflow, "cronworkflows", NamespaceResourceScope);
resource!(WorkflowTaskResult, "workflowtaskresults", NamespaceResourceScope);
