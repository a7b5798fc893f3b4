//! The other kinds: nodes, events, leases, budgets, autoscalers, priorities.
//! Upstream rules: k8s.io/kubernetes `pkg/apis/*/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, has, list, text};
use super::scheduling;
use crate::error::FieldError;
use crate::schema::Path;

/// The highest priority that is not the system's own.
const PRIORITY_MAX: i64 = 1_000_000_000;
/// Priorities of the system, by name.
const SYSTEM_PRIORITIES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(super) fn node(node: &Value, errors: &mut Errors) {
    scheduling::taints(&node["spec"]["taints"], errors);
    for (index, range) in list(&node["spec"]["podCIDRs"]).enumerate() {
        errors.cidr(&Path::new("spec.podCIDRs").index(index), range);
    }
}

pub(super) fn event(event: &Value, errors: &mut Errors) {
    let namespace = text(&event["involvedObject"], "namespace");
    let own = text(&event["metadata"], "namespace");
    // Events of cluster-scoped objects live in the default namespace.
    if !(namespace == own || namespace.is_empty() && own == "default") {
        errors.invalid("involvedObject.namespace", &json!(namespace), "does not match event.namespace");
    }
}

pub(super) fn lease(lease: &Value, errors: &mut Errors) {
    let spec = &lease["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], "must be greater than 0");
    }
    errors.not_negative("spec.leaseTransitions", &spec["leaseTransitions"]);
}

pub(super) fn disruption_budget(budget: &Value, errors: &mut Errors) {
    let (spec, path) = (&budget["spec"], Path::new("spec"));
    if has(spec, "minAvailable") && has(spec, "maxUnavailable") {
        errors.invalid(&path, spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        errors.count_or_percent(&path.field(field), &spec[field], Some(100));
    }
    errors.selector(&spec["selector"], &path.field("selector"));
}

pub(super) fn autoscaler(autoscaler: &Value, errors: &mut Errors) {
    let (spec, path) = (&autoscaler["spec"], Path::new("spec"));
    let min = spec["minReplicas"].as_i64();
    let max = spec["maxReplicas"].as_i64().unwrap_or(0);
    if min.is_some_and(|min| min < 1) {
        errors.invalid(path.field("minReplicas"), &spec["minReplicas"], "must be greater than or equal to 1");
    }
    if max < 1 {
        errors.invalid(path.field("maxReplicas"), &json!(max), "must be greater than 0");
    }
    if min.is_some_and(|min| max < min) {
        errors.invalid(path.field("maxReplicas"), &json!(max), "must be greater than or equal to `minReplicas`");
    }
    for field in ["kind", "name"] {
        let at = path.field("scaleTargetRef").field(field);
        match text(&spec["scaleTargetRef"], field) {
            "" => errors.required(at, ""),
            found => errors.each(&at, found, names::path_segment(found)),
        }
    }
    let api_version = text(&spec["scaleTargetRef"], "apiVersion");
    if !api_version.contains('/') && (api_version != "v1" || spec["scaleTargetRef"]["kind"] != "ReplicationController")
    {
        let at = path.field("scaleTargetRef").field("apiVersion");
        errors.invalid(at, &json!(api_version), "apiVersion must specify API group");
    }
    let kinds = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    for (index, metric) in list(&spec["metrics"]).enumerate() {
        let at = path.field("metrics").index(index).field("type");
        match text(metric, "type") {
            "" => errors.required(at, "must specify a metric source type"),
            _ => errors.choice(at, &metric["type"], &kinds),
        }
    }
    let outside = list(&spec["metrics"]).any(|metric| metric["type"] == "Object" || metric["type"] == "External");
    if min == Some(0) && !outside {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(path.field("metrics"), detail);
    }
}

pub(super) fn priority_class(class: &Value, errors: &mut Errors) {
    let name = text(&class["metadata"], "name");
    let value = class["value"].as_i64().unwrap_or(0);
    if name.starts_with("system-") {
        if !SYSTEM_PRIORITIES.contains(&(name, value)) {
            let detail = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class"
            );
            errors.forbidden("metadata.name", &detail);
        }
    } else if value > PRIORITY_MAX {
        let detail = format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}");
        errors.forbidden("value", &detail);
    }
    let policies = ["PreemptLowerPriority", "Never"];
    if has(class, "preemptionPolicy") && !policies.contains(&text(class, "preemptionPolicy")) {
        errors.0.push(FieldError::not_supported("preemptionPolicy", &class["preemptionPolicy"], &policies));
    }
}
