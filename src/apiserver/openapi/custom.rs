//! From [`Schema`] back to OpenAPI, for custom kinds. Version 2 knows no combinations and no null.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/controller/openapi/v2/conversion.go`.

use serde_json::{Map, Value, json};

use super::definitions::Dialect;
use crate::schema::{Kind, ListType, Schema};

/// The schema of a value in a custom resource.
pub(super) fn value(schema: &Schema, dialect: Dialect) -> Value {
    if let Some(name) = &schema.definition {
        return dialect.reference(name);
    }
    let mut json = Map::new();
    let mut set = |name: &str, value: Value| {
        json.insert(name.to_owned(), value);
    };
    for (name, rule) in &schema.rules {
        set(name, rule.clone());
    }
    // kubectl would refuse what version 2 cannot say: null, and fields beside those that are known.
    let open = dialect == Dialect::V2 && (schema.preserve_unknown || schema.nullable);
    let untyped = open && (schema.nullable || matches!(schema.kind, Kind::Object | Kind::Array));
    if let Some(kind) = type_name(schema.kind).filter(|_| !untyped) {
        set("type", json!(kind));
    }
    if let Some(text) = &schema.description {
        set("description", json!(**text));
    }
    if !schema.properties.is_empty() && !open {
        let properties = schema.properties.iter().map(|(name, of)| (name.clone(), value(of, dialect)));
        set("properties", Value::Object(properties.collect()));
    }
    if let Some(additional) = &schema.additional {
        set("additionalProperties", value(additional, dialect));
    }
    if let Some(items) = schema.items.as_ref().filter(|_| !open) {
        set("items", value(items, dialect));
    }
    if !schema.required.is_empty() {
        set("required", json!(schema.required));
    }
    if let Some(default) = &schema.default {
        set("default", default.clone());
    }
    for (flag, name) in [
        (schema.preserve_unknown, "x-kubernetes-preserve-unknown-fields"),
        (schema.embedded_resource, "x-kubernetes-embedded-resource"),
        (schema.kind == Kind::IntOrString, "x-kubernetes-int-or-string"),
        (schema.nullable && dialect == Dialect::V3, "nullable"),
    ] {
        if flag {
            set(name, json!(true));
        }
    }
    match &schema.list_type {
        ListType::Atomic => {}
        ListType::Set => set("x-kubernetes-list-type", json!("set")),
        ListType::Map(keys) => {
            set("x-kubernetes-list-type", json!("map"));
            set("x-kubernetes-list-map-keys", json!(keys));
        }
    }
    if schema.atomic_map {
        set("x-kubernetes-map-type", json!("atomic"));
    }
    if let Some(combined) = schema.combined.as_deref().filter(|_| dialect == Dialect::V3) {
        for (name, schemas) in [("anyOf", &combined.any_of), ("oneOf", &combined.one_of), ("allOf", &combined.all_of)] {
            if !schemas.is_empty() {
                set(name, schemas.iter().map(|schema| value(schema, dialect)).collect());
            }
        }
        if let Some(schema) = &combined.not {
            set("not", value(schema, dialect));
        }
    }
    Value::Object(json)
}

fn type_name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Any | Kind::IntOrString => None,
        Kind::Object => Some("object"),
        Kind::Array => Some("array"),
        Kind::String => Some("string"),
        Kind::Integer => Some("integer"),
        Kind::Number => Some("number"),
        Kind::Boolean => Some("boolean"),
    }
}
