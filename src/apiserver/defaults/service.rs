//! Defaults of the network's kinds: Service, Endpoints, EndpointSlice, Ingress, NetworkPolicy. Addresses and node ports are
//! allocated elsewhere; the cluster has IPv4 alone.
//! Upstream rules: k8s.io/kubernetes `pkg/apis/{core,discovery,networking}/v1/defaults.go`.

use serde_json::{Value, json};

use super::fill;

/// Three hours: how long a client stays with its pod.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn service(service: &mut Value) {
    let spec = fill::object(service, "spec");
    fill::text(spec, "sessionAffinity", "None");
    fill::text(spec, "type", "ClusterIP");
    if spec["sessionAffinity"] == "ClientIP" {
        let client = fill::object(fill::object(spec, "sessionAffinityConfig"), "clientIP");
        fill::value(client, "timeoutSeconds", AFFINITY_SECONDS);
    } else if let Value::Object(fields) = &mut *spec {
        fields.remove("sessionAffinityConfig");
    }
    for port in fill::items(spec, "ports") {
        fill::text(port, "protocol", "TCP");
        let own = port["port"].clone();
        if matches!(&port["targetPort"], Value::Null) || port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = own;
        }
    }
    let kind = fill::string(spec, "type").to_owned();
    let outside = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    let external = kind == "ClusterIP" && !fill::is_empty(spec, "externalIPs");
    if outside || external {
        fill::text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill::value(spec, "allocateLoadBalancerNodePorts", true);
    }
    if kind != "ExternalName" {
        fill::value(spec, "internalTrafficPolicy", "Cluster");
        families(spec);
    }
    let status = fill::object(service, "status");
    fill::object(status, "loadBalancer");
}

/// One family; the list of addresses says what the single address says.
fn families(spec: &mut Value) {
    if fill::is_empty(spec, "ipFamilies") {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    fill::text(spec, "ipFamilyPolicy", "SingleStack");
    let address = fill::string(spec, "clusterIP").to_owned();
    if !address.is_empty() && fill::is_empty(spec, "clusterIPs") {
        spec["clusterIPs"] = json!([address]);
    }
}

pub(super) fn endpoints(endpoints: &mut Value) {
    for subset in fill::items(endpoints, "subsets") {
        for port in fill::items(subset, "ports") {
            fill::text(port, "protocol", "TCP");
        }
    }
}

pub(super) fn endpoint_slice(slice: &mut Value) {
    for port in fill::items(slice, "ports") {
        fill::value(port, "name", "");
        fill::value(port, "protocol", "TCP");
    }
    for endpoint in fill::items(slice, "endpoints") {
        fill::object(endpoint, "conditions");
    }
}

pub(super) fn ingress(ingress: &mut Value) {
    fill::object(ingress, "spec");
    let status = fill::object(ingress, "status");
    fill::object(status, "loadBalancer");
}

pub(super) fn ingress_class(class: &mut Value) {
    let spec = fill::object(class, "spec");
    if let Some(parameters) = fill::present(spec, "parameters") {
        fill::value(parameters, "scope", "Cluster");
    }
}

pub(super) fn network_policy(policy: &mut Value) {
    let spec = fill::object(policy, "spec");
    fill::object(spec, "podSelector");
    if fill::is_empty(spec, "policyTypes") {
        let egress = !fill::is_empty(spec, "egress");
        spec["policyTypes"] = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
    for direction in ["ingress", "egress"] {
        for rule in fill::items(spec, direction) {
            for port in fill::items(rule, "ports") {
                fill::value(port, "protocol", "TCP");
            }
        }
    }
}
