//! From the JSON schema of a built-in type to [`Schema`]: references become shared schemas, special types get their form,
//! merge facts are put on. It reads no description.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::{Definitions, merge};
use crate::schema::{Kind, Schema};

/// What a type without fields of its own looks like: `(definition, kind, format, keeps unknown fields)`.
const SPECIAL: &[(&str, Kind, &str, bool)] = &[
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", Kind::IntOrString, "quantity", false),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", Kind::IntOrString, "int-or-string", false),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", Kind::String, "time", false),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", Kind::String, "micro-time", false),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", Kind::Object, "", true),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", Kind::Object, "", true),
    // Recursive: what a schema may say is checked where custom resource definitions are read.
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps", Kind::Object, "", true),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", Kind::Any, "", true),
];

/// The schema of definition `name` in `raw`, made together with all that it refers to.
pub(super) fn definition(name: &str, raw: &Map<String, Value>, known: &mut Definitions) -> Option<Arc<Schema>> {
    if let Some(schema) = known.get(name) {
        return Some(Arc::clone(schema));
    }
    let mut schema = match SPECIAL.iter().find(|(special, ..)| *special == name) {
        Some((_, kind, format, preserve_unknown)) => {
            let mut schema = Schema { kind: *kind, preserve_unknown: *preserve_unknown, ..Schema::default() };
            if !format.is_empty() {
                schema.rules.insert("format".to_owned(), Value::from(*format));
            }
            schema
        }
        None => object(name, raw.get(name)?, raw, known),
    };
    schema.definition = Some(name.into());
    if let Some(words) = merge::words(name, "") {
        merge::apply(words, &mut schema);
    }
    let schema = Arc::new(schema);
    known.insert(name.to_owned(), Arc::clone(&schema));
    Some(schema)
}

fn object(name: &str, json: &Value, raw: &Map<String, Value>, known: &mut Definitions) -> Schema {
    let mut schema = value(json, raw, known);
    for (field, of) in json.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut property = shared(of, raw, known);
        if let Some(words) = merge::words(name, field) {
            merge::apply(words, Arc::make_mut(&mut property));
        }
        if let Some(default) = merge::key_default(name, field) {
            Arc::make_mut(&mut property).default = Some(Value::from(default));
        }
        schema.properties.insert(field.clone(), property);
    }
    schema
}

fn shared(json: &Value, raw: &Map<String, Value>, known: &mut Definitions) -> Arc<Schema> {
    if let Some(name) = json["$ref"].as_str().and_then(|path| path.rsplit('/').next())
        && let Some(schema) = definition(name, raw, known)
    {
        return schema;
    }
    let schema = value(json, raw, known);
    match SCALARS.iter().find(|scalar| ***scalar == schema) {
        Some(scalar) => Arc::clone(scalar),
        None => Arc::new(schema),
    }
}

/// An inline schema without its properties.
fn value(json: &Value, raw: &Map<String, Value>, known: &mut Definitions) -> Schema {
    let kind = Kind::of(json);
    let mut rules = BTreeMap::new();
    if let Some(format) = json.get("format") {
        rules.insert("format".to_owned(), format.clone());
    }
    let required = json["required"].as_array().into_iter().flatten();
    Schema {
        kind,
        preserve_unknown: kind == Kind::Any,
        additional: json.get("additionalProperties").map(|of| shared(of, raw, known)),
        items: json.get("items").map(|of| shared(of, raw, known)),
        required: required.filter_map(Value::as_str).map(str::to_owned).collect(),
        rules,
        ..Schema::default()
    }
}

/// The scalars without more to say, which most fields are.
static SCALARS: LazyLock<Vec<Arc<Schema>>> = LazyLock::new(|| {
    [
        (Kind::String, ""),
        (Kind::String, "byte"),
        (Kind::Boolean, ""),
        (Kind::Integer, "int32"),
        (Kind::Integer, "int64"),
        (Kind::Number, "double"),
    ]
    .into_iter()
    .map(|(kind, format)| {
        let mut schema = Schema { kind, ..Schema::default() };
        if !format.is_empty() {
            schema.rules.insert("format".to_owned(), Value::from(format));
        }
        Arc::new(schema)
    })
    .collect()
});
