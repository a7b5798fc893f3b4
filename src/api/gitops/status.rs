//! What becomes of an application: sync, health, objects, the operation under way and those before. The structure only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::application::{Destination, IgnoreDifference, NamespaceMetadata};
use super::operation::{Initiator, Operation};
use super::source::{ApplicationSource, any_object};

record! {
    /// What became of an application.
    ApplicationStatus {
        /// Its objects.
        resources: Vec<ResourceStatus>,
        /// Whether they are as the source has them.
        sync: SyncState,
        /// Whether they work.
        health: HealthReport,
        /// Syncs that went well, the oldest first.
        history: Vec<History>,
        /// What is wrong.
        conditions: Vec<Condition>,
        /// When it was last compared.
        reconciled_at: Option<Time>,
        /// The operation under way, or the last one.
        operation_state: Option<OperationState>,
        /// When it was last looked at.
        observed_at: Option<Time>,
        /// `Directory`, `Kustomize`, `Helm` or `Plugin`.
        source_type: String,
        /// The same of several sources.
        source_types: Vec<String>,
        /// Images and links.
        summary: Option<Summary>,
        /// Where the health of objects is kept: `appTree`, or absent for `resources`.
        resource_health_source: String,
        /// Namespace of the controller.
        controller_namespace: String,
        /// What became of rendered manifests.
        #[schemars(schema_with = "any_object")]
        source_hydrator: Option<Value>,
    }

    /// Whether objects are as the source has them.
    #[schemars(extend("required" = ["status"]))]
    SyncState {
        /// `Synced`, `OutOfSync` or `Unknown`.
        status: String,
        /// What they were compared to.
        compared_to: Option<ComparedTo>,
        /// The revision of the source.
        revision: String,
        /// The revisions of several sources.
        revisions: Vec<String>,
    }

    /// What objects were compared to.
    #[schemars(extend("required" = ["destination"]))]
    ComparedTo {
        /// The source.
        source: Option<ApplicationSource>,
        /// The sources.
        sources: Vec<ApplicationSource>,
        /// The destination.
        destination: Destination,
        /// Differences that did not count.
        ignore_differences: Vec<IgnoreDifference>,
    }

    /// Whether something works.
    HealthReport {
        /// `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded` or `Unknown`.
        status: String,
        /// More of it.
        message: String,
        /// Since when.
        last_transition_time: Option<Time>,
    }

    /// An object of an application.
    ResourceStatus {
        /// Its group.
        group: String,
        /// Its version.
        version: String,
        /// Its kind.
        kind: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// `Synced`, `OutOfSync` or `Unknown`.
        status: String,
        /// Whether it works, where that can be said of its kind.
        health: Option<HealthReport>,
        /// It is a hook.
        hook: Option<bool>,
        /// The source has it no more.
        requires_pruning: Option<bool>,
        /// Its wave.
        sync_wave: Option<i64>,
        /// It is deleted only with leave.
        requires_deletion_confirmation: Option<bool>,
    }

    /// A sync that went well.
    #[schemars(extend("required" = ["deployedAt", "id"]))]
    History {
        /// Its revision.
        revision: String,
        /// When it ended.
        deployed_at: Option<Time>,
        /// Its number.
        id: Option<i64>,
        /// Its source.
        source: Option<ApplicationSource>,
        /// When it began.
        deploy_started_at: Option<Time>,
        /// Its sources.
        sources: Vec<ApplicationSource>,
        /// Their revisions.
        revisions: Vec<String>,
        /// Who asked for it.
        initiated_by: Option<Initiator>,
    }

    /// Something that is wrong with an application.
    #[schemars(extend("required" = ["message", "type"]))]
    Condition {
        /// What kind of thing, as in `ComparisonError`.
        r#type: String,
        /// What is wrong.
        message: String,
        /// Since when.
        last_transition_time: Option<Time>,
    }

    /// An operation under way, or one that has ended.
    #[schemars(extend("required" = ["operation", "phase", "startedAt"]))]
    OperationState {
        /// What was asked for.
        operation: Operation,
        /// `Running`, `Terminating`, `Succeeded`, `Failed` or `Error`.
        phase: String,
        /// More of it.
        message: String,
        /// What became of the objects.
        sync_result: Option<SyncResult>,
        /// When it began.
        started_at: Option<Time>,
        /// When it, or its last try, ended.
        finished_at: Option<Time>,
        /// How many times it was tried again.
        retry_count: Option<i64>,
    }

    /// What a sync did.
    #[schemars(extend("required" = ["revision"]))]
    SyncResult {
        /// Its objects.
        resources: Vec<ResourceResult>,
        /// Labels and annotations of a namespace that it made.
        managed_namespace_metadata: Option<NamespaceMetadata>,
        /// Its revision.
        revision: String,
        /// Its source.
        source: Option<ApplicationSource>,
        /// Its sources.
        sources: Vec<ApplicationSource>,
        /// Their revisions.
        revisions: Vec<String>,
    }

    /// What can be said of an application in a line.
    Summary {
        /// Links.
        #[serde(rename = "externalURLs")]
        external_urls: Vec<String>,
        /// Images.
        images: Vec<String>,
        /// Its objects are applications, among others.
        is_app_of_apps: Option<bool>,
    }
}

always!(SyncState, HealthReport, Operation);

/// What a sync did with an object. What tells objects apart is written even where it is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = ["group", "kind", "name", "namespace", "version"]))]
pub struct ResourceResult {
    /// Its group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// What was said of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The phase that it is a hook of.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hook_type: String,
    /// `Running`, `Succeeded`, `Failed` or `Error`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hook_phase: String,
    /// The phase.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sync_phase: String,
    /// Images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}
