//! Volumes of a pod: one source each, with modes and paths of files.
//! Upstream rule: `ValidateVolumes` of k8s.io/kubernetes `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, entries, has, list, quantity, text};
use super::container::Volumes;
use super::env;
use crate::schema::Path;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const TOKEN_MIN_SECONDS: i64 = 600;
const TOKEN_MAX_SECONDS: i64 = 1 << 32;
/// Fields of a pod that files may hold.
const FILE_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Checks all volumes and answers with the names that can be mounted.
pub(super) fn volumes<'a>(spec: &'a Value, path: &Path, errors: &mut Errors) -> Volumes<'a> {
    let mut names: Volumes<'a> = HashSet::new();
    for (index, volume) in list(&spec["volumes"]).enumerate() {
        let at = path.index(index);
        let name = text(volume, "name");
        let before = errors.0.len();
        source(volume, spec, &at, errors);
        if name.is_empty() {
            errors.required(at.field("name"), "");
        } else {
            errors.each(&at.field("name"), name, names::dns_label(name));
        }
        if names.contains(name) {
            errors.duplicate(at.field("name"), &json!(name));
        }
        if errors.0.len() == before {
            names.insert(name);
        }
    }
    names
}

fn source(volume: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let mut found = 0;
    for (field, inside) in entries(volume).filter(|(field, value)| *field != "name" && !value.is_null()) {
        let at = path.field(field);
        found += 1;
        if found > 1 {
            errors.forbidden(at, "may not specify more than 1 volume type");
            continue;
        }
        match field.as_str() {
            "configMap" => {
                named(inside, "name", &at, errors);
                mode(inside, "defaultMode", &at, errors);
                files(inside, &at, errors);
            }
            "secret" => {
                named(inside, "secretName", &at, errors);
                mode(inside, "defaultMode", &at, errors);
                files(inside, &at, errors);
            }
            "downwardAPI" => {
                mode(inside, "defaultMode", &at, errors);
                list(&inside["items"]).for_each(|file| downward_file(file, &at, errors));
            }
            "projected" => projected(inside, spec, &at, errors),
            "emptyDir" if quantity(&inside["sizeLimit"]).is_some_and(|size| size.milli_value() < 0) => {
                errors.forbidden(at.field("sizeLimit"), "SizeLimit field must be a valid resource quantity");
            }
            "hostPath" => host_path(inside, &at, errors),
            "persistentVolumeClaim" => named(inside, "claimName", &at, errors),
            _ => {}
        }
    }
}

fn named(source: &Value, field: &str, path: &Path, errors: &mut Errors) {
    if text(source, field).is_empty() {
        errors.required(path.field(field), "");
    }
}

fn mode(source: &Value, field: &str, path: &Path, errors: &mut Errors) {
    if source[field].as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.invalid(path.field(field), &source[field], MODE);
    }
}

/// Keys that become files.
fn files(source: &Value, path: &Path, errors: &mut Errors) {
    for (index, file) in list(&source["items"]).enumerate() {
        let at = path.field("items").index(index);
        if text(file, "key").is_empty() {
            errors.required(at.field("key"), "");
        }
        if text(file, "path").is_empty() {
            errors.required(at.field("path"), "");
        }
        file_path(file, &at.field("path"), errors);
        mode(file, "mode", &at, errors);
    }
}

/// Relative, without steps upwards, and not one of the names that atomic writing needs.
fn file_path(file: &Value, path: &Path, errors: &mut Errors) {
    errors.inner_path(path, &file["path"]);
    let text = text(file, "path");
    if text.starts_with("..") && !text.starts_with("../") && text != ".." {
        errors.invalid(path, &file["path"], "must not start with '..'");
    }
}

/// A field or an amount of the pod that becomes a file; upstream names these without an index.
fn downward_file(file: &Value, path: &Path, errors: &mut Errors) {
    if text(file, "path").is_empty() {
        errors.required(path.field("path"), "");
    }
    file_path(file, &path.field("path"), errors);
    match (has(file, "fieldRef"), has(file, "resourceFieldRef")) {
        (true, both) => {
            env::field_ref(&file["fieldRef"], &FILE_FIELDS, true, &path.field("fieldRef"), errors);
            if both {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(path, &json!("resource"), detail);
            }
        }
        (false, true) => {
            let (reference, at) = (&file["resourceFieldRef"], path.field("resourceFieldRef"));
            if text(reference, "containerName").is_empty() {
                errors.required(at.field("containerName"), "");
            } else if text(reference, "resource").is_empty() {
                errors.required(at.field("resource"), "");
            } else {
                errors.choice(at.field("resource"), &reference["resource"], &env::AMOUNTS);
            }
        }
        (false, false) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(file, "mode", path, errors);
}

fn projected(projected: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    mode(projected, "defaultMode", path, errors);
    let mut paths = HashSet::new();
    for (index, source) in list(&projected["sources"]).enumerate() {
        let at = path.field("sources").index(index);
        let mut found = 0;
        for field in ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"] {
            if !has(source, field) {
                continue;
            }
            found += 1;
            let (inside, at_field) = (&source[field], at.field(field));
            if found > 1 {
                errors.forbidden(&at, "may not specify more than 1 volume type per source");
            }
            match field {
                "secret" | "configMap" => {
                    named(inside, "name", &at_field, errors);
                    files(inside, &at_field, errors);
                }
                "downwardAPI" => list(&inside["items"]).for_each(|file| downward_file(file, &at_field, errors)),
                "serviceAccountToken" => token(inside, spec, path, &at_field, errors),
                _ => {}
            }
            for file in list(&inside["items"]).map(|file| text(file, "path")).filter(|path| !path.is_empty()) {
                if !paths.insert(file) {
                    let owner = if field == "downwardAPI" { file } else { text(inside, "name") };
                    errors.invalid(path, &json!(owner), "conflicting duplicate paths");
                }
            }
        }
    }
}

fn token(token: &Value, spec: &Value, volume: &Path, path: &Path, errors: &mut Errors) {
    let at = path.field("expirationSeconds");
    match token["expirationSeconds"].as_i64() {
        Some(seconds) if seconds < TOKEN_MIN_SECONDS => {
            errors.invalid(at, &token["expirationSeconds"], "may not specify a duration less than 10 minutes");
        }
        Some(seconds) if seconds > TOKEN_MAX_SECONDS => {
            errors.invalid(at, &token["expirationSeconds"], "may not specify a duration larger than 2^32 seconds");
        }
        _ => {}
    }
    match text(token, "path") {
        "" => errors.required(volume.field("path"), ""),
        _ => file_path(token, &volume.field("path"), errors),
    }
    if text(spec, "serviceAccountName").is_empty() {
        errors.forbidden(path, "must not be specified when serviceAccountName is not set");
    }
}

/// Also of persistent volumes.
pub(super) fn host_path(source: &Value, path: &Path, errors: &mut Errors) {
    if text(source, "path").is_empty() {
        return errors.required(path.field("path"), "");
    }
    errors.no_backsteps(path.field("path"), &source["path"]);
    let kinds = ["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    errors.choice(path.field("type"), &source["type"], &kinds);
}
