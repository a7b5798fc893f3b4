//! Filling absent fields. "Absent" is as Go sees it: null is absent, and so are "" and 0 where the function says so.

use serde_json::{Map, Value};

/// The object in `field`, made if it is not there. Types are checked before: what is no object there is no loss.
pub(super) fn object<'a>(parent: &'a mut Value, field: &str) -> &'a mut Value {
    if !parent.is_object() {
        *parent = Value::Object(Map::new());
    }
    let child = &mut parent[field];
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    child
}

/// The object in `field`, if it is there.
pub(super) fn present<'a>(parent: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    parent.get_mut(field).filter(|value| value.is_object())
}

/// The items of the list in `field`.
pub(super) fn items<'a>(parent: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().filter(|item| item.is_object())
}

/// Fills `field` if it is absent.
pub(super) fn value(parent: &mut Value, field: &str, default: impl Into<Value>) {
    if parent.is_object() && parent.get(field).is_none_or(Value::is_null) {
        parent[field] = default.into();
    }
}

/// Fills a string that is absent or empty.
pub(super) fn text(parent: &mut Value, field: &str, default: &str) {
    if parent.is_object() && string(parent, field).is_empty() {
        parent[field] = Value::from(default);
    }
}

/// Fills a number that is absent or zero.
pub(super) fn number(parent: &mut Value, field: &str, default: i64) {
    if parent.is_object() && parent.get(field).is_none_or(|value| value.is_null() || value.as_i64() == Some(0)) {
        parent[field] = Value::from(default);
    }
}

/// The string in `field`, or "".
pub(super) fn string<'a>(parent: &'a Value, field: &str) -> &'a str {
    parent.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a list or an object in `field` is absent or empty.
pub(super) fn is_empty(parent: &Value, field: &str) -> bool {
    match parent.get(field) {
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Null) | None => true,
        Some(_) => false,
    }
}

/// The status is always there, if only empty.
pub(super) fn status(parent: &mut Value) {
    object(parent, "status");
}
