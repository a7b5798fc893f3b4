//! Namespaces: the finalizer that keeps one until its content is gone, and the label of its name.

use serde_json::{Value, json};

use crate::object::meta;

/// Label that every namespace has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn on_create(object: &mut Value) {
    let finalizers = object["spec"]["finalizers"].as_array();
    if !finalizers.is_some_and(|list| list.iter().any(|one| one == "kubernetes")) {
        let mut list = finalizers.cloned().unwrap_or_default();
        list.push("kubernetes".into());
        object["spec"]["finalizers"] = list.into();
    }
    object["status"] = json!({"phase": "Active"});
    label(object);
}

pub(super) fn on_update(old: &Value, object: &mut Value) {
    // Only `finalize` changes them, and it has its own way.
    if object["spec"].is_null() && !old["spec"].is_null() {
        object["spec"] = old["spec"].clone();
    }
    label(object);
}

fn label(object: &mut Value) {
    let name = meta(object, "name").to_owned();
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"][NAME_LABEL] = name.into();
}
