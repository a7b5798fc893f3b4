//! Whether a schema keeps to what a definition may say: types, keywords that are not supported, how lists merge, and
//! defaults that fit their own schema.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apis/apiextensions/validation/validation.go`.

use serde_json::{Map, Value, json};

use super::kind::{list, texts};
use super::schema;
use crate::error::FieldError;
use crate::schema::{self as schemas, Path, Unknown};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const META: [&str; 3] = ["metadata", "kind", "apiVersion"];

/// What a schema may not say, in the schema of an object.
pub(super) fn check(schema: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(schema, true, path, &mut errors);
    errors
}

fn walk(schema: &Value, root: bool, path: &Path, errors: &mut Vec<FieldError>) {
    keywords(schema, path, errors);
    list_type(schema, path, errors);
    list_map(schema, path, errors);
    let mut inside = |schema: &Value, path: Path| walk(schema, false, &path, errors);
    for name in ["additionalProperties", "not", "items"] {
        if let Some(one) = schema.get(name).filter(|one| one.is_object()) {
            inside(one, path.field(name));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        inside(property, path.field("properties").key(name));
    }
    for name in ["allOf", "oneOf", "anyOf"] {
        for (index, one) in list(&schema[name]).enumerate() {
            inside(one, path.field(name).index(index));
        }
    }
    if root {
        for name in META {
            if schema["properties"][name].get("default").is_some() {
                let at = path.field("properties").key(name).field("default");
                errors.push(FieldError::forbidden(at, &format!("must not be set in top-level {name}")));
            }
        }
    }
}

fn keywords(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(kind) = schema["type"].as_str().filter(|kind| !kind.is_empty() && !TYPES.contains(kind)) {
        errors.push(FieldError::not_supported(path.field("type"), &json!(kind), &TYPES));
        if kind == "null" {
            let detail = "type cannot be set to null, use nullable as an alternative";
            errors.push(FieldError::forbidden(path.field("type"), detail));
        }
    }
    for name in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        if schema.get(name).is_some() {
            errors.push(FieldError::forbidden(path.field(name), &format!("{name} is not supported")));
        }
    }
    if schema["items"].is_array() {
        let detail = "items must be a schema object and not an array";
        errors.push(FieldError::forbidden(path.field("items"), detail));
    }
    if schema["uniqueItems"] == true {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(path.field("uniqueItems"), detail));
    }
    let has_properties = schema["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    if has_properties && schema.get("additionalProperties").is_some_and(|additional| additional != true) {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(path.field("additionalProperties"), detail));
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        let at = path.field("x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid(at, &json!(false), "must be true or undefined"));
    }
    if let Some(kind) = schema["x-kubernetes-map-type"].as_str() {
        type_for(schema, "object", "x-kubernetes-map-type", path, errors);
        if !matches!(kind, "atomic" | "granular") {
            let at = path.field("x-kubernetes-map-type");
            errors.push(FieldError::not_supported(at, &json!(kind), &["atomic", "granular"]));
        }
    }
}

/// `type` must be `wanted` because of `keyword`.
fn type_for(schema: &Value, wanted: &str, keyword: &str, path: &Path, errors: &mut Vec<FieldError>) -> bool {
    let at = path.field("type");
    let detail = format!("must be {wanted} if {keyword} is specified");
    match schema["type"].as_str().unwrap_or_default() {
        kind if kind == wanted => return true,
        "" => errors.push(FieldError::required(at, &detail)),
        kind => errors.push(FieldError::invalid(at, &json!(kind), &detail)),
    }
    false
}

fn list_type(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let Some(kind) = schema["x-kubernetes-list-type"].as_str() else { return };
    let items = &schema["items"];
    if type_for(schema, "array", "x-kubernetes-list-type", path, errors) && kind == "set" {
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        let (keyword, wrong) = match items["type"].as_str() {
            Some("array") => {
                ("x-kubernetes-list-type", items.get("x-kubernetes-list-type").is_some_and(|kind| kind != "atomic"))
            }
            Some("object") => ("x-kubernetes-map-type", items["x-kubernetes-map-type"] != "atomic"),
            _ => ("", false),
        };
        if wrong {
            let found = items.get("x-kubernetes-list-type").cloned().unwrap_or_default();
            errors.push(FieldError::invalid(path.field("items").field(keyword), &found, detail));
        }
    }
    if !matches!(kind, "atomic" | "set" | "map") {
        let at = path.field("x-kubernetes-list-type");
        errors.push(FieldError::not_supported(at, &json!(kind), &["atomic", "set", "map"]));
    }
    if matches!(kind, "set" | "map") && items["nullable"] == true {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {kind}");
        errors.push(FieldError::forbidden(path.field("items").field("nullable"), &detail));
    }
}

fn list_map(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let keys = texts(&schema["x-kubernetes-list-map-keys"]);
    let kind = schema["x-kubernetes-list-type"].as_str();
    if !keys.is_empty() && kind != Some("map") {
        let at = path.field("x-kubernetes-list-type");
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match kind {
            None => FieldError::required(at, detail),
            Some(kind) => FieldError::invalid(at, &json!(kind), detail),
        });
    }
    if kind != Some("map") {
        return;
    }
    let keys_path = path.field("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.push(FieldError::required(&keys_path, "must not be empty if x-kubernetes-list-type is map"));
    }
    let at = path.field("items");
    let Some(items) = schema.get("items").filter(|items| items.is_object()) else {
        errors.push(FieldError::required(at, "must have a schema if x-kubernetes-list-type is map"));
        return;
    };
    if items["type"] != "object" {
        let found = json!(items["type"].as_str().unwrap_or_default());
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid(at.field("type"), &found, detail));
        return;
    }
    let all = &schema["x-kubernetes-list-map-keys"];
    for (index, key) in keys.iter().enumerate() {
        let at = at.field("properties").key(key);
        let property = &items["properties"][key];
        if property.is_null() {
            errors.push(FieldError::invalid(&keys_path, all, "entries must all be names of item properties"));
        } else {
            if matches!(property["type"].as_str(), Some("array" | "object")) {
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                errors.push(FieldError::invalid(at.field("type"), &items["type"], detail));
            }
            if !texts(&items["required"]).contains(key) && property.get("default").is_none() {
                let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                errors.push(FieldError::required(at.field("default"), detail));
            }
            if property["nullable"] == true {
                let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                errors.push(FieldError::forbidden(at.field("nullable"), detail));
            }
        }
        if keys[..index].contains(key) {
            errors.push(FieldError::invalid(&keys_path, all, "must not contain duplicate entries"));
        }
    }
}

/// Defaults must have no unknown fields and keep to their own schema.
pub(super) fn check_defaults(schema: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    defaults(schema, path, &mut errors);
    errors
}

fn defaults(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(default) = schema.get("default") {
        let at = path.field("default");
        // The default as the field of an object: what is checked of a field is checked of it.
        let mut own = schema.clone();
        if let Value::Object(fields) = &mut own {
            fields.remove("default");
        }
        let holder = schema::read(&json!({"type": "object", "properties": {"default": own}}));
        let mut held = Value::Object(Map::from_iter([("default".to_owned(), default.clone())]));
        let checked = schemas::check(&holder, &mut held, Unknown::Warn);
        if !checked.unknown.is_empty() {
            errors.push(FieldError::invalid(&at, default, "must not have unknown fields"));
        }
        errors.extend(checked.errors.into_iter().map(|error| below(&at, error)));
    }
    if let Some(items) = schema.get("items") {
        defaults(items, &path.field("items"), errors);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        defaults(property, &path.field("properties").key(name), errors);
    }
}

/// Moves an error from the field `default` to its place; messages name the field relative to the default, as upstream.
fn below(at: &Path, mut error: FieldError) -> FieldError {
    if let Some(rest) = error.field.strip_prefix("default") {
        let relative = rest.strip_prefix('.').unwrap_or(rest);
        let body = format!("{} in body", error.field);
        error.message = error.message.replace(&body, &format!("{relative} in body"));
        error.field = if relative.is_empty() { at.to_string() } else { format!("{at}.{relative}") };
    }
    error
}
