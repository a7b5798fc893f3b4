//! Workflows and their templates as objects. The structure only.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::flow::LifecycleHook;
use super::options::{Metadata, PodGc, RetryStrategy, Synchronization, TtlStrategy, VolumeClaimGc, WorkflowMetadata};
use super::parameters::{Arguments, Inputs, Outputs};
use super::status::WorkflowStatus;
use super::template::Template;
use super::value::{any_object, any_objects};

macro_rules! object {
    ($(#[$meta:meta])* $name:ident { $($(#[$note:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            /// `argoproj.io/v1alpha1`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub api_version: Option<String>,
            /// The kind.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub kind: Option<String>,
            /// Name, labels and so on.
            pub metadata: ObjectMeta,
            $($(#[$note])* pub $field: $type,)*
        }
    };
}
pub(super) use object;

object! {
    /// A run of templates.
    Workflow {
        /// What is to be run.
        spec: WorkflowSpec,
        /// What became of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<WorkflowStatus>,
    }
}

object! {
    /// Templates that workflows of a namespace use.
    WorkflowTemplate {
        /// The templates, and what a workflow of them is.
        spec: WorkflowSpec,
    }
}

object! {
    /// Templates that every workflow can use.
    ClusterWorkflowTemplate {
        /// The templates, and what a workflow of them is.
        spec: WorkflowSpec,
    }
}

object! {
    /// What a pod of a workflow reports.
    WorkflowTaskResult {
        /// How it ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<String>,
        /// What is to be said of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// What it gives.
        #[serde(skip_serializing_if = "Option::is_none")]
        outputs: Option<Outputs>,
        /// How far it has come.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<String>,
    }
}

always!(WorkflowSpec);

macro_rules! absent_when_empty {
    ($($name:ident),*) => {$(
        impl crate::record::Absent for $name {
            fn is_absent(&self) -> bool {
                *self == Self::default()
            }
        }
    )*};
}
absent_when_empty!(Arguments, Inputs, Outputs, Metadata);

record! {
    /// The WorkflowTemplate that a workflow is made of.
    WorkflowTemplateRef {
        /// Its name.
        name: String,
        /// It is a ClusterWorkflowTemplate.
        cluster_scope: Option<bool>,
    }

    /// What is to be run, and how.
    WorkflowSpec {
        /// The templates.
        templates: Vec<Template>,
        /// The template to begin with.
        entrypoint: Option<String>,
        /// What the workflow is given.
        arguments: Arguments,
        /// What templates are, unless they say otherwise.
        template_defaults: Option<Box<Template>>,
        /// Where all of this comes from.
        workflow_template_ref: Option<WorkflowTemplateRef>,
        /// The account of pods.
        service_account_name: Option<String>,
        /// Whether the account's token is mounted.
        automount_service_account_token: Option<bool>,
        /// What runs pods.
        #[schemars(schema_with = "any_object")]
        executor: Option<Value>,
        /// Volumes that pods can mount.
        #[schemars(schema_with = "any_objects")]
        volumes: Vec<Value>,
        /// Claims of volumes that are made for the workflow.
        #[schemars(schema_with = "any_objects")]
        volume_claim_templates: Vec<Value>,
        /// When they are deleted.
        #[serde(rename = "volumeClaimGC")]
        volume_claim_gc: Option<VolumeClaimGc>,
        /// How many pods at once.
        parallelism: Option<i64>,
        /// Begins nothing while true.
        suspend: Option<bool>,
        /// `Stop` or `Terminate`.
        shutdown: Option<String>,
        /// A template that is run at the end; `hooks.exit` says more.
        on_exit: Option<String>,
        /// Templates that are run when something is true of the workflow.
        hooks: BTreeMap<String, LifecycleHook>,
        /// Seconds that it may run.
        active_deadline_seconds: Option<i64>,
        /// When it is deleted.
        ttl_strategy: Option<TtlStrategy>,
        /// When its pods are deleted.
        #[serde(rename = "podGC")]
        pod_gc: Option<PodGc>,
        /// Whether what failed is tried again.
        retry_strategy: Option<RetryStrategy>,
        /// Locks that it holds while it runs.
        synchronization: Option<Synchronization>,
        /// Metrics.
        #[schemars(schema_with = "any_object")]
        metrics: Option<Value>,
        /// Whether it is served first.
        priority: Option<i32>,
        /// Labels and annotations of pods.
        pod_metadata: Option<Metadata>,
        /// Labels and annotations of the workflow.
        workflow_metadata: Option<WorkflowMetadata>,
        /// A patch of every pod.
        pod_spec_patch: Option<String>,
        /// The budget that keeps pods from being evicted.
        #[schemars(schema_with = "any_object")]
        pod_disruption_budget: Option<Value>,
        /// Labels of nodes to run on.
        node_selector: BTreeMap<String, String>,
        /// Nodes and neighbours.
        #[schemars(schema_with = "any_object")]
        affinity: Option<Value>,
        /// Taints that are borne.
        #[schemars(schema_with = "any_objects")]
        tolerations: Vec<Value>,
        /// The scheduler.
        scheduler_name: Option<String>,
        /// The class of pods' priority.
        pod_priority_class_name: Option<String>,
        /// The priority of pods; 3.x form.
        pod_priority: Option<i32>,
        /// Pods use the node's network.
        host_network: Option<bool>,
        /// How pods resolve names.
        dns_policy: Option<String>,
        /// How pods resolve names.
        #[schemars(schema_with = "any_object")]
        dns_config: Option<Value>,
        /// Names of addresses.
        #[schemars(schema_with = "any_objects")]
        host_aliases: Vec<Value>,
        /// Secrets to pull images with.
        #[schemars(schema_with = "any_objects")]
        image_pull_secrets: Vec<Value>,
        /// Security of pods.
        #[schemars(schema_with = "any_object")]
        security_context: Option<Value>,
        /// Whether logs are kept.
        archive_logs: Option<bool>,
        /// Where artifacts lie.
        #[schemars(schema_with = "any_object")]
        artifact_repository_ref: Option<Value>,
        /// When artifacts are deleted.
        #[serde(rename = "artifactGC")]
        #[schemars(schema_with = "any_object")]
        artifact_gc: Option<Value>,
    }
}
