//! Holding a custom resource to the value rules of its definition, with Kubernetes' messages and in its order: type,
//! combinations, rules of the type, enum, then what is inside. CEL rules are held elsewhere.
//! Upstream rule: k8s.io/kube-openapi `pkg/validation/validate`.

use serde_json::{Map, Value};

use super::{Path, combine, rules};
use crate::error::FieldError;
use crate::schema::{Kind, Schema};

/// Every rule that the object breaks.
pub(super) fn validate(schema: &Schema, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    node(schema, value, &Path::default(), &mut errors);
    errors
}

/// Checks the value at `path` and all inside it.
pub(super) fn node(schema: &Schema, value: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if schema.definition.is_some() {
        // Metadata: read as a built-in type already; a definition may restrict names alone.
        for (name, property) in
            schema.properties.iter().filter(|(name, _)| matches!(name.as_str(), "name" | "generateName"))
        {
            if let Some(value) = value.get(name) {
                rules::string_rules(property, value, &path.field(name), errors);
            }
        }
        return;
    }
    check_type(schema, value, path, errors);
    if !value.is_null() {
        if let Some(combined) = &schema.combined {
            combine::check(combined, value, path, errors);
        }
        rules::string_rules(schema, value, path, errors);
        rules::number_rules(schema, value, path, errors);
    }
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = &schema.items {
                node(schema, item, &path.index(index), errors);
            }
        }
        rules::list_rules(schema, items, path, errors);
    }
    rules::enumeration(schema, value, path, errors);
    if let Value::Object(fields) = value {
        object(schema, fields, path, errors);
    }
}

fn object(schema: &Schema, fields: &Map<String, Value>, path: &Path, errors: &mut Vec<FieldError>) {
    rules::object_rules(schema, fields, path, errors);
    for (name, value) in fields {
        if let Some(schema) = schema.properties.get(name).or(schema.additional.as_ref()) {
            node(schema, value, &path.field(name), errors);
        }
    }
    for name in schema.required.iter().filter(|name| !fields.contains_key(*name)) {
        errors.push(FieldError::required(path.field(name), ""));
    }
}

fn check_type(schema: &Schema, value: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let found = type_of(value);
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = match schema.kind {
        Kind::Any => true,
        _ if value.is_null() => schema.nullable,
        Kind::IntOrString => matches!(found, "integer" | "string") || whole,
        Kind::Object => found == "object",
        Kind::Array => found == "array",
        Kind::String => found == "string",
        Kind::Boolean => found == "boolean",
        Kind::Number => found == "number" || found == "integer",
        Kind::Integer => found == "integer" || whole,
    };
    if !fits {
        errors.push(wrong_type(path, name_of(schema.kind), &Value::from(found)));
    }
}

/// `PATH in body must be of type WANTED: "FOUND"`.
pub(super) fn wrong_type(path: &Path, wanted: &str, found: &Value) -> FieldError {
    let mut error = FieldError::invalid(path, found, &format!("{path} in body must be of type {wanted}: {found}"));
    error.reason = "FieldValueTypeInvalid";
    error
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::String => "string",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::IntOrString => "integer,string",
        Kind::Any => "",
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
