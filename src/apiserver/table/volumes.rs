//! How volumes, claims and storage classes are printed.

use serde_json::Value;

use super::{Columns, Printer, age, items, or_none, text, wide};
use crate::object::{is_deleting, meta, text as text_at};

pub(crate) const VOLUMES: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Capacity"),
        text("Access Modes"),
        text("Reclaim Policy"),
        text("Status"),
        text("Claim"),
        text("StorageClass"),
        text("VolumeAttributesClass"),
        text("Reason"),
        text("Age"),
        wide("VolumeMode"),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let claim = &spec["claimRef"];
        let claimed =
            claim.is_object().then(|| format!("{}/{}", text_at(claim, &["namespace"]), text_at(claim, &["name"])));
        vec![
            meta(object, "name").into(),
            text_at(spec, &["capacity", "storage"]).into(),
            modes(spec).into(),
            text_at(spec, &["persistentVolumeReclaimPolicy"]).into(),
            phase(object),
            claimed.unwrap_or_default().into(),
            text_at(spec, &["storageClassName"]).into(),
            unset(text_at(spec, &["volumeAttributesClassName"])),
            text_at(object, &["status", "reason"]).into(),
            age::of(object, now),
            unset(text_at(spec, &["volumeMode"])),
        ]
    },
});

pub(crate) const CLAIMS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Status"),
        text("Volume"),
        text("Capacity"),
        text("Access Modes"),
        text("StorageClass"),
        text("VolumeAttributesClass"),
        text("Age"),
        wide("VolumeMode"),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let volume = text_at(spec, &["volumeName"]);
        let bound = !volume.is_empty();
        vec![
            meta(object, "name").into(),
            phase(object),
            volume.into(),
            if bound { text_at(status, &["capacity", "storage"]) } else { "" }.into(),
            if bound { modes(status) } else { String::new() }.into(),
            text_at(spec, &["storageClassName"]).into(),
            unset(text_at(spec, &["volumeAttributesClassName"])),
            age::of(object, now),
            unset(text_at(spec, &["volumeMode"])),
        ]
    },
});

pub(crate) const CLASSES: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Provisioner"),
        text("ReclaimPolicy"),
        text("VolumeBindingMode"),
        text("AllowVolumeExpansion"),
        text("Age"),
    ],
    cells: |object, now| {
        let default = object["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
        let name = meta(object, "name");
        let word = |field: &str, otherwise: &str| object[field].as_str().unwrap_or(otherwise).to_owned();
        vec![
            if default { format!("{name} (default)") } else { name.to_owned() }.into(),
            text_at(object, &["provisioner"]).into(),
            word("reclaimPolicy", "Delete").into(),
            word("volumeBindingMode", "Immediate").into(),
            (object["allowVolumeExpansion"] == true).into(),
            age::of(object, now),
        ]
    },
});

pub(crate) const ATTACHMENTS: Columns = Columns::Builtin(&Printer {
    columns: &[text("Name"), text("Attacher"), text("PV"), text("Node"), text("Attached"), text("Age")],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![
            meta(object, "name").into(),
            text_at(spec, &["attacher"]).into(),
            or_none(text_at(spec, &["source", "persistentVolumeName"])),
            text_at(spec, &["nodeName"]).into(),
            (object["status"]["attached"] == true).to_string().into(),
            age::of(object, now),
        ]
    },
});

fn unset(text: &str) -> Value {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}

fn phase(object: &Value) -> Value {
    if is_deleting(object) { "Terminating".into() } else { text_at(object, &["status", "phase"]).into() }
}

/// Access modes in their short form.
fn modes(object: &Value) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    items(&object["accessModes"]).map(short).collect::<Vec<_>>().join(",")
}
