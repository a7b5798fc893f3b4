//! Configurations of admission webhooks.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/admissionregistration/validation/validation.go`.

use std::collections::HashSet;

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, has, list, text};
use super::policies;
use crate::policies::Declared;
use crate::schema::Path;

/// The versions of `AdmissionReview` that this server speaks.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
const EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];

/// A MutatingWebhookConfiguration or ValidatingWebhookConfiguration.
pub(super) fn configuration(configuration: &Value, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (index, webhook) in list(&configuration["webhooks"]).enumerate() {
        let path = Path::new("webhooks").index(index);
        check(webhook, &path, errors);
        let name = text(webhook, "name");
        if !name.is_empty() && !seen.insert(name) {
            errors.duplicate(path.field("name"), &json!(name));
        }
    }
}

fn check(webhook: &Value, path: &Path, errors: &mut Errors) {
    full_name(&path.field("name"), text(webhook, "name"), errors);
    for (index, rule) in list(&webhook["rules"]).enumerate() {
        check_rule(rule, &path.field("rules").index(index), errors);
    }
    errors.choice(path.field("failurePolicy"), &webhook["failurePolicy"], &["Fail", "Ignore"]);
    errors.choice(path.field("matchPolicy"), &webhook["matchPolicy"], &["Equivalent", "Exact"]);
    errors.choice(path.field("reinvocationPolicy"), &webhook["reinvocationPolicy"], &["IfNeeded", "Never"]);
    if has(webhook, "sideEffects") {
        errors.choice(path.field("sideEffects"), &webhook["sideEffects"], &EFFECTS);
    } else {
        errors.required(path.field("sideEffects"), "must specify one of None, NoneOnDryRun");
    }
    if webhook["timeoutSeconds"].as_i64().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        errors.invalid(path.field("timeoutSeconds"), &webhook["timeoutSeconds"], detail);
    }
    for field in ["namespaceSelector", "objectSelector"] {
        errors.selector(&webhook[field], &path.field(field));
    }
    policies::conditions(&webhook["matchConditions"], &Declared::open(false), &path.field("matchConditions"), errors);
    check_client(&webhook["clientConfig"], &path.field("clientConfig"), errors);
    check_reviews(webhook, &path.field("admissionReviewVersions"), errors);
}

/// A name of at least three parts.
fn full_name(path: &Path, name: &str, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let problems = names::dns_subdomain(name);
    if !problems.is_empty() {
        return errors.each(path, name, problems);
    }
    if name.split('.').count() < 3 {
        errors.invalid(path, &json!(name), "should be a domain with at least three segments separated by dots");
    }
}

fn check_rule(rule: &Value, path: &Path, errors: &mut Errors) {
    let operations = path.field("operations");
    let all = list(&rule["operations"]).count();
    if all == 0 {
        errors.required(&operations, "");
    }
    if all > 1 && list(&rule["operations"]).any(|one| one == "*") {
        let detail = "if '*' is present, must not specify other operations";
        errors.invalid(&operations, &rule["operations"], detail);
    }
    for (index, operation) in list(&rule["operations"]).enumerate() {
        let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
        errors.choice(operations.index(index), operation, &known);
    }
    for (field, word, may_be_empty) in [("apiGroups", "API groups", true), ("apiVersions", "API versions", false)] {
        let at = path.field(field);
        let count = list(&rule[field]).count();
        if count == 0 {
            errors.required(&at, "");
        }
        if count > 1 && list(&rule[field]).any(|one| one == "*") {
            errors.invalid(&at, &rule[field], &format!("if '*' is present, must not specify other {word}"));
        }
        for (index, value) in list(&rule[field]).enumerate() {
            if !may_be_empty && value == "" {
                errors.required(at.index(index), "");
            }
        }
    }
    check_resources(&rule["resources"], &path.field("resources"), errors);
    errors.choice(path.field("scope"), &rule["scope"], &["*", "Cluster", "Namespaced"]);
}

fn check_resources(resources: &Value, path: &Path, errors: &mut Errors) {
    if list(resources).next().is_none() {
        errors.required(path, "");
    }
    let (mut whole, mut everywhere) = (HashSet::new(), HashSet::new());
    let (mut all, mut single, mut plain) = (false, false, false);
    for (index, resource) in list(resources).enumerate() {
        let name = resource.as_str().unwrap_or_default();
        let at = path.index(index);
        if name.is_empty() {
            errors.required(at, "");
            continue;
        }
        all |= name == "*/*";
        single |= name == "*";
        let Some((of, sub)) = name.split_once('/') else {
            plain = name != "*";
            continue;
        };
        if whole.contains(of) {
            errors.invalid(&at, resource, &format!("if '{of}/*' is present, must not specify {name}"));
        }
        if everywhere.contains(sub) {
            errors.invalid(&at, resource, &format!("if '*/{sub}' is present, must not specify {name}"));
        }
        if sub == "*" {
            whole.insert(of);
        }
        if of == "*" {
            everywhere.insert(sub);
        }
    }
    if all && list(resources).count() > 1 {
        errors.invalid(path, resources, "if '*/*' is present, must not specify other resources");
    }
    if single && plain {
        errors.invalid(path, resources, "if '*' is present, must not specify other resources without subresources");
    }
}

/// Where a webhook is: at a URL, or behind a service.
fn check_client(client: &Value, path: &Path, errors: &mut Errors) {
    let (url, service) = (&client["url"], &client["service"]);
    if url.is_null() == service.is_null() {
        return errors.required(path, "exactly one of url or service is required");
    }
    if let Some(url) = url.as_str() {
        return check_url(url, &path.field("url"), errors);
    }
    let path = path.field("service");
    for field in ["name", "namespace"] {
        if text(service, field).is_empty() {
            errors.required(path.field(field), &format!("service {field} is required"));
        }
    }
    if service["port"].as_i64().is_some_and(|port| !(1..=65535).contains(&port)) {
        errors.invalid(
            path.field("port"),
            &service["port"],
            "port is not valid: must be between 1 and 65535, inclusive",
        );
    }
    let Some(way) = service["path"].as_str().filter(|way| *way != "/" && !way.is_empty()) else {
        return;
    };
    let at = path.field("path");
    if !way.starts_with('/') {
        errors.invalid(&at, &json!(way), "must start with a '/'");
    }
    let steps: Vec<&str> = way.trim_start_matches('/').split('/').collect();
    for (index, step) in steps.iter().enumerate() {
        if step.is_empty() && index + 1 < steps.len() {
            errors.invalid(&at, &json!(way), &format!("segment[{index}] may not be empty"));
        }
        if !step.is_empty() {
            for problem in names::dns_subdomain(step) {
                errors.invalid(&at, &json!(way), &format!("segment[{index}]: {problem}"));
            }
        }
    }
}

fn check_url(url: &str, path: &Path, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let mut wrong = |detail: String| errors.invalid(path, &json!(url), &format!("{detail}{FORM}"));
    let Ok(uri) = url.parse::<http::Uri>() else {
        return wrong("url must be a valid URL".to_owned());
    };
    if uri.scheme_str() != Some("https") {
        wrong(format!("'https' is the only allowed URL scheme; was {:?}", uri.scheme_str().unwrap_or_default()));
    }
    if uri.host().is_none_or(str::is_empty) {
        wrong("host must be specified".to_owned());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        wrong("user information is not permitted in the URL".to_owned());
    }
    if url.contains('#') {
        wrong("fragments are not permitted in the URL".to_owned());
    }
    if uri.query().is_some() {
        wrong("query parameters are not permitted in the URL".to_owned());
    }
}

fn check_reviews(webhook: &Value, path: &Path, errors: &mut Errors) {
    let versions = &webhook["admissionReviewVersions"];
    if list(versions).next().is_none() {
        return errors.required(path, "must specify one of v1, v1beta1");
    }
    let mut seen = HashSet::new();
    for (index, version) in list(versions).enumerate() {
        let name = version.as_str().unwrap_or_default();
        if !seen.insert(name) {
            errors.invalid(path.index(index), version, "duplicate version");
            continue;
        }
        errors.each(&path.index(index), name, names::dns_1035_label(name));
    }
    if !REVIEWS.iter().any(|known| seen.contains(known)) {
        errors.invalid(path, versions, "must include at least one of v1, v1beta1");
    }
}
