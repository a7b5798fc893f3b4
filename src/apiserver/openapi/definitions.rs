//! The schemas of a document: those of built-in types with their merge facts, those of custom kinds, and those of lists.

use serde_json::{Map, Value, json};

use super::custom;
use crate::resource::Resource;
use crate::schema::builtin::{self, kinds, merge};

/// Which version of OpenAPI a document is in; it changes how references stand beside descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const JSON: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

impl Dialect {
    /// A reference to a definition.
    pub(super) fn reference(self, name: &str) -> Value {
        match self {
            Self::V2 => json!({"$ref": format!("#/definitions/{name}")}),
            Self::V3 => json!({"$ref": format!("#/components/schemas/{name}")}),
        }
    }

    /// A reference to a definition as a field with a text of its own.
    pub(super) fn described(self, name: &str, description: Option<&str>) -> Value {
        let reference = self.reference(name);
        match (self, description) {
            (_, None) => reference,
            (Self::V2, Some(text)) => json!({"$ref": reference["$ref"], "description": text}),
            (Self::V3, Some(text)) => json!({"allOf": [reference], "description": text}),
        }
    }
}

/// The name of the definition of a resource's kind, as in `io.k8s.api.core.v1.Pod`.
pub(super) fn name_of(resource: &Resource) -> Option<String> {
    if resource.schema.is_some() {
        let mut domain: Vec<&str> = resource.group.split('.').collect();
        domain.reverse();
        return Some(format!("{}.{}.{}", domain.join("."), resource.version, resource.kind));
    }
    builtin_name(&resource.group, &resource.version, &resource.kind)
}

/// The name of the definition of a built-in kind.
pub(super) fn builtin_name(group: &str, version: &str, kind: &str) -> Option<String> {
    kinds::find(group, version, kind).map(|entry| (entry.definition)().into_owned())
}

/// All definitions that the documents of these resources refer to.
pub(super) fn of(resources: &[&Resource], dialect: Dialect) -> Map<String, Value> {
    let mut entries: Vec<&kinds::BuiltinKind> = Vec::new();
    let mut add = |group: &str, version: &str, kind: &str| {
        if let Some(entry) = kinds::find(group, version, kind)
            && !entries.iter().any(|known| std::ptr::eq(*known, entry))
        {
            entries.push(entry);
        }
    };
    add("", "v1", "DeleteOptions");
    add("", "v1", "Status");
    for resource in resources {
        add(&resource.group, &resource.version, &resource.kind);
        for sub in &resource.subresources {
            let (group, version) = sub.group_version.unwrap_or((&resource.group, &resource.version));
            add(group, version, &sub.kind);
        }
    }
    let custom = resources.iter().any(|resource| resource.schema.is_some());
    if custom {
        // For its metadata.
        add("", "v1", "Binding");
    }
    let mut all: Map<String, Value> = builtin::definitions(&entries)
        .into_iter()
        .map(|(name, raw)| {
            let definition = builtin_definition(&name, &raw, dialect);
            (name, definition)
        })
        .collect();
    for entry in entries {
        let gvk = json!([{"group": entry.group, "version": entry.version, "kind": entry.kind}]);
        if let Some(definition) = all.get_mut((entry.definition)().as_ref()) {
            definition["x-kubernetes-group-version-kind"] = gvk;
        }
    }
    for resource in resources {
        let Some(name) = name_of(resource) else { continue };
        if let Some(schema) = &resource.schema {
            // Of a kind with any fields version 2 says no more.
            let open = dialect == Dialect::V2 && schema.preserve_unknown;
            let definition = if open {
                json!({"type": "object", "x-kubernetes-group-version-kind": gvk(resource, &resource.kind)})
            } else {
                custom_definition(resource, custom::value(schema, dialect), dialect)
            };
            all.insert(name.clone(), definition);
        }
        all.insert(format!("{name}List"), list(resource, &name, dialect));
    }
    all
}

fn custom_definition(resource: &Resource, mut schema: Value, dialect: Dialect) -> Value {
    let text = "Standard object's metadata.";
    schema["properties"]["metadata"] = dialect.described(OBJECT_META, Some(text));
    for (field, text) in [
        ("apiVersion", "APIVersion defines the versioned schema of this representation of an object."),
        ("kind", "Kind is the REST resource that this object represents."),
    ] {
        let property = &mut schema["properties"][field];
        if property.get("description").is_none() {
            property["description"] = json!(text);
        }
    }
    schema["x-kubernetes-group-version-kind"] = gvk(resource, &resource.kind);
    schema
}

fn list(resource: &Resource, item: &str, dialect: Dialect) -> Value {
    json!({
        "type": "object",
        "description": format!("A list of {}.", resource.kind),
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": dialect.reference(LIST_META),
            "items": {"type": "array", "items": dialect.reference(item)},
        },
        "x-kubernetes-group-version-kind": gvk(resource, &resource.list_kind),
    })
}

fn gvk(resource: &Resource, kind: &str) -> Value {
    json!([{"group": *resource.group, "version": *resource.version, "kind": kind}])
}

fn builtin_definition(name: &str, raw: &Value, dialect: Dialect) -> Value {
    let mut definition = json!({"description": raw["description"]});
    match (raw["x-kubernetes-int-or-string"] == true, dialect) {
        (true, Dialect::V2) if name == INT_OR_STRING => {
            definition["type"] = json!("string");
            definition["format"] = json!("int-or-string");
        }
        (true, Dialect::V2) => definition["type"] = json!("string"),
        (true, Dialect::V3) if name == INT_OR_STRING => {
            definition["oneOf"] = json!([{"type": "integer"}, {"type": "string"}]);
            definition["format"] = json!("int-or-string");
        }
        (true, Dialect::V3) => definition["oneOf"] = json!([{"type": "string"}, {"type": "number"}]),
        (false, _) => {
            for field in ["type", "format"] {
                if let Some(value) = raw.get(field).filter(|_| name != JSON) {
                    definition[field] = value.clone();
                }
            }
        }
    }
    let required: Vec<&Value> =
        raw["required"].as_array().into_iter().flatten().filter(|of| is_required(name, of)).collect();
    if !required.is_empty() {
        definition["required"] = json!(required);
    }
    for (field, property) in raw["properties"].as_object().into_iter().flatten() {
        let mut value = value(property, dialect);
        extensions(merge::words(name, field), &mut value);
        if let Some(default) = merge::key_default(name, field) {
            value["default"] = json!(default);
        }
        definition["properties"][field] = value;
    }
    extensions(merge::words(name, ""), &mut definition);
    definition
}

/// The Rust types take for required what Go always writes: metadata, and names that may be empty.
fn is_required(definition: &str, field: &Value) -> bool {
    const MAYBE_EMPTY: [&str; 8] = [
        "ConfigMapEnvSource",
        "ConfigMapKeySelector",
        "ConfigMapProjection",
        "ConfigMapVolumeSource",
        "LocalObjectReference",
        "SecretEnvSource",
        "SecretKeySelector",
        "SecretProjection",
    ];
    let kind = definition.strip_prefix("io.k8s.api.core.v1.").unwrap_or_default();
    field != "metadata" && !(field == "name" && MAYBE_EMPTY.contains(&kind))
}

/// A field of a built-in type.
fn value(raw: &Value, dialect: Dialect) -> Value {
    if let Some(name) = raw["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return dialect.described(name, raw["description"].as_str());
    }
    let fields = raw.as_object().into_iter().flatten();
    let converted = fields.map(|(name, of)| {
        let of =
            if matches!(name.as_str(), "items" | "additionalProperties") { value(of, dialect) } else { of.clone() };
        (name.clone(), of)
    });
    Value::Object(converted.collect())
}

/// The merge facts of a field as extensions.
fn extensions(words: Option<&str>, value: &mut Value) {
    let Some(words) = words else { return };
    let mut strategies = Vec::new();
    for word in words.split(' ') {
        match word.split_once(':').unwrap_or((word, "")) {
            ("map", keys) => {
                value["x-kubernetes-list-type"] = json!("map");
                value["x-kubernetes-list-map-keys"] = keys.split(',').collect();
            }
            ("set", _) => value["x-kubernetes-list-type"] = json!("set"),
            (kind @ ("atomic" | "granular"), _) => value["x-kubernetes-map-type"] = json!(kind),
            ("retain", _) => strategies.push("retainKeys"),
            ("merge", key) => {
                strategies.push("merge");
                if !key.is_empty() {
                    value["x-kubernetes-patch-merge-key"] = json!(key);
                }
            }
            _ => {}
        }
    }
    if !strategies.is_empty() {
        value["x-kubernetes-patch-strategy"] = json!(strategies.join(","));
    }
}
