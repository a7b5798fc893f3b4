//! Dropping fields that a custom resource's definition does not know.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/pruning/algorithm.go`.

use serde_json::{Map, Value};

use super::{Checked, Path, native};
use crate::schema::{Schema, builtin};

const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops the unknown fields of a custom resource.
pub fn prune(schema: &Schema, value: &mut Value) {
    prune_reporting(schema, value);
}

/// Drops them and names them.
pub(super) fn prune_reporting(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let path = Path::default();
    if let Value::Object(fields) = value {
        object(schema, true, fields, &path, &mut unknown);
    }
    unknown
}

fn walk(schema: &Schema, value: &mut Value, path: &Path, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => object(schema, schema.embedded_resource, fields, path, unknown),
        Value::Array(items) => {
            // Items without a schema have no known fields, except below "keep all".
            let nothing = Schema { preserve_unknown: schema.preserve_unknown, ..Schema::default() };
            let schema = schema.items.as_deref().unwrap_or(&nothing);
            for (index, item) in items.iter_mut().enumerate() {
                walk(schema, item, &path.index(index), unknown);
            }
        }
        _ => {}
    }
}

fn object(schema: &Schema, resource: bool, fields: &mut Map<String, Value>, path: &Path, unknown: &mut Vec<String>) {
    fields.retain(|name, value| {
        if resource && META.contains(&name.as_str()) {
            return true;
        }
        match schema.properties.get(name).or(schema.additional.as_ref()) {
            Some(known) => {
                walk(known, value, &path.field(name), unknown);
                true
            }
            None if schema.preserve_unknown => true,
            None => {
                unknown.push(format!("unknown field \"{}\"", path.field(name)));
                false
            }
        }
    });
}

/// Reads the metadata of the object, and of every resource embedded in it, as Kubernetes reads its own type.
pub(super) fn embedded_metadata(schema: &Schema, value: &mut Value, checked: &mut Checked) {
    metadata(schema, true, value, &Path::default(), checked);
}

fn metadata(schema: &Schema, resource: bool, value: &mut Value, path: &Path, checked: &mut Checked) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = path.field(name);
                if resource && name == "metadata" {
                    if let Some(meta) = object_meta() {
                        native::decode_at(&meta, value, &path, "ObjectMeta", checked);
                    }
                } else if let Some(known) = schema.properties.get(name).or(schema.additional.as_ref()) {
                    metadata(known, known.embedded_resource, value, &path, checked);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(known) = &schema.items {
                    metadata(known, known.embedded_resource, item, &path.index(index), checked);
                }
            }
        }
        _ => {}
    }
}

fn object_meta() -> Option<std::sync::Arc<Schema>> {
    builtin::schema("", "v1", "ConfigMap")?.properties.get("metadata").cloned()
}
