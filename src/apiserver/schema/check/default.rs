//! Defaults of a custom resource's definition, and nulls that stand for "absent".
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/defaulting`.

use serde_json::Value;

use crate::schema::Schema;

/// Fills absent fields, and nulls where null is no value, with the defaults of the definition.
pub fn default(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, property) in &schema.properties {
                if let Some(default) = &property.default
                    && fields.get(name).is_none_or(|found| found.is_null() && !property.nullable)
                {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                if let Some(property) = schema.properties.get(name) {
                    self::default(property, value);
                } else if let Some(additional) = &schema.additional {
                    replace_null(additional, value);
                    self::default(additional, value);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if let Some(schema) = &schema.items {
                    replace_null(schema, item);
                    self::default(schema, item);
                }
            }
        }
        _ => {}
    }
}

fn replace_null(schema: &Schema, value: &mut Value) {
    if let Some(default) = &schema.default
        && value.is_null()
        && !schema.nullable
    {
        *value = default.clone();
    }
}

/// Drops nulls where null is no value and no default takes their place.
pub(super) fn prune_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let Some(schema) = schema.properties.get(name).or(schema.additional.as_ref()) else {
                return true;
            };
            if value.is_null() {
                return schema.nullable || schema.default.is_some();
            }
            prune_nulls(schema, value);
            true
        }),
        Value::Array(items) => {
            for item in items {
                if let Some(schema) = &schema.items {
                    prune_nulls(schema, item);
                }
            }
        }
        _ => {}
    }
}
