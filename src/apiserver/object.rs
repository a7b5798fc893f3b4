//! Small readings of an object's metadata, and times as Kubernetes writes them. Pure.

use jiff::Timestamp;
use serde_json::Value;

/// The text at a path; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    let mut found = object;
    for part in path {
        found = &found[*part];
    }
    found.as_str().unwrap_or_default()
}

/// A field of `metadata` as text; empty when there is none.
pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    text(object, &["metadata", field])
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether deletion has begun.
pub(crate) fn is_deleting(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// Removes a field of `metadata`.
pub(crate) fn remove_meta(object: &mut Value, field: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove(field);
    }
}

/// Removes a top-level field.
pub(crate) fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}

/// Sets a top-level field, or removes it where the value is null.
pub(crate) fn set_or_remove(object: &mut Value, field: &str, value: Value) {
    if value.is_null() {
        remove(object, field);
    } else {
        object[field] = value;
    }
}

/// A time in whole seconds, as in `2025-01-31T10:00:00Z`.
pub(crate) fn seconds(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// The scalar or object at a dotted path; null when there is none.
pub(crate) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    let mut found = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        found = &found[part];
    }
    found
}

/// Sets the value at a dotted path, making objects on the way.
pub(crate) fn set_at(object: &mut Value, path: &str, value: Value) {
    let mut found = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        if !found.is_object() {
            *found = Value::Object(serde_json::Map::new());
        }
        found = &mut found[part];
    }
    *found = value;
}

/// The status of a condition.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|one| one["type"] == kind)?["status"].as_str()
}

/// Puts a condition in the place of that of its type, which keeps its time while it keeps its state.
pub(crate) fn set_condition(object: &mut Value, mut condition: Value) {
    if !object["status"]["conditions"].is_array() {
        object["status"]["conditions"] = Value::Array(Vec::new());
    }
    let Some(conditions) = object["status"]["conditions"].as_array_mut() else {
        return;
    };
    match conditions.iter_mut().find(|one| one["type"] == condition["type"]) {
        Some(found) => {
            if found["status"] == condition["status"] {
                condition["lastTransitionTime"] = found["lastTransitionTime"].clone();
            }
            *found = condition;
        }
        None => conditions.push(condition),
    }
}
