//! The definitions of the kinds, as they are applied to a cluster.
//! Upstream rule: the kubebuilder markers in `pkg/apis/monitoring/v1` of prometheus-operator/prometheus-operator.

use serde_json::Value;

use super::{
    GROUP, MonitorStatus, PodMonitorSpec, PrometheusRuleSpec, PrometheusSpec, PrometheusStatus, ServiceMonitorSpec,
    VERSION,
};
use crate::crd::{Column, Definition, schema_of};

/// The definitions of PodMonitor, ServiceMonitor, PrometheusRule and Prometheus.
#[must_use]
pub fn definitions() -> [Value; 4] {
    let with_status = Definition { status: true, ..Definition::within(GROUP, VERSION) };
    let pods = Definition {
        kind: "PodMonitor",
        plural: "podmonitors",
        short_name: "pmon",
        fields: vec![("spec", schema_of::<PodMonitorSpec>()), ("status", schema_of::<MonitorStatus>())],
        ..with_status.clone()
    };
    let services = Definition {
        kind: "ServiceMonitor",
        plural: "servicemonitors",
        short_name: "smon",
        fields: vec![("spec", schema_of::<ServiceMonitorSpec>()), ("status", schema_of::<MonitorStatus>())],
        ..with_status.clone()
    };
    let rules = Definition {
        kind: "PrometheusRule",
        plural: "prometheusrules",
        short_name: "promrule",
        status: false,
        fields: vec![("spec", schema_of::<PrometheusRuleSpec>())],
        ..with_status.clone()
    };
    let prometheus = Definition {
        kind: "Prometheus",
        plural: "prometheuses",
        short_name: "prom",
        columns: &[
            Column("Version", "string", ".spec.version"),
            Column("Desired", "integer", ".spec.replicas"),
            Column("Ready", "integer", ".status.availableReplicas"),
            Column("Reconciled", "string", ".status.conditions[?(@.type == 'Reconciled')].status"),
            Column("Available", "string", ".status.conditions[?(@.type == 'Available')].status"),
            Column("Age", "date", ".metadata.creationTimestamp"),
        ],
        fields: vec![("spec", schema_of::<PrometheusSpec>()), ("status", schema_of::<PrometheusStatus>())],
        ..with_status
    };
    [pods, services, rules, prometheus].map(Definition::into_value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is applied, here and in production, is made from the types and never by hand.
    #[test]
    fn the_manifests_say_what_the_types_say() {
        crate::crd::hold("monitoring", &definitions());
    }

    #[test]
    fn the_types_say_what_upstreams_say() {
        let module = "github.com/prometheus-operator/prometheus-operator@v0.93.0";
        crate::crd::upstream::hold(module, &definitions(), |plural| {
            format!("example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml")
        });
    }

    #[test]
    fn what_is_not_acted_upon_is_kept() {
        let [pods, _, rules, prometheus] = definitions();
        let spec =
            |value: &Value| value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
        assert_eq!(spec(&pods)["x-kubernetes-preserve-unknown-fields"], true);
        assert_eq!(spec(&prometheus)["x-kubernetes-preserve-unknown-fields"], true);
        let endpoint = &spec(&pods)["properties"]["podMetricsEndpoints"]["items"];
        assert_eq!(endpoint["x-kubernetes-preserve-unknown-fields"], true);
        assert_eq!(endpoint["properties"]["targetPort"]["x-kubernetes-int-or-string"], true);
        assert_eq!(spec(&rules)["properties"]["groups"]["items"]["properties"]["query_offset"]["type"], "string");
        let read: super::super::Prometheus = serde_json::from_value(json!({"spec": {"remoteWrite": []}})).unwrap();
        assert_eq!(read.spec.other.keys().collect::<Vec<_>>(), ["remoteWrite"]);
        assert_eq!(serde_json::to_value(&read.spec).unwrap(), json!({"remoteWrite": []}));
    }
}
