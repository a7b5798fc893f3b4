//! From the `openAPIV3Schema` of a definition to [`Schema`]. It takes the text as it is: whether it is well formed is
//! checked elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::kind::{list, texts};
use crate::schema::{Combined, Kind, ListType, Schema, builtin};

/// The keys that are no value rules but fields of [`Schema`].
const STRUCTURE: [&str; 20] = [
    "type",
    "description",
    "properties",
    "additionalProperties",
    "items",
    "required",
    "nullable",
    "default",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
];

/// The schema of a whole object: apiVersion, kind and metadata are always known.
pub(crate) fn root(json: &Value) -> Schema {
    let mut schema = read(json);
    schema.kind = Kind::Object;
    for field in ["apiVersion", "kind"] {
        schema
            .properties
            .entry(field.to_owned())
            .or_insert_with(|| Arc::new(Schema { kind: Kind::String, ..Schema::default() }));
    }
    if let Some(metadata) = metadata(&json["properties"]["metadata"]) {
        schema.properties.insert("metadata".to_owned(), metadata);
    }
    schema
}

/// The built-in metadata, with what the definition says of names.
fn metadata(restrictions: &Value) -> Option<Arc<Schema>> {
    let builtin = builtin::schema("", "v1", "ConfigMap")?;
    let mut metadata = Arc::clone(builtin.properties.get("metadata")?);
    for field in ["name", "generateName"] {
        if let Some(rules) = restrictions["properties"].get(field) {
            let schema = Schema { kind: Kind::String, ..read(rules) };
            Arc::make_mut(&mut metadata).properties.insert(field.to_owned(), Arc::new(schema));
        }
    }
    Some(metadata)
}

/// The schema of one value.
pub(crate) fn read(json: &Value) -> Schema {
    let flag = |name: &str| json[name].as_bool().unwrap_or(false);
    let kind = if flag("x-kubernetes-int-or-string") { Kind::IntOrString } else { Kind::of(json) };
    let empty = Map::new();
    let fields = json.as_object().unwrap_or(&empty);
    let rules = fields.iter().filter(|(name, _)| !STRUCTURE.contains(&name.as_str()));
    Schema {
        kind,
        description: json["description"].as_str().map(Arc::from),
        properties: properties(&json["properties"]),
        additional: additional(&json["additionalProperties"]),
        items: json.get("items").filter(|items| items.is_object()).map(|items| Arc::new(read(items))),
        required: texts(&json["required"]),
        nullable: flag("nullable"),
        default: json.get("default").cloned(),
        preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
        embedded_resource: flag("x-kubernetes-embedded-resource"),
        list_type: list_type(json),
        atomic_map: json["x-kubernetes-map-type"] == "atomic",
        rules: rules.map(|(name, value)| (name.clone(), value.clone())).collect(),
        combined: combined(json),
        ..Schema::default()
    }
}

fn properties(json: &Value) -> BTreeMap<String, Arc<Schema>> {
    let fields = json.as_object().into_iter().flatten();
    fields.map(|(name, json)| (name.clone(), Arc::new(read(json)))).collect()
}

/// `true` is "anything".
fn additional(json: &Value) -> Option<Arc<Schema>> {
    match json {
        Value::Bool(true) => Some(Arc::new(Schema { preserve_unknown: true, nullable: true, ..Schema::default() })),
        Value::Object(_) => Some(Arc::new(read(json))),
        _ => None,
    }
}

fn list_type(json: &Value) -> ListType {
    match json["x-kubernetes-list-type"].as_str() {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(texts(&json["x-kubernetes-list-map-keys"])),
        _ => ListType::Atomic,
    }
}

fn combined(json: &Value) -> Option<Arc<Combined>> {
    let all = |name: &str| list(&json[name]).map(|json| Arc::new(read(json))).collect::<Vec<_>>();
    let combined = Combined {
        any_of: all("anyOf"),
        one_of: all("oneOf"),
        all_of: all("allOf"),
        not: json.get("not").map(|json| Arc::new(read(json))),
    };
    (combined != Combined::default()).then(|| Arc::new(combined))
}
