//! ConfigMaps, Secrets, limits and quotas.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/core/validation/validation.go`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, entries, has, list, quantity, text};
use super::container::not_below_zero;
use crate::error::FieldError;
use crate::schema::Path;

/// All values of a configMap or secret together.
const SIZE_MAX: usize = 1024 * 1024;
const ACCOUNT: &str = "kubernetes.io/service-account.name";
/// Keys that a secret of a type must have.
const SECRET_KEYS: &[(&str, &[&str])] = &[
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];
/// What a quota may count without a group.
const COUNTED: [&str; 18] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
];

pub(super) fn config_map(map: &Value, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in entries(&map["data"]) {
        let at = Path::new("data").key(key);
        errors.config_key(&at, key);
        if has(&map["binaryData"], key) {
            errors.invalid(&at, &json!(key), "duplicate of key present in binaryData");
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in entries(&map["binaryData"]) {
        errors.config_key(&Path::new("binaryData").key(key), key);
        size += value.as_str().map_or(0, |text| text.len() / 4 * 3);
    }
    if size > SIZE_MAX {
        too_long("", errors);
    }
}

fn too_long(field: &str, errors: &mut Errors) {
    let message = format!("Too long: may not be more than {SIZE_MAX} bytes");
    errors.0.push(FieldError { reason: "FieldValueTooLong", field: field.to_owned(), message });
}

pub(super) fn secret(secret: &Value, errors: &mut Errors) {
    let data = &secret["data"];
    let mut size = 0;
    for (key, value) in entries(data) {
        errors.config_key(&Path::new("data").key(key), key);
        size += value.as_str().map_or(0, |text| text.len() / 4 * 3);
    }
    if size > SIZE_MAX {
        too_long("data", errors);
    }
    let kind = text(secret, "type");
    for key in SECRET_KEYS.iter().filter(|(name, _)| *name == kind).flat_map(|(_, keys)| *keys) {
        let at = Path::new("data").key(key);
        if !has(data, key) {
            errors.required(at, "");
        } else if key.starts_with(".docker") {
            let decoded = STANDARD.decode(text(data, key)).unwrap_or_default();
            if serde_json::from_slice::<Value>(&decoded).is_err() {
                errors.invalid(at, &json!("<secret contents redacted>"), &not_json(&decoded));
            }
        }
    }
    match kind {
        "kubernetes.io/service-account-token" if text(&secret["metadata"]["annotations"], ACCOUNT).is_empty() => {
            errors.required(Path::new("metadata.annotations").key(ACCOUNT), "");
        }
        "kubernetes.io/basic-auth" if !has(data, "username") && !has(data, "password") => {
            errors.required(Path::new("data").key("username"), "");
            errors.required(Path::new("data").key("password"), "");
        }
        _ => {}
    }
}

fn not_json(text: &[u8]) -> String {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => "unexpected end of JSON input".to_owned(),
        Some(b'{' | b'[' | b'"') => "invalid JSON".to_owned(),
        Some(byte) => format!("invalid character '{}' looking for beginning of value", char::from(*byte)),
    }
}

pub(super) fn limit_range(range: &Value, errors: &mut Errors) {
    let mut seen = Vec::new();
    for (index, limit) in list(&range["spec"]["limits"]).enumerate() {
        let at = Path::new("spec.limits").index(index);
        let kind = text(limit, "type");
        if seen.contains(&kind) {
            errors.duplicate(at.field("type"), &json!(kind));
        }
        seen.push(kind);
        let amount = |field: &str, name: &str| quantity(&limit[field][name]);
        let mut names: Vec<&String> = ["max", "min", "default", "defaultRequest"]
            .iter()
            .flat_map(|field| entries(&limit[*field]))
            .map(|(name, _)| name)
            .collect();
        names.sort();
        names.dedup();
        for name in names {
            let (max, min) = (amount("max", name), amount("min", name));
            let (default, request) = (amount("default", name), amount("defaultRequest", name));
            let mut over = |field: &str, shown: Option<tinderbox_api::quantity::Quantity>, detail: String| {
                let shown = shown.map_or(Value::Null, |shown| json!(shown.to_string()));
                errors.invalid(at.field(field).key(name), &shown, &detail);
            };
            if let (Some(min), Some(max)) = (min, max)
                && min > max
            {
                over("min", Some(min), format!("min value {min} is greater than max value {max}"));
            }
            if let (Some(request), Some(min)) = (request, min)
                && min > request
            {
                let detail = format!("min value {min} is greater than default request value {request}");
                over("defaultRequest", Some(request), detail);
            }
            if let (Some(request), Some(max)) = (request, max)
                && request > max
            {
                let detail = format!("default request value {request} is greater than max value {max}");
                over("defaultRequest", Some(request), detail);
            }
            if let (Some(request), Some(default)) = (request, default)
                && request > default
            {
                let detail = format!("default request value {request} is greater than default limit value {default}");
                over("defaultRequest", Some(request), detail);
            }
            if let (Some(default), Some(min)) = (default, min)
                && min > default
            {
                over("default", Some(min), format!("min value {min} is greater than default value {default}"));
            }
            if let (Some(default), Some(max)) = (default, max)
                && default > max
            {
                over("default", Some(max), format!("default value {default} is greater than max value {max}"));
            }
        }
    }
}

pub(super) fn quota(quota: &Value, errors: &mut Errors) {
    for (name, amount) in entries(&quota["spec"]["hard"]) {
        let at = Path::new("spec.hard").key(name);
        errors.each(&at, name, names::qualified_name(name));
        let counted = COUNTED.contains(&name.as_str()) || name == "services.nodeports" || name.contains("hugepages-");
        if !name.contains('/') && !counted {
            errors.invalid(&at, &json!(name), "must be a standard resource for quota");
        }
        not_below_zero(amount, &at, errors);
    }
    let scopes = [
        "Terminating",
        "NotTerminating",
        "BestEffort",
        "NotBestEffort",
        "PriorityClass",
        "CrossNamespacePodAffinity",
        "VolumeAttributesClass",
    ];
    let found = &quota["spec"]["scopes"];
    if list(found).any(|scope| !scope.as_str().is_some_and(|scope| scopes.contains(&scope))) {
        errors.invalid("spec.scopes", found, "unsupported scope");
    }
}
