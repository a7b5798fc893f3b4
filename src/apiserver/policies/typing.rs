//! Whether the expressions of a policy fit the kinds that it is about. What does not fit is told in its status, and changes
//! nothing.
//! Upstream rule: k8s.io/apiserver `pkg/admission/plugin/policy/validating/typechecking.go`.

use std::sync::Arc;

use serde_json::{Value, json};
use tinderbox_cel::Type;

use super::compile::{Declared, Scope};
use crate::registry::Snapshot;
use crate::resource::Resource;
use crate::rules;
use crate::schema::declare;

/// How many kinds are looked at.
const KINDS_MAX: usize = 10;

/// Fills in the status of a policy that is written: `old` is what it was.
pub(crate) fn complete(policy: &mut Value, old: Option<&Value>, registry: &Snapshot) {
    let generation = match old {
        None => 1,
        Some(old) => {
            let before = old["metadata"]["generation"].as_i64().unwrap_or(0);
            before + i64::from(old["spec"] != policy["spec"])
        }
    };
    if policy["status"]["observedGeneration"] == generation {
        return;
    }
    let warnings = warnings(&policy["spec"], registry);
    let checked = if warnings.is_empty() { json!({}) } else { json!({"expressionWarnings": warnings}) };
    policy["status"]["observedGeneration"] = generation.into();
    policy["status"]["typeChecking"] = checked;
}

/// What does not fit, as `ExpressionWarning`s.
fn warnings(spec: &Value, registry: &Snapshot) -> Vec<Value> {
    let kinds = kinds(spec, registry);
    let params = params(&spec["paramKind"], registry);
    let mut warnings = Vec::new();
    for (index, validation) in spec["validations"].as_array().into_iter().flatten().enumerate() {
        for name in ["expression", "messageExpression"] {
            let Some(source) = validation[name].as_str().filter(|source| !source.is_empty()) else {
                continue;
            };
            let told: Vec<String> =
                kinds.iter().filter_map(|kind| check(source, kind, params.as_ref(), spec)).collect();
            if !told.is_empty() {
                let field = format!("spec.validations[{index}].{name}");
                warnings.push(json!({"fieldRef": field, "warning": told.join("\n")}));
            }
        }
    }
    warnings
}

/// What is wrong with an expression for one kind.
fn check(source: &str, kind: &Resource, params: Option<&Type>, spec: &Value) -> Option<String> {
    let object = type_of(kind)?;
    let mut declared = Declared::typed(object, params.cloned());
    for variable in spec["variables"].as_array().into_iter().flatten() {
        let text = |name: &str| variable[name].as_str().unwrap_or_default();
        declared.variable(text("name"), text("expression"));
    }
    let expression = declared.expression(source, Scope::Deciding, &[]);
    let error = expression.error()?;
    let issues = error.strip_prefix("compilation failed: ").unwrap_or(error);
    Some(format!("{}/{}, Kind={}: {issues}\n", kind.group, kind.version, kind.kind))
}

fn type_of(kind: &Resource) -> Option<Type> {
    Some(declare(&*rules::schema(kind)?, true)?.cel_type())
}

fn params(kind: &Value, registry: &Snapshot) -> Option<Type> {
    type_of(&*super::params::kind(kind, registry).ok()??)
}

/// The kinds that a policy names, without those that it means by a wildcard, in order.
fn kinds(spec: &Value, registry: &Snapshot) -> Vec<Arc<Resource>> {
    let mut found: Vec<Arc<Resource>> = Vec::new();
    for rule in spec["matchConstraints"]["resourceRules"].as_array().into_iter().flatten() {
        let names = |name: &str| {
            let names = rule[name].as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            names
        };
        let (groups, versions) = (names("apiGroups"), names("apiVersions"));
        if groups.contains(&"*") || versions.contains(&"*") {
            continue;
        }
        for group in &groups {
            for version in &versions {
                for resource in names("resources").into_iter().filter(|name| !name.contains(['*', '/'])) {
                    let Some(one) = registry.find(group, version, resource) else {
                        continue;
                    };
                    if found.len() < KINDS_MAX && !found.iter().any(|known| Arc::ptr_eq(known, &one)) {
                        found.push(one);
                    }
                }
            }
        }
    }
    found.sort_by(|one, other| [&one.group, &one.version, &one.kind].cmp(&[&other.group, &other.version, &other.kind]));
    found
}
