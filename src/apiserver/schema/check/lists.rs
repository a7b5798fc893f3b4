//! Lists of a custom resource that are sets, or maps by keys, have no duplicates.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/listtype/validation.go`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Path;
use crate::error::FieldError;
use crate::schema::{ListType, Schema};

/// Every duplicate, named once.
pub(super) fn check(schema: &Schema, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(schema, value, &Path::default(), &mut errors);
    errors
}

fn walk(schema: &Schema, value: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(property) = schema.properties.get(name).filter(|known| known.definition.is_none()) {
                    walk(property, value, &path.field(name), errors);
                } else if let Some(additional) = &schema.additional {
                    walk(additional, value, &path.key(name), errors);
                }
            }
        }
        Value::Array(items) => {
            match &schema.list_type {
                ListType::Set => duplicates(items.iter().cloned(), path, errors),
                ListType::Map(keys) => map(items, keys, path, errors),
                ListType::Atomic => {}
            }
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    walk(schema, item, &path.index(index), errors);
                }
            }
        }
        _ => {}
    }
}

fn map(items: &[Value], keys: &[String], path: &Path, errors: &mut Vec<FieldError>) {
    let stray = items.iter().position(|item| !item.is_object() && !item.is_null());
    if let Some((index, item)) = stray.and_then(|index| Some((index, items.get(index)?))) {
        errors.push(FieldError::invalid(path.index(index), item, "must be an object for an array of list-type map"));
        return;
    }
    let key_of = |item: &Value| {
        let found = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
        Value::Object(found.collect::<Map<String, Value>>())
    };
    duplicates(items.iter().map(key_of), path, errors);
}

fn duplicates(items: impl Iterator<Item = Value>, path: &Path, errors: &mut Vec<FieldError>) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, item) in items.enumerate() {
        let times = seen.entry(item.to_string()).or_default();
        *times += 1;
        if *times == 2 {
            errors.push(FieldError {
                reason: "FieldValueDuplicate",
                field: path.index(index).into(),
                message: format!("Duplicate value: {item}"),
            });
        }
    }
}
