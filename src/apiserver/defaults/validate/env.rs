//! Environment variables of containers and where they take their values from.
//! Upstream rule: `validateEnv` and `validateEnvFrom` of k8s.io/kubernetes `pkg/apis/core/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, has, list, text};
use crate::error::FieldError;
use crate::schema::Path;

/// Fields of a pod that variables may take.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields that can be named at all.
const KNOWN_FIELDS: [&str; 16] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.hostNetwork",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.nominatedNodeName",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];
/// Amounts of a container.
pub(super) const AMOUNTS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const NAME: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";
const SOURCES: [&str; 4] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"];

pub(super) fn check(container: &Value, path: &Path, errors: &mut Errors) {
    for (index, variable) in list(&container["env"]).enumerate() {
        let at = path.field("env").index(index);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.required(at.field("name"), "");
        } else {
            name_of(name, &at.field("name"), errors);
        }
        if has(variable, "valueFrom") {
            source(variable, &at.field("valueFrom"), errors);
        }
    }
    for (index, from) in list(&container["envFrom"]).enumerate() {
        let at = path.field("envFrom");
        let prefix = text(from, "prefix");
        if !prefix.is_empty() {
            name_of(prefix, &at.index(index).field("prefix"), errors);
        }
        let mut found = 0;
        for field in ["configMapRef", "secretRef"] {
            if has(from, field) {
                found += 1;
                let name = text(&from[field], "name");
                let place = at.index(index).field(field).field("name");
                match name {
                    "" => errors.required(place, ""),
                    _ => errors.each(&place, name, names::dns_subdomain(name)),
                }
            }
        }
        // Upstream names the list here, not the entry.
        match found {
            0 => errors.invalid(&at, &json!(""), "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid(&at, &json!(""), "may not have more than one field specified at a time"),
        }
    }
}

fn name_of(name: &str, path: &Path, errors: &mut Errors) {
    if !name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
        errors.invalid(path, &json!(name), NAME);
    }
}

fn source(variable: &Value, path: &Path, errors: &mut Errors) {
    let from = &variable["valueFrom"];
    let found = SOURCES.iter().filter(|field| has(from, field)).count();
    if has(from, "fieldRef") {
        field_ref(&from["fieldRef"], &FIELDS, true, &path.field("fieldRef"), errors);
    }
    if has(from, "resourceFieldRef") {
        resource_ref(&from["resourceFieldRef"], &path.field("resourceFieldRef"), errors);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if has(from, field) {
            let at = path.field(field);
            let name = text(&from[field], "name");
            errors.each(&at.field("name"), name, names::dns_subdomain(name));
            match text(&from[field], "key") {
                "" => errors.required(at.field("key"), ""),
                key => errors.config_key(&at.field("key"), key),
            }
        }
    }
    if found == 0 {
        let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        errors.invalid(path, &json!(""), detail);
    } else if !text(variable, "value").is_empty() {
        errors.invalid(path, &json!(""), "may not be specified when `value` is not empty");
    } else if found > 1 {
        errors.invalid(path, &json!(""), "may not have more than one field specified at a time");
    }
}

/// A field of the pod, of `allowed`; with `subscript`, one label or annotation too.
pub(super) fn field_ref(reference: &Value, allowed: &[&str], subscript: bool, path: &Path, errors: &mut Errors) {
    let at = path.field("fieldPath");
    let field = text(reference, "fieldPath");
    if field.is_empty() {
        return errors.required(at, "");
    }
    let entry = field.split_once("['").and_then(|(map, rest)| Some((map, rest.strip_suffix("']")?)));
    if let Some((map, key)) = entry
        && matches!(map, "metadata.labels" | "metadata.annotations")
        && subscript
    {
        let key = if map == "metadata.annotations" { key.to_ascii_lowercase() } else { key.to_owned() };
        return errors.each(path, &key, names::qualified_name(&key));
    }
    if !KNOWN_FIELDS.contains(&field) {
        let detail = format!("error converting fieldPath: field label not supported: {field}");
        errors.invalid(at, &json!(field), &detail);
    } else if !allowed.contains(&field) {
        errors.0.push(FieldError::not_supported(at, &json!(field), allowed));
    }
}

fn resource_ref(reference: &Value, path: &Path, errors: &mut Errors) {
    match text(reference, "resource") {
        "" => errors.required(path.field("resource"), ""),
        name if name.contains(".hugepages-") => {}
        _ => errors.choice(path.field("resource"), &reference["resource"], &AMOUNTS),
    }
}
