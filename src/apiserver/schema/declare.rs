//! Schemas as CEL knows them: types of fields, and how large they can be.
//! Upstream rule: k8s.io/apiserver `pkg/cel/common/schemas.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tinderbox_cel::{Decl, DeclKind, Field, ListKind, Object, escape};

use super::{Kind, ListType, Schema};

/// The largest request, in bytes.
const REQUEST: u64 = 3 * 1024 * 1024;

/// What CEL may know of a value; `None` where expressions cannot see it. `root` is set for whole objects, of which `apiVersion`,
/// `kind` and the name are always known.
#[must_use]
pub fn declare(schema: &Schema, root: bool) -> Option<Decl> {
    let declared = match schema.kind {
        Kind::IntOrString => Decl { kind: DeclKind::Dyn, max_elements: text_length(schema), min_size: 1 },
        Kind::Boolean => Decl::simple(DeclKind::Bool),
        Kind::Integer => Decl::simple(DeclKind::Int),
        Kind::Number => Decl::simple(DeclKind::Double),
        Kind::String => text(schema),
        Kind::Array => {
            let items = schema.items.as_ref()?;
            let items = declare(items, items.embedded_resource)?;
            let max_elements = bound(schema, "maxItems").unwrap_or((REQUEST - 2) / (items.min_size + 1));
            let kind = match &schema.list_type {
                ListType::Atomic => ListKind::Atomic,
                ListType::Set => ListKind::Set,
                ListType::Map(keys) => ListKind::Map(keys.iter().filter_map(|key| escape(key)).collect()),
            };
            Decl { kind: DeclKind::List(Arc::new(items), kind), max_elements, min_size: 2 }
        }
        Kind::Object => return object(schema, root),
        Kind::Any => return None,
    };
    Some(declared)
}

fn object(schema: &Schema, root: bool) -> Option<Decl> {
    if let Some(values) = &schema.additional
        && !root
    {
        let values = declare(values, values.embedded_resource)?;
        let max_elements = bound(schema, "maxProperties").unwrap_or((REQUEST - 2) / (values.min_size + 6));
        return Some(Decl { kind: DeclKind::Map(Arc::new(values)), max_elements, min_size: 2 });
    }
    let mut fields = BTreeMap::new();
    let mut min_size = 2;
    for (name, property) in &schema.properties {
        let decl = match name.as_str() {
            "apiVersion" | "kind" if root => text(&Schema::default()),
            // A definition says nothing of metadata but the name; the schema of whole objects has it as it is.
            "metadata" if root && property.definition.is_none() => metadata(),
            _ => match declare(property, property.embedded_resource) {
                Some(decl) => decl,
                None => continue,
            },
        };
        if schema.required.contains(name) && property.default.is_none() {
            min_size += name.len() as u64 + decl.min_size + 4;
        }
        put(&mut fields, name, decl);
    }
    if root && schema.definition.is_none() {
        for (name, decl) in
            [("apiVersion", text(&Schema::default())), ("kind", text(&Schema::default())), ("metadata", metadata())]
        {
            if !fields.contains_key(name) {
                put(&mut fields, name, decl);
            }
        }
    }
    let object = Object { name: "object".to_owned(), fields };
    Some(Decl { kind: DeclKind::Object(Arc::new(object)), max_elements: 0, min_size })
}

fn put(fields: &mut BTreeMap<String, Field>, name: &str, decl: Decl) {
    if let Some(escaped) = escape(name) {
        fields.insert(escaped, Field { name: name.to_owned(), decl: Arc::new(decl) });
    }
}

/// Of the metadata of a custom resource, rules may see the name.
fn metadata() -> Decl {
    let plain = || text(&Schema::default());
    Decl::object("object", [("name", plain()), ("generateName", plain())])
}

fn text(schema: &Schema) -> Decl {
    let format = schema.rules.get("format").and_then(Value::as_str).unwrap_or_default();
    let (kind, max_elements, min_size) = match format {
        "byte" => (DeclKind::Bytes, bound(schema, "maxLength").unwrap_or(REQUEST - 2), 2),
        "duration" => (DeclKind::Duration, 32, 3),
        "date" => (DeclKind::Date, 12, 12),
        "date-time" | "time" | "micro-time" => (DeclKind::Timestamp, 32, 21),
        _ => (DeclKind::String, text_length(schema), 2),
    };
    Decl { kind, max_elements, min_size }
}

/// The most bytes of a text: four for each of its characters, or the longest of those that it may be.
fn text_length(schema: &Schema) -> u64 {
    let longest = || {
        let words = schema.rules.get("enum")?.as_array()?.iter();
        words.filter_map(Value::as_str).map(|word| word.len() as u64).max()
    };
    let bounded = bound(schema, "maxLength").map(|length| length.saturating_mul(4));
    bounded.or_else(longest).unwrap_or(REQUEST - 2)
}

fn bound(schema: &Schema, name: &str) -> Option<u64> {
    schema.rules.get(name).map(|value| value.as_u64().unwrap_or(0))
}
