//! Admission policies and their bindings: what they say, and that their expressions can be used.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/admissionregistration/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::names;
use tinderbox_cel::{Type, is_identifier};

use super::common::{Errors, has, list, text};
use crate::error::FieldError;
use crate::policies::{Declared, Expression, Scope};
use crate::schema::Path;

/// How many match conditions, and how many audit annotations, a policy may have.
const CONDITIONS_MAX: usize = 64;
const ANNOTATIONS_MAX: usize = 20;
/// The longest expression of an audit annotation, in bytes.
const ANNOTATION_MAX: usize = 5 * 1024;
const REASONS: [&str; 4] = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

pub(super) fn policy(policy: &Value, errors: &mut Errors) {
    let (spec, path) = (&policy["spec"], Path::new("spec"));
    errors.choice(path.field("failurePolicy"), &spec["failurePolicy"], &["Fail", "Ignore"]);
    if has(spec, "paramKind") {
        param_kind(&spec["paramKind"], &path.field("paramKind"), errors);
    }
    let constraints = path.field("matchConstraints");
    if has(spec, "matchConstraints") {
        match_resources(&spec["matchConstraints"], &constraints, errors);
        if list(&spec["matchConstraints"]["resourceRules"]).next().is_none() {
            errors.required(constraints.field("resourceRules"), "");
        }
    } else {
        errors.required(constraints, "");
    }
    let mut declared = Declared::open(has(spec, "paramKind"));
    conditions(&spec["matchConditions"], &declared, &path.field("matchConditions"), errors);
    variables(&spec["variables"], &mut declared, &path.field("variables"), errors);
    if list(&spec["validations"]).next().is_none() && list(&spec["auditAnnotations"]).next().is_none() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.required(path.field("validations"), detail);
        errors.required(path.field("auditAnnotations"), detail);
    }
    for (index, one) in list(&spec["validations"]).enumerate() {
        validation(one, &declared, &path.field("validations").index(index), errors);
    }
    annotations(policy, &declared, &path.field("auditAnnotations"), errors);
}

pub(super) fn binding(binding: &Value, errors: &mut Errors) {
    let (spec, path) = (&binding["spec"], Path::new("spec"));
    let name = text(spec, "policyName");
    let at = path.field("policyName");
    if name.is_empty() {
        errors.required(at, "");
    } else {
        errors.each(&at, name, names::dns_subdomain(name));
    }
    if has(spec, "paramRef") {
        param_ref(&spec["paramRef"], &path.field("paramRef"), errors);
    }
    if has(spec, "matchResources") {
        match_resources(&spec["matchResources"], &path.field("matchResources"), errors);
    }
    actions(&spec["validationActions"], &path.field("validationActions"), errors);
}

fn told(expression: &Expression, source: &str, at: Path, errors: &mut Errors) {
    if let Some(error) = expression.error() {
        errors.invalid(at, &json!(source), error);
    }
}

fn param_kind(kind: &Value, path: &Path, errors: &mut Errors) {
    let api_version = text(kind, "apiVersion");
    let at = path.field("apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if api_version.is_empty() {
        errors.required(at, "");
    } else if version.contains('/') {
        errors.invalid(at, &json!(api_version), &format!("unexpected GroupVersion string: {api_version}"));
    } else {
        if !group.is_empty() {
            errors.each(&at, group, names::dns_subdomain(group));
        }
        if version.is_empty() {
            errors.invalid(at, &json!(api_version), "version must be specified");
        } else {
            errors.each(&at, version, names::dns_1035_label(version));
        }
    }
    let name = text(kind, "kind");
    let wrong = names::dns_1035_label(&name.to_lowercase());
    if name.is_empty() {
        errors.required(path.field("kind"), "");
    } else if !wrong.is_empty() {
        let detail = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
        errors.invalid(path.field("kind"), &json!(name), &detail);
    }
}

fn param_ref(reference: &Value, path: &Path, errors: &mut Errors) {
    let name = text(reference, "name");
    let both = "name and selector are mutually exclusive";
    let selects = has(reference, "selector");
    if !name.is_empty() {
        errors.each(&path.field("name"), name, names::path_segment(name));
        if selects {
            errors.forbidden(path.field("name"), both);
        }
    }
    if selects {
        errors.selector(&reference["selector"], &path.field("selector"));
        if !name.is_empty() {
            errors.forbidden(path.field("selector"), both);
        }
    }
    if name.is_empty() && !selects {
        errors.required(path, "one of name or selector must be specified");
    }
    let at = path.field("parameterNotFoundAction");
    if text(reference, "parameterNotFoundAction").is_empty() {
        errors.required(at, "");
    } else {
        errors.choice(at, &reference["parameterNotFoundAction"], &["Deny", "Allow"]);
    }
}

fn actions(actions: &Value, path: &Path, errors: &mut Errors) {
    let mut seen: Vec<&Value> = Vec::new();
    for (index, action) in list(actions).enumerate() {
        errors.choice(path.index(index), action, &["Audit", "Deny", "Warn"]);
        if seen.contains(&action) {
            errors.duplicate(path.index(index), action);
        }
        seen.push(action);
    }
    let has = |name: &str| seen.iter().any(|action| **action == name);
    if has("Deny") && has("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.invalid(path, actions, detail);
    }
    if seen.is_empty() {
        errors.required(path, "at least one validation action is required");
    }
}

fn match_resources(resources: &Value, path: &Path, errors: &mut Errors) {
    errors.choice(path.field("matchPolicy"), &resources["matchPolicy"], &["Equivalent", "Exact"]);
    for selector in ["namespaceSelector", "objectSelector"] {
        errors.selector(&resources[selector], &path.field(selector));
    }
    for name in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in list(&resources[name]).enumerate() {
            self::rule(rule, &path.field(name).index(index), errors);
        }
    }
}

fn rule(rule: &Value, path: &Path, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, name) in list(&rule["resourceNames"]).filter_map(Value::as_str).enumerate() {
        let at = path.field("resourceNames").index(index);
        errors.each(&at, name, names::path_segment(name));
        if seen.contains(&name) {
            errors.duplicate(at, &json!(name));
        }
        seen.push(name);
    }
    for (name, what) in [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let all: Vec<&Value> = list(&rule[name]).collect();
        if all.is_empty() {
            errors.required(path.field(name), "");
        }
        if all.len() > 1 && all.iter().any(|one| **one == "*") {
            let detail = format!("if '*' is present, must not specify other {what}");
            errors.invalid(path.field(name), &rule[name], &detail);
        }
        for (index, one) in all.into_iter().enumerate() {
            match name {
                "operations" if !OPERATIONS.iter().any(|known| *one == *known) => {
                    let at = path.field(name).index(index);
                    errors.0.push(FieldError::not_supported(at, one, &OPERATIONS));
                }
                "apiVersions" if *one == "" => errors.required(path.field(name).index(index), ""),
                _ => {}
            }
        }
    }
    resources(&rule["resources"], &path.field("resources"), errors);
    errors.choice(path.field("scope"), &rule["scope"], &["*", "Cluster", "Namespaced"]);
}

fn resources(resources: &Value, path: &Path, errors: &mut Errors) {
    let all: Vec<&str> = list(resources).filter_map(Value::as_str).collect();
    if all.is_empty() {
        errors.required(path, "");
    }
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    for (index, name) in all.iter().enumerate() {
        let at = path.index(index);
        if name.is_empty() {
            errors.required(at, "");
            continue;
        }
        let Some((resource, part)) = name.split_once('/') else {
            continue;
        };
        if whole.contains(&resource) {
            let detail = format!("if '{resource}/*' is present, must not specify {name}");
            errors.invalid(&at, &json!(name), &detail);
        }
        if parts.contains(&part) {
            let detail = format!("if '*/{part}' is present, must not specify {name}");
            errors.invalid(&at, &json!(name), &detail);
        }
        if part == "*" {
            whole.push(resource);
        }
        if resource == "*" {
            parts.push(part);
        }
    }
    if all.len() > 1 && all.contains(&"*/*") {
        errors.invalid(path, resources, "if '*/*' is present, must not specify other resources");
    }
    if all.contains(&"*") && all.iter().any(|name| *name != "*" && !name.contains('/')) {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, resources, detail);
    }
}

/// Match conditions, of policies as of webhooks.
pub(super) fn conditions(conditions: &Value, declared: &Declared, path: &Path, errors: &mut Errors) {
    let count = list(conditions).count();
    if count > CONDITIONS_MAX {
        let message = format!("Too many: {count}: must have at most {CONDITIONS_MAX} items");
        errors.0.push(FieldError { reason: "FieldValueTooMany", field: path.into(), message });
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in list(conditions).enumerate() {
        let at = path.index(index);
        let source = text(condition, "expression").trim();
        if source.is_empty() {
            errors.required(at.field("expression"), "");
        } else {
            let expression = declared.expression(source, Scope::Deciding, &[Type::Bool]);
            told(&expression, source, at.field("expression"), errors);
        }
        let name = text(condition, "name");
        if name.is_empty() {
            errors.required(at.field("name"), "");
            continue;
        }
        errors.each(&at.field("name"), name, names::qualified_name(name));
        if seen.contains(&name) {
            errors.duplicate(at.field("name"), &json!(name));
        }
        seen.push(name);
    }
}

fn variables(variables: &Value, declared: &mut Declared, path: &Path, errors: &mut Errors) {
    for (index, variable) in list(variables).enumerate() {
        let at = path.index(index);
        let (name, source) = (text(variable, "name"), text(variable, "expression"));
        if name.trim().is_empty() {
            errors.required(at.field("name"), "name is not specified");
        } else if !is_identifier(name) {
            errors.invalid(at.field("name"), &json!(name), "must be a valid CEL identifier");
        }
        if source.trim().is_empty() {
            errors.required(at.field("expression"), "expression is not specified");
        } else {
            told(&declared.variable(name, source), source, at.field("expression"), errors);
        }
    }
}

fn validation(validation: &Value, declared: &Declared, path: &Path, errors: &mut Errors) {
    let source = text(validation, "expression");
    if source.trim().is_empty() {
        errors.required(path.field("expression"), "expression is not specified");
    } else {
        let expression = declared.expression(source, Scope::Deciding, &[Type::Bool]);
        told(&expression, source, path.field("expression"), errors);
    }
    let source = text(validation, "messageExpression");
    if !source.is_empty() && source.trim().is_empty() {
        errors.invalid(path.field("messageExpression"), &json!(source), "must be non-empty if specified");
    } else if !source.is_empty() {
        let expression = declared.expression(source, Scope::Telling, &[Type::String]);
        told(&expression, source, path.field("messageExpression"), errors);
    }
    let message = text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(path.field("message"), &json!(message), "must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(path.field("message"), &json!(message), "must not contain line breaks");
    }
    errors.choice(path.field("reason"), &validation["reason"], &REASONS);
}

fn annotations(policy: &Value, declared: &Declared, path: &Path, errors: &mut Errors) {
    let all: Vec<&Value> = list(&policy["spec"]["auditAnnotations"]).collect();
    if all.len() > ANNOTATIONS_MAX {
        let detail = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        errors.invalid(path, &policy["spec"]["auditAnnotations"], &detail);
    }
    let name = text(&policy["metadata"], "name");
    let mut seen: Vec<&str> = Vec::new();
    for (index, annotation) in all.into_iter().enumerate() {
        let (at, key) = (path.index(index), text(annotation, "key"));
        let full = format!("{name}/{key}");
        errors.each(&at.field("key"), &full, names::qualified_name(&full));
        let source = text(annotation, "valueExpression").trim();
        let at_value = at.field("valueExpression");
        if source.is_empty() {
            errors.required(at_value, "valueExpression is not specified");
        } else if source.len() > ANNOTATION_MAX {
            errors.required(at_value, &format!("must not exceed {ANNOTATION_MAX} bytes in length"));
        } else {
            let expression = declared.expression(source, Scope::Deciding, &[Type::String, Type::Null]);
            told(&expression, text(annotation, "valueExpression"), at_value, errors);
        }
        if seen.contains(&key) {
            errors.duplicate(at.field("key"), &json!(key));
        }
        seen.push(key);
    }
}
