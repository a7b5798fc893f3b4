//! What became of a workflow and of its nodes. The structure only.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::flow::TemplateRef;
use super::parameters::{Inputs, Outputs};
use super::spec::WorkflowSpec;
use super::template::Template;
use super::value::{any_object, any_objects};

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$note:meta])* $word:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$note])* $word,)*
        }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

words! {
    /// State of a workflow.
    Phase {
        /// Not looked at yet.
        #[default]
        #[serde(rename = "")]
        Unknown,
        /// Waits for a lock or its turn.
        Pending,
        /// Under way.
        Running,
        /// Ended well.
        Succeeded,
        /// Ended badly.
        Failed,
        /// Could not be run.
        Error,
    }
}

words! {
    /// State of a node.
    NodePhase {
        /// Waits to be run.
        #[default]
        Pending,
        /// Under way.
        Running,
        /// Ended well.
        Succeeded,
        /// Was not to be run.
        Skipped,
        /// Ended badly.
        Failed,
        /// Could not be run.
        Error,
        /// What it waits for ended otherwise.
        Omitted,
    }
}

words! {
    /// What a node is.
    NodeType {
        /// A pod.
        #[default]
        Pod,
        /// A container of a pod.
        Container,
        /// Groups of steps.
        Steps,
        /// Steps side by side.
        StepGroup,
        /// A graph of tasks.
        DAG,
        /// A task that was expanded.
        TaskGroup,
        /// Attempts.
        Retry,
        /// What was not run.
        Skipped,
        /// A pause.
        Suspend,
        /// A request.
        HTTP,
        /// What a plugin does.
        Plugin,
    }
}

impl Phase {
    /// Whether it has ended.
    #[must_use]
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Error)
    }
}

impl NodeType {
    /// Whether a node of this type has a pod of its own, where the builtin controller runs it.
    #[must_use]
    pub fn has_pod(self) -> bool {
        matches!(self, Self::Pod | Self::HTTP)
    }
}

impl NodePhase {
    /// Whether nothing more becomes of it.
    #[must_use]
    pub fn is_fulfilled(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// Whether it ended badly.
    #[must_use]
    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

impl crate::record::Absent for Phase {
    fn is_absent(&self) -> bool {
        *self == Self::Unknown
    }
}

impl crate::record::Absent for i64 {
    fn is_absent(&self) -> bool {
        *self == 0
    }
}

always!(NodePhase, NodeType);

record! {
    /// What became of a workflow.
    WorkflowStatus {
        /// Its state.
        #[schemars(with = "String")]
        phase: Phase,
        /// When it began.
        #[schemars(extend("nullable" = true))]
        started_at: Option<Time>,
        /// When it ended.
        #[schemars(extend("nullable" = true))]
        finished_at: Option<Time>,
        /// What has been done of what is known, as in `1/3`.
        progress: Option<String>,
        /// How long it may take.
        estimated_duration: Option<i64>,
        /// What it used.
        resources_duration: BTreeMap<String, i64>,
        /// What is to be said of it.
        message: Option<String>,
        /// What is true of it.
        conditions: Vec<Condition>,
        /// What it gives.
        outputs: Option<Outputs>,
        /// Its nodes by their ids.
        #[schemars(schema_with = "any_object")]
        nodes: BTreeMap<String, NodeStatus>,
        /// Templates of other objects, as they were when they were first used.
        #[schemars(schema_with = "any_object")]
        stored_templates: BTreeMap<String, Template>,
        /// What was made of the WorkflowTemplate, when it was first looked at.
        #[schemars(schema_with = "any_object")]
        stored_workflow_template_spec: Option<Box<WorkflowSpec>>,
        /// Locks that it holds or waits for.
        synchronization: Option<SynchronizationStatus>,
        /// Claims that were made for it, as volumes.
        #[schemars(schema_with = "any_objects")]
        persistent_volume_claims: Vec<Value>,
        /// Which nodes have reported everything.
        task_results_completion_status: BTreeMap<String, bool>,
        /// Nodes, packed.
        compressed_nodes: Option<String>,
        /// Where nodes are kept instead.
        offload_node_status_version: Option<String>,
    }

    /// Something that is true or not.
    Condition {
        /// As in `Completed`.
        r#type: String,
        /// `True` or `False`.
        status: String,
        /// Why.
        message: Option<String>,
    }

    /// Locks of a workflow.
    SynchronizationStatus {
        /// Locks that several may hold.
        semaphore: Option<LockStatus>,
        /// Locks that one may hold.
        mutex: Option<LockStatus>,
    }

    /// Locks of one kind.
    LockStatus {
        /// Those that are held.
        holding: Vec<Holding>,
        /// Those that are waited for.
        waiting: Vec<Holding>,
    }

    /// A lock and who holds it.
    Holding {
        /// The mutex.
        mutex: Option<String>,
        /// The semaphore.
        semaphore: Option<String>,
        /// Who holds the mutex.
        holder: Option<String>,
        /// Who holds the semaphore.
        holders: Vec<String>,
    }

    /// What became of a node.
    NodeStatus {
        /// Its id.
        id: String,
        /// Its name, with the names of all that it is part of.
        name: String,
        /// Its name alone.
        display_name: String,
        /// What it is.
        #[schemars(with = "String")]
        r#type: NodeType,
        /// Name of its template.
        template_name: Option<String>,
        /// Its template, when that is of another object.
        template_ref: Option<TemplateRef>,
        /// Where its template was looked for, as in `local/name`.
        template_scope: Option<String>,
        /// Its state.
        #[schemars(with = "String")]
        phase: NodePhase,
        /// Id of the node that it is part of.
        #[serde(rename = "boundaryID")]
        boundary_id: Option<String>,
        /// What is to be said of it.
        message: Option<String>,
        /// When it began.
        started_at: Option<Time>,
        /// When it ended.
        finished_at: Option<Time>,
        /// How long it may take.
        estimated_duration: Option<i64>,
        /// What has been done of what is known.
        progress: Option<String>,
        /// What it used.
        resources_duration: BTreeMap<String, i64>,
        /// Address of its pod.
        #[serde(rename = "podIP")]
        pod_ip: Option<String>,
        /// Runs in the background.
        daemoned: Option<bool>,
        /// How it came to be.
        node_flag: Option<NodeFlag>,
        /// What it was given.
        inputs: Option<Inputs>,
        /// What it gives.
        outputs: Option<Outputs>,
        /// Ids of what comes next.
        children: Vec<String>,
        /// Ids of the last ones within it.
        outbound_nodes: Vec<String>,
        /// Node of its pod.
        host_node_name: Option<String>,
        /// What was remembered.
        memoization_status: Option<MemoStatus>,
        /// The lock that it waits for.
        synchronization_status: Option<NodeSynchronization>,
        /// Everything has been reported.
        task_result_synced: Option<bool>,
    }

    /// How a node came to be.
    NodeFlag {
        /// By a hook.
        hooked: Option<bool>,
        /// By an attempt.
        retried: Option<bool>,
    }

    /// What was remembered of a node.
    MemoStatus {
        /// Whether there was something.
        hit: Option<bool>,
        /// The key.
        key: String,
        /// The ConfigMap.
        cache_name: String,
    }

    /// The lock that a node waits for.
    NodeSynchronization {
        /// Its name.
        waiting: Option<String>,
    }
}
