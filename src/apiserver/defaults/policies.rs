//! Defaults of admission policies and their bindings.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/admissionregistration/v1/defaults.go`.

use serde_json::{Map, Value};

use super::fill;

pub(super) fn policy(policy: &mut Value) {
    let spec = fill::object(policy, "spec");
    fill::value(spec, "failurePolicy", "Fail");
    if let Some(constraints) = fill::present(spec, "matchConstraints") {
        match_resources(constraints);
    }
    fill::status(policy);
}

pub(super) fn binding(binding: &mut Value) {
    if let Some(resources) = fill::present(fill::object(binding, "spec"), "matchResources") {
        match_resources(resources);
    }
}

fn match_resources(resources: &mut Value) {
    fill::value(resources, "matchPolicy", "Equivalent");
    fill::value(resources, "namespaceSelector", Value::Object(Map::new()));
    fill::value(resources, "objectSelector", Value::Object(Map::new()));
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in fill::items(resources, list) {
            fill::value(rule, "scope", "*");
        }
    }
}
