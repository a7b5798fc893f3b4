//! Defaults of volumes, claims, storage classes and drivers.
//! Upstream rules: k8s.io/kubernetes `pkg/apis/{core,storage}/v1/defaults.go`.

use serde_json::{Value, json};

use super::{fill, volume as pod_volume};

pub(super) fn volume(volume: &mut Value) {
    let spec = fill::object(volume, "spec");
    fill::text(spec, "persistentVolumeReclaimPolicy", "Retain");
    fill::value(spec, "volumeMode", "Filesystem");
    pod_volume::source(spec);
    let status = fill::object(volume, "status");
    fill::text(status, "phase", "Pending");
}

pub(super) fn claim(claim: &mut Value) {
    claim_spec(fill::object(claim, "spec"));
    let status = fill::object(claim, "status");
    fill::text(status, "phase", "Pending");
}

/// Also inside a pod's ephemeral volume.
pub(super) fn claim_spec(spec: &mut Value) {
    fill::value(spec, "volumeMode", "Filesystem");
    fill::object(spec, "resources");
    // One source in two fields, of which the second is newer.
    let (old, new) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    let local = fill::string(&new, "namespace").is_empty();
    match (old.is_object(), new.is_object()) {
        (true, false) => spec["dataSourceRef"] = old,
        (false, true) if local => spec["dataSource"] = new,
        _ => {}
    }
    if let Value::Object(fields) = spec {
        fields.retain(|name, value| !(name.starts_with("dataSource") && value.is_null()));
    }
}

pub(super) fn class(class: &mut Value) {
    fill::value(class, "reclaimPolicy", "Delete");
    fill::value(class, "volumeBindingMode", "Immediate");
}

pub(super) fn driver(driver: &mut Value) {
    let spec = fill::object(driver, "spec");
    fill::value(spec, "attachRequired", true);
    fill::value(spec, "podInfoOnMount", false);
    fill::value(spec, "storageCapacity", false);
    fill::value(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    fill::value(spec, "requiresRepublish", false);
    fill::value(spec, "seLinuxMount", false);
    if fill::is_empty(spec, "volumeLifecycleModes") {
        spec["volumeLifecycleModes"] = json!(["Persistent"]);
    }
}
