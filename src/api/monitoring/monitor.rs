//! PodMonitor and ServiceMonitor: which pods or services are scraped, and how. The structure only.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::Endpoint;

/// Pods that are scraped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodMonitor {
    /// `monitoring.coreos.com/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `PodMonitor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Which pods, and how.
    pub spec: PodMonitorSpec,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<MonitorStatus>,
}

/// Services whose endpoints are scraped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceMonitor {
    /// `monitoring.coreos.com/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `ServiceMonitor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Which services, and how.
    pub spec: ServiceMonitorSpec,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<MonitorStatus>,
}

always!(LabelSelector);

record! {
    /// Which pods are scraped, and how.
    #[schemars(extend("required" = ["selector", "podMetricsEndpoints"], "x-kubernetes-preserve-unknown-fields" = true))]
    PodMonitorSpec {
        /// The pods.
        selector: LabelSelector,
        /// Their namespaces.
        namespace_selector: NamespaceSelector,
        /// What of them is scraped.
        pod_metrics_endpoints: Vec<Endpoint>,
        /// The label of the pod whose value becomes `job`.
        job_label: Option<String>,
        /// Labels of the pod that each sample gets.
        pod_target_labels: Vec<String>,
        /// Most samples of one scrape.
        sample_limit: Option<u64>,
        /// Most targets.
        target_limit: Option<u64>,
        /// Most labels of a sample.
        label_limit: Option<u64>,
        /// Longest name of a label.
        label_name_length_limit: Option<u64>,
        /// Longest value of a label.
        label_value_length_limit: Option<u64>,
        /// What is not acted upon here.
        #[serde(flatten)]
        #[schemars(skip)]
        other: BTreeMap<String, Value>,
    }

    /// Which services are scraped, and how.
    #[schemars(extend("required" = ["selector", "endpoints"], "x-kubernetes-preserve-unknown-fields" = true))]
    ServiceMonitorSpec {
        /// The services.
        selector: LabelSelector,
        /// Their namespaces.
        namespace_selector: NamespaceSelector,
        /// What of them is scraped.
        endpoints: Vec<Endpoint>,
        /// The label of the service whose value becomes `job`.
        job_label: Option<String>,
        /// Labels of the service that each sample gets.
        target_labels: Vec<String>,
        /// Labels of the pod that each sample gets.
        pod_target_labels: Vec<String>,
        /// `Endpoints` or `EndpointSlice`.
        service_discovery_role: Option<String>,
        /// Most samples of one scrape.
        sample_limit: Option<u64>,
        /// Most targets.
        target_limit: Option<u64>,
        /// Most labels of a sample.
        label_limit: Option<u64>,
        /// Longest name of a label.
        label_name_length_limit: Option<u64>,
        /// Longest value of a label.
        label_value_length_limit: Option<u64>,
        /// What is not acted upon here.
        #[serde(flatten)]
        #[schemars(skip)]
        other: BTreeMap<String, Value>,
    }

    /// Namespaces; without anything the monitor's own.
    NamespaceSelector {
        /// All of them.
        any: Option<bool>,
        /// These.
        match_names: Vec<String>,
    }

    /// What became of a monitor.
    MonitorStatus {
        /// By each Prometheus that selects it.
        bindings: Vec<Binding>,
    }

    /// A Prometheus that selects a monitor.
    Binding {
        /// `monitoring.coreos.com`.
        group: String,
        /// `prometheuses`.
        resource: String,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Whether it was accepted.
        conditions: Vec<Condition>,
    }
}

always!(NamespaceSelector);

impl NamespaceSelector {
    /// The namespaces that a monitor of the namespace `own` means; nothing where it means all.
    #[must_use]
    pub fn names(&self, own: &str) -> Option<Vec<String>> {
        match (self.any, self.match_names.is_empty()) {
            (Some(true), _) => None,
            (_, true) => Some(vec![own.to_owned()]),
            (_, false) => Some(self.match_names.clone()),
        }
    }
}
