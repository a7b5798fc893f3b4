//! Paths of fields as kustomize writes them (`spec/template/spec/containers/env`): lists are gone through. What is done at the
//! end of a path is the caller's.

use serde_json::{Value, json};

/// A field of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// The kind; every kind when empty.
    pub(super) kind: &'static str,
    /// The path.
    pub(super) path: &'static str,
    /// It is made where it is missing.
    pub(super) create: bool,
}

/// Calls `change` with every value at a path. What is missing is made as an object, if asked for.
pub(super) fn each(value: &mut Value, path: &[&str], create: bool, change: &mut dyn FnMut(&mut Value)) {
    if let Value::Array(items) = value {
        for item in items {
            each(item, path, create, change);
        }
        return;
    }
    let Some((first, rest)) = path.split_first() else {
        change(value);
        return;
    };
    let (first, is_list) = first.strip_suffix("[]").map_or((*first, false), |name| (name, true));
    let Some(fields) = value.as_object_mut() else { return };
    let missing = fields.get(first).is_none_or(Value::is_null);
    // A list cannot be made: nobody knows how long.
    if missing && (!create || is_list) {
        return;
    }
    if missing {
        fields.insert(first.to_owned(), if rest.is_empty() { Value::Null } else { json!({}) });
    }
    let Some(inner) = fields.get_mut(first) else { return };
    if rest.is_empty() && !is_list {
        change(inner);
    } else {
        each(inner, rest, create, change);
    }
}

/// The same for a path in one text.
pub(super) fn each_at(value: &mut Value, path: &str, create: bool, change: &mut dyn FnMut(&mut Value)) {
    let parts: Vec<&str> = path.split('/').collect();
    each(value, &parts, create, change);
}
