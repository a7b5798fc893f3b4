//! Defaults of the volumes of a pod, and of the sources that persistent volumes share with them.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/core/v1/defaults.go`.

use serde_json::{Value, json};

use super::{fill, storage};

/// Files of configMaps, secrets and the downward API are 0644 unless the pod says otherwise.
const DEFAULT_MODE: i64 = 0o644;

/// Fields of sources that have a fixed default: `(source, field, value)`.
const SOURCES: &[(&str, &str, &str)] = &[
    ("azureDisk", "cachingMode", "ReadWrite"),
    ("azureDisk", "fsType", "ext4"),
    ("azureDisk", "kind", "Shared"),
    ("iscsi", "iscsiInterface", "default"),
    ("rbd", "keyring", "/etc/ceph/keyring"),
    ("rbd", "pool", "rbd"),
    ("rbd", "user", "admin"),
    ("scaleIO", "fsType", "xfs"),
    ("scaleIO", "storageMode", "ThinProvisioned"),
];

/// A volume of a pod. One that names no source is an emptyDir.
pub(super) fn volume(volume: &mut Value) {
    let sources = volume
        .as_object()
        .map_or(0, |fields| fields.iter().filter(|(name, value)| *name != "name" && !value.is_null()).count());
    if sources == 0 {
        volume["emptyDir"] = json!({});
    }
    source(volume);
    for name in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = fill::present(volume, name) {
            fill::value(source, "defaultMode", DEFAULT_MODE);
        }
    }
    if let Some(source) = fill::present(volume, "downwardAPI") {
        downward_files(source);
    }
    if let Some(projected) = fill::present(volume, "projected") {
        for source in fill::items(projected, "sources") {
            if let Some(token) = fill::present(source, "serviceAccountToken") {
                fill::value(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = fill::present(source, "downwardAPI") {
                downward_files(downward);
            }
        }
    }
    if let Some(ephemeral) = fill::present(volume, "ephemeral")
        && let Some(template) = fill::present(ephemeral, "volumeClaimTemplate")
    {
        fill::object(template, "metadata");
        storage::claim_spec(fill::object(template, "spec"));
    }
}

/// The source of a volume of a pod or of a persistent volume's spec.
pub(super) fn source(holder: &mut Value) {
    if let Some(path) = fill::present(holder, "hostPath") {
        fill::value(path, "type", "");
    }
    for (name, field, default) in SOURCES {
        if let Some(source) = fill::present(holder, name) {
            fill::text(source, field, default);
        }
    }
    if let Some(disk) = fill::present(holder, "azureDisk") {
        fill::value(disk, "readOnly", false);
    }
}

fn downward_files(source: &mut Value) {
    for item in fill::items(source, "items") {
        if let Some(field) = fill::present(item, "fieldRef") {
            fill::text(field, "apiVersion", "v1");
        }
        if let Some(resource) = fill::present(item, "resourceFieldRef") {
            fill::value(resource, "divisor", "0");
        }
    }
}
