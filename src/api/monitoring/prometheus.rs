//! Prometheus: one that runs, and what it takes in. The structure only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSecurityContext, ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A Prometheus that runs in the cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prometheus {
    /// `monitoring.coreos.com/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `Prometheus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What it is.
    pub spec: PrometheusSpec,
    /// How it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PrometheusStatus>,
}

record! {
    /// What a Prometheus is and takes in. Of the selectors an empty one selects all, an absent one none.
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    PrometheusSpec {
        /// The ServiceMonitors.
        service_monitor_selector: Option<LabelSelector>,
        /// Their namespaces; its own without this.
        service_monitor_namespace_selector: Option<LabelSelector>,
        /// The PodMonitors.
        pod_monitor_selector: Option<LabelSelector>,
        /// Their namespaces; its own without this.
        pod_monitor_namespace_selector: Option<LabelSelector>,
        /// The PrometheusRules.
        rule_selector: Option<LabelSelector>,
        /// Their namespaces; its own without this.
        rule_namespace_selector: Option<LabelSelector>,
        /// How many pods, each of which takes in everything.
        replicas: Option<i32>,
        /// Its image.
        image: Option<String>,
        /// Its version.
        version: Option<String>,
        /// What its container asks for.
        resources: Option<ResourceRequirements>,
        /// Labels of the nodes to run on.
        node_selector: BTreeMap<String, String>,
        /// Taints that are borne.
        tolerations: Vec<Toleration>,
        /// Security of the pod.
        security_context: Option<PodSecurityContext>,
        /// The account of its pods.
        service_account_name: Option<String>,
        /// How long samples are kept; a day without it.
        retention: Option<String>,
        /// Time between two scrapes; 30 seconds without it.
        scrape_interval: Option<String>,
        /// How long a scrape may take.
        scrape_timeout: Option<String>,
        /// Time between two evaluations of rules; 30 seconds without it.
        evaluation_interval: Option<String>,
        /// Labels of everything that leaves it.
        external_labels: BTreeMap<String, String>,
        /// URL under which it is reached from outside.
        external_url: Option<String>,
        /// Labels of pods that each sample gets.
        pod_target_labels: Vec<String>,
        /// `Endpoints` or `EndpointSlice`.
        service_discovery_role: Option<String>,
        /// Switches of Prometheus.
        enable_features: Vec<String>,
        /// What is not acted upon here.
        #[serde(flatten)]
        #[schemars(skip)]
        other: BTreeMap<String, Value>,
    }

    /// How a Prometheus is.
    PrometheusStatus {
        /// Pods that there are.
        replicas: Option<i32>,
        /// Pods that are as they should be.
        updated_replicas: Option<i32>,
        /// Pods that are ready.
        available_replicas: Option<i32>,
        /// Pods that are not.
        unavailable_replicas: Option<i32>,
        /// `Available` and `Reconciled`.
        conditions: Vec<Condition>,
    }
}
