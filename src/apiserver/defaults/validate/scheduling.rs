//! Where a pod may run: affinity, tolerations, spreading.
//! Upstream rules: `validateAffinity`, `ValidateTolerations` and `validateTopologySpreadConstraints` of k8s.io/kubernetes
//! `pkg/apis/core/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, has, list, text};
use crate::error::FieldError;
use crate::schema::Path;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn check(spec: &Value, path: &Path, errors: &mut Errors) {
    let (affinity, at) = (&spec["affinity"], path.field("affinity"));
    if has(affinity, "nodeAffinity") {
        node_affinity(&affinity["nodeAffinity"], &at.field("nodeAffinity"), errors);
    }
    for field in ["podAffinity", "podAntiAffinity"] {
        let (of, at) = (&affinity[field], at.field(field));
        for (index, term) in list(&of[REQUIRED]).enumerate() {
            pod_term(term, &at.field(REQUIRED).index(index), errors);
        }
        for (index, preferred) in list(&of[PREFERRED]).enumerate() {
            let at = at.field(PREFERRED).index(index);
            weight(preferred, &at, errors);
            pod_term(&preferred["podAffinityTerm"], &at.field("podAffinityTerm"), errors);
        }
    }
    tolerations(&spec["tolerations"], &path.field("tolerations"), errors);
    spread(&spec["topologySpreadConstraints"], &path.field("topologySpreadConstraints"), errors);
}

fn weight(preferred: &Value, path: &Path, errors: &mut Errors) {
    let weight = preferred["weight"].as_i64().unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.invalid(path.field("weight"), &json!(weight), "must be in the range 1-100");
    }
}

fn node_affinity(affinity: &Value, path: &Path, errors: &mut Errors) {
    if has(affinity, REQUIRED) {
        node_selector(&affinity[REQUIRED], &path.field(REQUIRED), errors);
    }
    for (index, preferred) in list(&affinity[PREFERRED]).enumerate() {
        let at = path.field(PREFERRED).index(index);
        weight(preferred, &at, errors);
        node_term(&preferred["preference"], &at.field("preference"), errors);
    }
}

/// Also of persistent volumes.
pub(super) fn node_selector(selector: &Value, path: &Path, errors: &mut Errors) {
    let at = path.field("nodeSelectorTerms");
    if list(&selector["nodeSelectorTerms"]).next().is_none() {
        errors.required(&at, "must have at least one node selector term");
    }
    for (index, term) in list(&selector["nodeSelectorTerms"]).enumerate() {
        node_term(term, &at.index(index), errors);
    }
}

fn node_term(term: &Value, path: &Path, errors: &mut Errors) {
    for (index, expression) in list(&term["matchExpressions"]).enumerate() {
        let at = path.field("matchExpressions").index(index);
        let values = list(&expression["values"]).count();
        match text(expression, "operator") {
            "In" | "NotIn" if values == 0 => {
                errors.required(at.field("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if values > 0 => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.forbidden(at.field("values"), detail);
            }
            "Exists" | "DoesNotExist" => {}
            "Gt" | "Lt" if values != 1 => {
                errors.required(at.field("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
            }
            "Gt" | "Lt" => {}
            _ => errors.invalid(at.field("operator"), &expression["operator"], "not a valid selector operator"),
        }
        let key = text(expression, "key");
        errors.each(&at.field("key"), key, names::qualified_name(key));
    }
}

fn pod_term(term: &Value, path: &Path, errors: &mut Errors) {
    errors.selector(&term["labelSelector"], &path.field("labelSelector"));
    for (index, namespace) in list(&term["namespaces"]).filter_map(Value::as_str).enumerate() {
        errors.each(&path.field("namespaces").index(index), namespace, names::dns_label(namespace));
    }
    let key = text(term, "topologyKey");
    let at = path.field("topologyKey");
    if key.is_empty() {
        errors.required(&at, "can not be empty");
    }
    errors.each(&at, key, names::qualified_name(key));
}

fn tolerations(tolerations: &Value, path: &Path, errors: &mut Errors) {
    for (index, toleration) in list(tolerations).enumerate() {
        let at = path.index(index);
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        if !key.is_empty() {
            errors.each(&at.field("key"), key, names::qualified_name(key));
        }
        if key.is_empty() && operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(at.field("operator"), &json!(operator), detail);
        }
        if has(toleration, "tolerationSeconds") && toleration["effect"] != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(at.field("effect"), &json!(text(toleration, "effect")), detail);
        }
        match operator {
            "" | "Equal" => {
                let value = text(toleration, "value");
                let wrong = names::label_value(value).join(";");
                if !wrong.is_empty() {
                    errors.invalid(at.field("operator"), &json!(value), &wrong);
                }
            }
            "Exists" => {
                if !text(toleration, "value").is_empty() {
                    let detail = "value must be empty when `operator` is 'Exists'";
                    errors.invalid(at.field("operator"), &json!(text(toleration, "value")), detail);
                }
            }
            _ => errors.choice(at.field("operator"), &toleration["operator"], &["Equal", "Exists"]),
        }
        errors.choice(at.field("effect"), &toleration["effect"], &EFFECTS);
    }
}

fn spread(constraints: &Value, path: &Path, errors: &mut Errors) {
    let pair = |one: &Value| format!("{{{}, {}}}", text(one, "topologyKey"), text(one, "whenUnsatisfiable"));
    for (index, constraint) in list(constraints).enumerate() {
        let at = path.index(index);
        if constraint["maxSkew"].as_i64().unwrap_or(0) <= 0 {
            errors.invalid(at.field("maxSkew"), &constraint["maxSkew"], "must be greater than zero");
        }
        let key = text(constraint, "topologyKey");
        match key {
            "" => errors.required(at.field("topologyKey"), "can not be empty"),
            _ => errors.each(&at.field("topologyKey"), key, names::qualified_name(key)),
        }
        let when = text(constraint, "whenUnsatisfiable");
        let allowed = ["DoNotSchedule", "ScheduleAnyway"];
        if !allowed.contains(&when) {
            errors.0.push(FieldError::not_supported(at.field("whenUnsatisfiable"), &json!(when), &allowed));
        }
        if list(constraints).skip(index + 1).any(|later| pair(later) == pair(constraint)) {
            errors.duplicate(at.field("{topologyKey, whenUnsatisfiable}"), &json!(pair(constraint)));
        }
        errors.selector(&constraint["labelSelector"], &at.field("labelSelector"));
    }
}

/// Taints of a node; upstream looks for them in metadata.
pub(super) fn taints(taints: &Value, errors: &mut Errors) {
    let path = Path::new("metadata.taints");
    let mut seen = Vec::new();
    for (index, taint) in list(taints).enumerate() {
        let at = path.index(index);
        let (key, value) = (text(taint, "key"), text(taint, "value"));
        errors.each(&at.field("key"), key, names::qualified_name(key));
        let wrong = names::label_value(value).join(";");
        if !wrong.is_empty() {
            errors.invalid(at.field("value"), &json!(value), &wrong);
        }
        let effect = text(taint, "effect");
        match effect {
            "" => errors.required(at.field("effect"), ""),
            _ => errors.choice(at.field("effect"), &taint["effect"], &EFFECTS),
        }
        if seen.contains(&(key, effect)) {
            let message = format!("Duplicate value: {taint}: taints must be unique by key and effect pair");
            errors.0.push(FieldError { reason: "FieldValueDuplicate", field: at.into(), message });
        }
        seen.push((key, effect));
    }
}
