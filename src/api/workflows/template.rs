//! Templates: what a node of a workflow does. The structure only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::flow::{Dag, StepGroup};
use super::options::{Memoize, Metadata, RetryStrategy, Synchronization};
use super::parameters::{Inputs, Outputs};
use super::value::{IntOrText, any_object, any_objects};

record! {
    /// What a node does, with all that goes with it.
    Template {
        /// Its name.
        name: String,
        /// What it takes.
        inputs: Inputs,
        /// What it gives.
        outputs: Outputs,
        /// Labels and annotations of its pod.
        metadata: Metadata,
        /// Goes on in the background once it is ready.
        daemon: Option<bool>,
        /// Steps.
        steps: Vec<StepGroup>,
        /// Tasks.
        dag: Option<Dag>,
        /// A container.
        #[schemars(schema_with = "any_object")]
        container: Option<Value>,
        /// Containers of one pod.
        container_set: Option<ContainerSet>,
        /// A container that runs a script.
        script: Option<Script>,
        /// An object of the API.
        resource: Option<ResourceTemplate>,
        /// A pause.
        suspend: Option<SuspendTemplate>,
        /// A request.
        http: Option<Http>,
        /// Files from a store, transformed.
        #[schemars(schema_with = "any_object")]
        data: Option<Value>,
        /// What a plugin does.
        #[schemars(schema_with = "any_object")]
        plugin: Option<Value>,
        /// Volumes.
        #[schemars(schema_with = "any_objects")]
        volumes: Vec<Value>,
        /// Containers before the main one.
        #[schemars(schema_with = "any_objects")]
        init_containers: Vec<Value>,
        /// Containers beside the main one.
        #[schemars(schema_with = "any_objects")]
        sidecars: Vec<Value>,
        /// Labels of nodes to run on.
        node_selector: BTreeMap<String, String>,
        /// Nodes and neighbours.
        #[schemars(schema_with = "any_object")]
        affinity: Option<Value>,
        /// Taints that are borne.
        #[schemars(schema_with = "any_objects")]
        tolerations: Vec<Value>,
        /// Names of addresses.
        #[schemars(schema_with = "any_objects")]
        host_aliases: Vec<Value>,
        /// Security of the pod.
        #[schemars(schema_with = "any_object")]
        security_context: Option<Value>,
        /// The account of the pod.
        service_account_name: Option<String>,
        /// Whether the account's token is mounted.
        automount_service_account_token: Option<bool>,
        /// The scheduler.
        scheduler_name: Option<String>,
        /// The class of the pod's priority.
        priority_class_name: Option<String>,
        /// A patch of the pod.
        pod_spec_patch: Option<String>,
        /// Seconds that its pod may run.
        active_deadline_seconds: Option<IntOrText>,
        /// How long the node may take, as in `1m`.
        timeout: Option<String>,
        /// Whether it is tried again.
        retry_strategy: Option<RetryStrategy>,
        /// How many children at once.
        parallelism: Option<i64>,
        /// Children that are expanded fail together.
        fail_fast: Option<bool>,
        /// Outputs that are remembered.
        memoize: Option<Memoize>,
        /// Locks that it holds while it runs.
        synchronization: Option<Synchronization>,
        /// Metrics.
        #[schemars(schema_with = "any_object")]
        metrics: Option<Value>,
        /// Where its artifacts lie.
        #[schemars(schema_with = "any_object")]
        archive_location: Option<Value>,
        /// What runs its pod.
        #[schemars(schema_with = "any_object")]
        executor: Option<Value>,
        /// Annotations of its node.
        annotations: BTreeMap<String, String>,
    }

    /// Containers of one pod that wait for each other.
    ContainerSet {
        /// The containers; each may say what it depends on.
        #[schemars(schema_with = "any_objects")]
        containers: Vec<Value>,
        /// Volumes of each container.
        #[schemars(schema_with = "any_objects")]
        volume_mounts: Vec<Value>,
        /// Whether each is tried again.
        #[schemars(schema_with = "any_object")]
        retry_strategy: Option<Value>,
    }

    /// A container that runs a script.
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    Script {
        /// The script.
        source: String,
        /// The container.
        #[serde(flatten)]
        container: BTreeMap<String, Value>,
    }

    /// An object of the API that is made, changed or waited for.
    #[schemars(extend("required" = ["action"]))]
    ResourceTemplate {
        /// `get`, `create`, `apply`, `delete`, `replace` or `patch`.
        action: String,
        /// How it is patched: `strategic`, `merge` or `json`.
        merge_strategy: Option<String>,
        /// The object.
        manifest: Option<String>,
        /// Where the object comes from.
        #[schemars(schema_with = "any_object")]
        manifest_from: Option<Value>,
        /// The workflow owns the object.
        set_owner_reference: Option<bool>,
        /// When it is done.
        success_condition: Option<String>,
        /// When it has failed.
        failure_condition: Option<String>,
        /// Flags of kubectl.
        flags: Vec<String>,
    }

    /// A pause, until a time is over or somebody resumes the workflow.
    SuspendTemplate {
        /// How long: seconds, or as in `1m`.
        duration: Option<super::value::Text>,
    }

    /// A request.
    #[schemars(extend("required" = ["url"]))]
    Http {
        /// The method.
        method: Option<String>,
        /// The address.
        url: String,
        /// Headers.
        #[schemars(schema_with = "any_objects")]
        headers: Vec<Value>,
        /// Seconds that it may take.
        timeout_seconds: Option<i64>,
        /// When it went well.
        success_condition: Option<String>,
        /// The body.
        body: Option<String>,
        /// Where the body comes from.
        #[schemars(schema_with = "any_object")]
        body_from: Option<Value>,
        /// Certificates are not looked at.
        insecure_skip_verify: Option<bool>,
    }
}
