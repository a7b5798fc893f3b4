//! What a SparkApplication says about its pods: the options of driver and executors. The structure only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvFromSource, EnvVar, HostAlias, Lifecycle, PodDNSConfig, PodSecurityContext,
    SecurityContext, Toleration, VolumeMount,
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

always!(DriverSpec, ExecutorSpec, PodOptions);

/// Templates are written down as they are, known fields or not: a container may lack its name, which Spark gives.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

record! {
    /// What driver and executors have in common.
    PodOptions {
        /// A pod to begin with, as Spark's pod templates.
        #[schemars(schema_with = "any_object")]
        template: Option<Value>,
        /// CPUs, and tasks at a time.
        #[schemars(extend("minimum" = 1))]
        cores: Option<i32>,
        /// Most CPU time.
        core_limit: Option<String>,
        /// Java's heap.
        memory: Option<String>,
        /// Most memory, in place of the sum of heap and overhead.
        memory_limit: Option<String>,
        /// Memory beside the heap.
        memory_overhead: Option<String>,
        /// GPUs.
        gpu: Option<Gpu>,
        /// The image, in place of the application's.
        image: Option<String>,
        /// ConfigMaps to mount.
        config_maps: Vec<NamePath>,
        /// Secrets to mount.
        secrets: Vec<SecretInfo>,
        /// Environment variables.
        env: Vec<EnvVar>,
        /// Environment variables; `env` says more.
        env_vars: BTreeMap<String, String>,
        /// ConfigMaps and Secrets whose entries become environment variables.
        env_from: Vec<EnvFromSource>,
        /// Environment variables from Secrets; `env` says more.
        env_secret_key_refs: BTreeMap<String, NameKey>,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Annotations.
        annotations: BTreeMap<String, String>,
        /// Where the application's volumes are mounted.
        volume_mounts: Vec<VolumeMount>,
        /// Nodes and neighbours.
        affinity: Option<Affinity>,
        /// Taints that are borne.
        tolerations: Vec<Toleration>,
        /// Security of the pod.
        pod_security_context: Option<PodSecurityContext>,
        /// Security of Spark's container.
        security_context: Option<SecurityContext>,
        /// The scheduler.
        scheduler_name: Option<String>,
        /// Containers beside Spark's.
        sidecars: Vec<Container>,
        /// Containers before Spark's.
        init_containers: Vec<Container>,
        /// Uses the node's network.
        host_network: Option<bool>,
        /// Labels of the nodes to run on.
        node_selector: BTreeMap<String, String>,
        /// Name resolution.
        dns_config: Option<PodDNSConfig>,
        /// Seconds between the request to end and the end.
        termination_grace_period_seconds: Option<i64>,
        /// The service account.
        service_account: Option<String>,
        /// Lines for /etc/hosts.
        host_aliases: Vec<HostAlias>,
        /// Containers see each other's processes.
        share_process_namespace: Option<bool>,
    }

    /// The driver.
    DriverSpec {
        /// What it has in common with executors.
        #[serde(flatten)]
        pod: PodOptions,
        /// Name of its pod.
        #[schemars(extend("pattern" = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"))]
        pod_name: Option<String>,
        /// CPU time that is asked for, in place of `cores`.
        core_request: Option<String>,
        /// Options of the JVM.
        java_options: Option<String>,
        /// Commands at start and end.
        lifecycle: Option<Lifecycle>,
        /// URL by which the driver finds Kubernetes.
        kubernetes_master: Option<String>,
        /// Annotations of the service by which executors find the driver.
        service_annotations: BTreeMap<String, String>,
        /// Labels of that service.
        service_labels: BTreeMap<String, String>,
        /// Further ports.
        ports: Vec<Port>,
        /// The priority class.
        priority_class_name: Option<String>,
    }

    /// The executors.
    ExecutorSpec {
        /// What they have in common with the driver.
        #[serde(flatten)]
        pod: PodOptions,
        /// How many.
        #[schemars(extend("minimum" = 1))]
        instances: Option<i32>,
        /// CPU time that is asked for, in place of `cores`.
        core_request: Option<String>,
        /// Options of the JVM.
        java_options: Option<String>,
        /// Commands at start and end.
        lifecycle: Option<Lifecycle>,
        /// Whether the pods go when they have ended.
        delete_on_termination: Option<bool>,
        /// Further ports.
        ports: Vec<Port>,
        /// The priority class.
        priority_class_name: Option<String>,
    }

    /// A name and where it is mounted.
    #[schemars(extend("required" = ["name", "path"]))]
    NamePath {
        /// Name of the object.
        name: Option<String>,
        /// Path.
        path: Option<String>,
    }

    /// A Secret, where it is mounted and what it is for.
    #[schemars(extend("required" = ["name", "path", "secretType"]))]
    SecretInfo {
        /// Name of the Secret.
        name: Option<String>,
        /// Path.
        path: Option<String>,
        /// `Generic`, `GCPServiceAccount` or `HadoopDelegationToken`.
        secret_type: Option<String>,
    }

    /// An entry of a Secret.
    #[schemars(extend("required" = ["key", "name"]))]
    NameKey {
        /// Name of the Secret.
        name: Option<String>,
        /// The entry.
        key: Option<String>,
    }

    /// A port of a pod.
    #[schemars(extend("required" = ["containerPort", "name", "protocol"]))]
    Port {
        /// Its name.
        name: Option<String>,
        /// `TCP` or `UDP`.
        protocol: Option<String>,
        /// Its number.
        container_port: Option<i32>,
    }

    /// GPUs.
    #[schemars(extend("required" = ["name", "quantity"]))]
    Gpu {
        /// The resource, as in `nvidia.com/gpu`.
        name: Option<String>,
        /// How many.
        quantity: Option<i64>,
    }
}
