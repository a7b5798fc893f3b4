//! What a kind adds when its objects are written, beyond defaults of fields: first statuses, fields that follow from
//! others. A file per room of kinds; none reads the store but through what it is handed.

mod daemons;
mod namespaces;
mod pods;
mod secrets;
mod sets;
mod volumes;

use serde_json::Value;

use crate::resource::Resource;

/// Completes a new object.
pub(crate) fn on_create(resource: &Resource, object: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => namespaces::on_create(object),
        ("apps", "daemonsets") => daemons::on_create(object),
        ("apps", "statefulsets") => sets::on_write(None, object),
        ("", "pods") => pods::on_create(object),
        ("", "secrets") => secrets::on_write(object),
        ("", "persistentvolumeclaims" | "persistentvolumes") => volumes::on_create(object),
        _ => {}
    }
}

/// Completes a new version.
pub(crate) fn on_update(resource: &Resource, old: &Value, object: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => namespaces::on_update(old, object),
        ("apps", "daemonsets") => daemons::on_update(old, object),
        ("apps", "statefulsets") => sets::on_write(Some(old), object),
        ("", "secrets") => secrets::on_write(object),
        _ => {}
    }
}
