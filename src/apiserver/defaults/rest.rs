//! Defaults of the other kinds: namespaces, nodes, secrets, limits, bindings, autoscalers, budgets, definitions, webhooks.
//! Upstream rules: k8s.io/kubernetes `pkg/apis/*/v*/defaults.go`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::fill;

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn namespace(namespace: &mut Value) {
    let metadata = fill::object(namespace, "metadata");
    let name = metadata["name"].clone();
    if name.is_string() {
        fill::object(metadata, "labels")["kubernetes.io/metadata.name"] = name;
    }
    let deleted = metadata.get("deletionTimestamp").is_some();
    let spec = fill::object(namespace, "spec");
    // A namespace that is going away has lost it for good.
    if !deleted && fill::is_empty(spec, "finalizers") {
        spec["finalizers"] = json!(["kubernetes"]);
    }
    fill::text(fill::object(namespace, "status"), "phase", "Active");
}

pub(super) fn node(node: &mut Value) {
    fill::object(node, "spec");
    let status = fill::object(node, "status");
    let capacity = status["capacity"].clone();
    if capacity.is_object() {
        fill::value(status, "allocatable", capacity);
    }
    let daemons = fill::object(status, "daemonEndpoints");
    fill::value(fill::object(daemons, "kubeletEndpoint"), "Port", 0);
    let info = fill::object(status, "nodeInfo");
    for field in [
        "machineID",
        "systemUUID",
        "bootID",
        "kernelVersion",
        "osImage",
        "containerRuntimeVersion",
        "kubeletVersion",
        "kubeProxyVersion",
        "operatingSystem",
        "architecture",
    ] {
        fill::value(info, field, "");
    }
    if let Value::Object(fields) = status {
        fields.retain(|_, value| !value.is_null());
    }
}

/// `stringData` is for writing: it goes over into `data`.
pub(super) fn secret(secret: &mut Value) {
    fill::text(secret, "type", "Opaque");
    let written = secret.as_object_mut().and_then(|fields| fields.remove("stringData"));
    if let Some(Value::Object(written)) = written
        && !written.is_empty()
    {
        let data = fill::object(secret, "data");
        for (key, value) in written {
            data[key] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
        }
    }
}

pub(super) fn event(event: &mut Value) {
    for field in ["reportingComponent", "reportingInstance"] {
        fill::value(event, field, "");
    }
    fill::object(event, "source");
}

pub(super) fn limit_range(range: &mut Value) {
    let spec = fill::object(range, "spec");
    for limit in fill::items(spec, "limits").filter(|limit| limit["type"] == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            for (name, amount) in limit[from].as_object().cloned().unwrap_or_default() {
                fill::value(fill::object(limit, to), &name, amount);
            }
        }
        if let Value::Object(fields) = limit {
            fields.retain(|_, value| !value.is_null());
        }
    }
}

pub(super) fn binding(binding: &mut Value) {
    fill::text(fill::object(binding, "roleRef"), "apiGroup", RBAC);
    for subject in fill::items(binding, "subjects") {
        if matches!(fill::string(subject, "kind"), "User" | "Group") {
            fill::text(subject, "apiGroup", RBAC);
        }
    }
}

pub(super) fn autoscaler(autoscaler: &mut Value) {
    let spec = fill::object(autoscaler, "spec");
    fill::value(spec, "minReplicas", 1);
    // The spec of autoscaling/v1 has its metric in a field of its own.
    if fill::is_empty(spec, "metrics") && spec.get("targetCPUUtilizationPercentage").is_none() {
        spec["metrics"] = json!([
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
        ]);
    }
    if let Some(behavior) = fill::present(spec, "behavior") {
        let up = fill::object(behavior, "scaleUp");
        fill::value(up, "stabilizationWindowSeconds", 0);
        fill::value(up, "selectPolicy", "Max");
        let policies = json!([
            {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]);
        fill::value(up, "policies", policies);
        let down = fill::object(behavior, "scaleDown");
        fill::value(down, "selectPolicy", "Max");
        fill::value(down, "policies", json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]));
    }
    let status = fill::object(autoscaler, "status");
    fill::value(status, "currentMetrics", Value::Null);
    fill::value(status, "desiredReplicas", 0);
    if let Value::Object(fields) = status {
        fields.retain(|_, value| !value.is_null());
    }
}

pub(super) fn disruption_budget(budget: &mut Value) {
    fill::object(budget, "spec");
    let status = fill::object(budget, "status");
    for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        fill::value(status, field, 0);
    }
}

pub(super) fn definition(definition: &mut Value) {
    let spec = fill::object(definition, "spec");
    let names = fill::object(spec, "names");
    let kind = fill::string(names, "kind").to_owned();
    fill::text(names, "singular", &kind.to_lowercase());
    if !kind.is_empty() {
        fill::text(names, "listKind", &format!("{kind}List"));
    }
    let conversion = fill::object(spec, "conversion");
    fill::text(conversion, "strategy", "None");
    if let Some(webhook) = fill::present(conversion, "webhook")
        && let Some(client) = fill::present(webhook, "clientConfig")
        && let Some(service) = fill::present(client, "service")
    {
        fill::value(service, "port", 443);
    }
}

pub(super) fn webhooks(configuration: &mut Value, mutating: bool) {
    for webhook in fill::items(configuration, "webhooks") {
        fill::value(webhook, "failurePolicy", "Fail");
        fill::value(webhook, "matchPolicy", "Equivalent");
        fill::value(webhook, "namespaceSelector", Value::Object(Map::new()));
        fill::value(webhook, "objectSelector", Value::Object(Map::new()));
        fill::value(webhook, "timeoutSeconds", 10);
        if mutating {
            fill::value(webhook, "reinvocationPolicy", "Never");
        }
        for rule in fill::items(webhook, "rules") {
            fill::value(rule, "scope", "*");
        }
        if let Some(client) = fill::present(webhook, "clientConfig")
            && let Some(service) = fill::present(client, "service")
        {
            fill::value(service, "port", 443);
        }
    }
}

pub(super) fn api_service(service: &mut Value) {
    let spec = fill::object(service, "spec");
    if let Some(reference) = fill::present(spec, "service") {
        fill::value(reference, "port", 443);
    }
    fill::status(service);
}

pub(super) fn flow_schema(schema: &mut Value) {
    fill::value(fill::object(schema, "spec"), "matchingPrecedence", 1000);
    fill::status(schema);
}

pub(super) fn priority_level(level: &mut Value) {
    let spec = fill::object(level, "spec");
    if let Some(exempt) = fill::present(spec, "exempt") {
        fill::value(exempt, "nominalConcurrencyShares", 0);
        fill::value(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = fill::present(spec, "limited") {
        fill::value(limited, "nominalConcurrencyShares", 30);
        fill::value(limited, "lendablePercent", 0);
        if let Some(queuing) = fill::present(fill::object(limited, "limitResponse"), "queuing") {
            fill::value(queuing, "queues", 64);
            fill::value(queuing, "handSize", 8);
            fill::value(queuing, "queueLengthLimit", 50);
        }
    }
    fill::status(level);
}
