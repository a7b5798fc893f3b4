//! Volumes, claims and storage classes.
//! Upstream rules: k8s.io/kubernetes `pkg/apis/{core,storage}/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::names;

use super::common::{Errors, entries, has, list, quantity, text};
use super::{scheduling, volume};
use crate::error::FieldError;
use crate::schema::Path;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// What a volume's spec says besides its source.
pub(super) const NO_SOURCE: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

pub(super) fn claim(claim: &Value, errors: &mut Errors) {
    let (spec, path) = (&claim["spec"], Path::new("spec"));
    if list(&spec["accessModes"]).next().is_none() {
        errors.required(path.field("accessModes"), "at least 1 access mode is required");
    }
    access_modes(spec, &path, errors);
    let at = path.field("resources").key("storage");
    match quantity(&spec["resources"]["requests"]["storage"]) {
        None => errors.required(at, ""),
        Some(amount) if amount.milli_value() <= 0 => {
            errors.invalid(at, &json!(amount.to_string()), "must be greater than zero");
        }
        Some(_) => {}
    }
    storage_class(spec, &path, errors);
    errors.choice(path.field("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    errors.selector(&spec["selector"], &path.field("selector"));
}

fn access_modes(spec: &Value, path: &Path, errors: &mut Errors) {
    let at = path.field("accessModes");
    for mode in list(&spec["accessModes"]) {
        errors.choice(&at, mode, &MODES);
    }
    let once = list(&spec["accessModes"]).any(|mode| mode == "ReadWriteOncePod");
    if once && list(&spec["accessModes"]).any(|mode| mode != "ReadWriteOncePod") {
        errors.forbidden(at, "may not use ReadWriteOncePod with other access modes");
    }
}

fn storage_class(spec: &Value, path: &Path, errors: &mut Errors) {
    let name = text(spec, "storageClassName");
    if !name.is_empty() {
        errors.each(&path.field("storageClassName"), name, names::dns_subdomain(name));
    }
}

pub(super) fn persistent_volume(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    if list(&spec["accessModes"]).next().is_none() {
        errors.required(path.field("accessModes"), "");
    }
    access_modes(spec, &path, errors);
    let capacity = &spec["capacity"];
    let amounts = entries(capacity).count();
    if amounts == 0 {
        errors.required(path.field("capacity"), "");
    }
    if amounts != 1 || !has(capacity, "storage") {
        errors.0.push(FieldError::not_supported(path.field("capacity"), capacity, &["storage"]));
    }
    for (name, amount) in entries(capacity).filter(|(name, _)| *name == "storage") {
        if quantity(amount).is_some_and(|amount| amount.milli_value() <= 0) {
            errors.invalid(path.field("capacity").key(name), amount, "must be greater than zero");
        }
    }
    let policies = ["Delete", "Recycle", "Retain"];
    errors.choice(path.field("persistentVolumeReclaimPolicy"), &spec["persistentVolumeReclaimPolicy"], &policies);
    source(spec, &path, errors);
    storage_class(spec, &path, errors);
    errors.choice(path.field("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    if has(&spec["nodeAffinity"], "required") {
        let at = path.field("nodeAffinity").field("required");
        scheduling::node_selector(&spec["nodeAffinity"]["required"], &at, errors);
    }
}

fn source(spec: &Value, path: &Path, errors: &mut Errors) {
    let mut found = 0;
    for (name, inside) in entries(spec).filter(|(name, value)| !NO_SOURCE.contains(&name.as_str()) && !value.is_null())
    {
        found += 1;
        let at = path.field(name);
        if found > 1 {
            errors.forbidden(at, "may not specify more than 1 volume type");
            continue;
        }
        match name.as_str() {
            "hostPath" => volume::host_path(inside, &at, errors),
            "local" => {
                if text(inside, "path").is_empty() {
                    errors.required(at.field("path"), "");
                } else {
                    errors.no_backsteps(at.field("path"), &inside["path"]);
                }
                if !has(spec, "nodeAffinity") {
                    errors.required(path.field("nodeAffinity"), "Local volume requires node affinity");
                }
            }
            _ => {}
        }
    }
    if found == 0 {
        errors.required(path, "must specify a volume type");
    }
}

pub(super) fn class(class: &Value, errors: &mut Errors) {
    match text(class, "provisioner") {
        "" => errors.required("provisioner", ""),
        name => {
            let lower = name.to_lowercase();
            errors.each(&Path::new("provisioner"), name, names::qualified_name(&lower));
        }
    }
    errors.choice("reclaimPolicy", &class["reclaimPolicy"], &["Delete", "Retain"]);
    errors.choice("volumeBindingMode", &class["volumeBindingMode"], &["Immediate", "WaitForFirstConsumer"]);
}
