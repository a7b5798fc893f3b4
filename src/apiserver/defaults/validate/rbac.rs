//! Roles and bindings.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/rbac/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, has, list, text};
use crate::error::FieldError;
use crate::schema::Path;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn role(role: &Value, namespaced: bool, errors: &mut Errors) {
    for (index, rule) in list(&role["rules"]).enumerate() {
        let at = Path::new("rules").index(index);
        let none = |field: &str| list(&rule[field]).next().is_none();
        if none("verbs") {
            errors.required(at.field("verbs"), "verbs must contain at least one value");
        }
        if !none("nonResourceURLs") {
            let found = &rule["nonResourceURLs"];
            let path = at.field("nonResourceURLs");
            if namespaced {
                errors.invalid(path, found, "namespaced rules cannot apply to non-resource URLs");
            } else if !none("apiGroups") || !none("resources") || !none("resourceNames") {
                errors.invalid(path, found, "rules cannot apply to both regular resources and non-resource URLs");
            }
            continue;
        }
        if none("apiGroups") {
            errors.required(at.field("apiGroups"), "resource rules must supply at least one api group");
        }
        if none("resources") {
            errors.required(at.field("resources"), "resource rules must supply at least one resource");
        }
    }
    if has(role, "aggregationRule") {
        let at = Path::new("aggregationRule.clusterRoleSelectors");
        let selectors = &role["aggregationRule"]["clusterRoleSelectors"];
        if list(selectors).next().is_none() {
            errors.required(&at, "at least one clusterRoleSelector required if aggregationRule is non-nil");
        }
        for (index, selector) in list(selectors).enumerate() {
            errors.selector(selector, &at.index(index));
        }
    }
}

pub(super) fn binding(binding: &Value, namespaced: bool, errors: &mut Errors) {
    let (role, path) = (&binding["roleRef"], Path::new("roleRef"));
    if text(role, "apiGroup") != GROUP {
        errors.0.push(FieldError::not_supported(path.field("apiGroup"), &role["apiGroup"], &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(role, "kind")) {
        errors.0.push(FieldError::not_supported(path.field("kind"), &role["kind"], kinds));
    }
    match text(role, "name") {
        "" => errors.required(path.field("name"), ""),
        name => errors.each(&path.field("name"), name, names::path_segment(name)),
    }
    for (index, subject) in list(&binding["subjects"]).enumerate() {
        self::subject(subject, namespaced, &Path::new("subjects").index(index), errors);
    }
}

fn subject(subject: &Value, namespaced: bool, path: &Path, errors: &mut Errors) {
    let name = text(subject, "name");
    if name.is_empty() {
        errors.required(path.field("name"), "");
    }
    let group = text(subject, "apiGroup");
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                errors.each(&path.field("name"), name, names::dns_subdomain(name));
            }
            if !group.is_empty() {
                errors.0.push(FieldError::not_supported(path.field("apiGroup"), &json!(group), &[""]));
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.required(path.field("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.0.push(FieldError::not_supported(path.field("apiGroup"), &json!(group), &[GROUP]));
            }
        }
        _ => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.0.push(FieldError::not_supported(path.field("kind"), &subject["kind"], &kinds));
        }
    }
}
