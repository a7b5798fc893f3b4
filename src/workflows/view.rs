//! What a workflow's operation is shown, and what it asks for. Values only: whoever has pods makes these of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use tinderbox_api::workflows::{
    ClusterWorkflowTemplate, NodePhase, Outputs, ResourceTemplate, Workflow, WorkflowStatus, WorkflowTemplate,
};

use crate::locks::Locks;

/// What there is beside the workflow itself.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Its pods by their names.
    pub pods: BTreeMap<String, PodView>,
    /// What became of objects that its nodes asked for, by the ids of the nodes.
    pub resources: BTreeMap<String, ResourceView>,
    /// WorkflowTemplates of its namespace by their names.
    pub templates: BTreeMap<String, Arc<WorkflowTemplate>>,
    /// ClusterWorkflowTemplates by their names.
    pub cluster_templates: BTreeMap<String, Arc<ClusterWorkflowTemplate>>,
    /// ConfigMaps of its namespace by their names: those that hold parameters, limits or what is remembered.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
}

/// A pod, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodView {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The state of its node.
    pub phase: NodePhase,
    /// What is to be said of it.
    pub message: Option<String>,
    /// All containers are ready.
    pub ready: bool,
    /// Its address.
    pub ip: Option<String>,
    /// Its node.
    pub host: Option<String>,
    /// How the main container ended.
    pub exit_code: Option<i32>,
    /// What it gives.
    pub outputs: Outputs,
    /// What its request came to, where it makes one; the body is the result that it gives.
    pub answer: Option<Answer>,
    /// Containers of a container set by their names: state and exit code.
    pub containers: BTreeMap<String, (NodePhase, Option<i32>)>,
    /// The container has ended, and what it gives is not known yet.
    pub awaiting_outputs: bool,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There was an answer.
    Response {
        /// Its status.
        status_code: u16,
        /// Its headers, each with all of its values.
        headers: BTreeMap<String, Vec<String>>,
    },
    /// There was none: why.
    Failure(String),
}

/// An object that a node asked for, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceView {
    /// The request was refused: why.
    pub refused: Option<String>,
    /// The object as it is; none when it is gone.
    pub object: Option<Value>,
}

/// An object that a node wants made, changed or looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceRequest {
    /// Id of the node.
    pub node_id: String,
    /// The node's template, its tags filled in.
    pub resource: ResourceTemplate,
    /// The account with whose rights it is done.
    pub service_account: String,
}

/// What is to be remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// The ConfigMap.
    pub config_map: String,
    /// Its key.
    pub key: String,
    /// The entry, as JSON.
    pub entry: String,
}

/// What a workflow wants done next.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// Its status.
    pub status: WorkflowStatus,
    /// Labels to set on it.
    pub labels: BTreeMap<String, String>,
    /// Annotations to set on it.
    pub annotations: BTreeMap<String, String>,
    /// Pods to make.
    pub pods: Vec<Pod>,
    /// Names of pods whose containers are to end.
    pub stop: Vec<String>,
    /// Names of pods to delete.
    pub delete: Vec<String>,
    /// Claims of volumes to make.
    pub claims: Vec<Value>,
    /// Names of claims to delete.
    pub delete_claims: Vec<String>,
    /// A budget that keeps pods from being evicted: to be made, or to be deleted.
    pub budget: Option<Value>,
    /// Objects that nodes want.
    pub requests: Vec<ResourceRequest>,
    /// What is to be remembered.
    pub remember: Vec<Remembered>,
    /// The workflow itself is to be deleted.
    pub expired: bool,
    /// When to look again though nothing changed.
    pub again: Option<Timestamp>,
    /// Events: whether it is a warning, reason and message.
    pub events: Vec<(bool, &'static str, String)>,
}

impl Turn {
    pub(crate) fn at(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |have| have.min(at)));
    }
}

/// Notes the locks that a workflow's status says it holds.
pub fn restore_locks(locks: &mut Locks, workflow: &Workflow) {
    let Some(status) = workflow.status.as_ref().filter(|status| !status.phase.is_completed()) else { return };
    let Some(synchronization) = &status.synchronization else { return };
    for held in synchronization.mutex.iter().flat_map(|locks| &locks.holding) {
        if let (Some(name), Some(holder)) = (&held.mutex, &held.holder) {
            locks.restore(name, holder);
        }
    }
    for held in synchronization.semaphore.iter().flat_map(|locks| &locks.holding) {
        for holder in &held.holders {
            if let Some(name) = &held.semaphore {
                locks.restore(name, holder);
            }
        }
    }
}
