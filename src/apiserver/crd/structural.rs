//! Whether a schema is structural: every field has a type, and combinations say nothing but value rules.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/validation.go` and `complete.go`.

use serde_json::{Map, Value, json};

use super::kind::list;
use crate::error::FieldError;
use crate::schema::Path;

/// Where a schema stands; it changes the words.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What is not structural in the schema of an object, sorted as upstream sorts it.
pub(super) fn check(schema: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(schema, Level::Root, path, &mut errors);
    completeness(schema, path, &mut errors);
    errors.sort_by_key(|error| format!("{}: {}", error.field, error.message));
    errors
}

fn fields<'a>(schema: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema[name].as_object().into_iter().flatten()
}

fn flag(schema: &Value, name: &str) -> bool {
    schema[name].as_bool().unwrap_or(false)
}

fn walk(schema: &Value, level: Level, path: &Path, errors: &mut Vec<FieldError>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    match schema.get("items") {
        None if kind == "array" => errors.push(FieldError::required(path.field("items"), "must be specified")),
        None => {}
        Some(items) => walk(items, Level::Item, &path.field("items"), errors),
    }
    for (name, property) in fields(schema, "properties") {
        walk(property, Level::Field, &path.field("properties").key(name), errors);
    }
    if let Some(additional) = schema.get("additionalProperties") {
        let at = path.field("additionalProperties");
        if level == Level::Root {
            errors.push(FieldError::forbidden(&at, "must not be used at the root"));
        }
        if additional.is_object() {
            walk(additional, Level::Field, &at, errors);
        }
    }
    extensions(schema, path, errors);
    combinations(schema, path, errors);
    types(schema, kind, level, path, errors);
    if let Some(metadata) = schema["properties"].get("metadata") {
        let at = path.field("properties").key("metadata");
        if (level == Level::Root || flag(schema, "x-kubernetes-embedded-resource")) && metadata["type"] != "object" {
            let found = json!(metadata["type"].as_str().unwrap_or_default());
            errors.push(FieldError::invalid(at.field("type"), &found, "must be object"));
        }
        if level == Level::Root && !names_alone(metadata) {
            let detail =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            errors.push(FieldError::forbidden(at, detail));
        }
    }
}

/// `type` where one must be, and the right one.
fn types(schema: &Value, kind: &str, level: Level, path: &Path, errors: &mut Vec<FieldError>) {
    let at = path.field("type");
    let embedded = flag(schema, "x-kubernetes-embedded-resource");
    if embedded && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match kind {
            "" => FieldError::required(&at, detail),
            _ => FieldError::invalid(&at, &json!(kind), detail),
        });
    } else if kind.is_empty()
        && !flag(schema, "x-kubernetes-int-or-string")
        && !flag(schema, "x-kubernetes-preserve-unknown-fields")
    {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(&at, detail));
    }
    if embedded && schema.get("additionalProperties").is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(path.field("additionalProperties"), detail));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errors.push(FieldError::invalid(&at, &json!(kind), "must be object at the root"));
    }
    if level == Level::Root || embedded {
        for name in ["kind", "apiVersion"] {
            if let Some(property) = schema["properties"].get(name).filter(|property| property["type"] != "string") {
                let at = path.field("properties").key(name).field("type");
                let found = json!(property["type"].as_str().unwrap_or_default());
                errors.push(FieldError::invalid(at, &found, "must be string"));
            }
        }
    }
    let no_properties = schema["properties"].as_object().is_none_or(Map::is_empty);
    if embedded && !flag(schema, "x-kubernetes-preserve-unknown-fields") && no_properties {
        let detail =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(path.field("properties"), detail));
    }
}

/// Whether the metadata of an object is said to have a name or generateName, and nothing else.
fn names_alone(metadata: &Value) -> bool {
    let known = ["type", "properties", "default", "description"];
    metadata
        .as_object()
        .is_some_and(|fields| fields.keys().all(|name| known.contains(&name.as_str()) && name != "description"))
        && fields(metadata, "properties").all(|(name, _)| name == "name" || name == "generateName")
}

fn extensions(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if flag(schema, "x-kubernetes-int-or-string") {
        for name in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
            if flag(schema, name) {
                let detail = "must be false if x-kubernetes-int-or-string is true";
                errors.push(FieldError::invalid(path.field(name), &json!(true), detail));
            }
        }
    }
}

/// Combinations and the pattern of a value.
fn combinations(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    for name in ["anyOf", "allOf", "oneOf"] {
        // `anyOf: [{type: integer}, {type: string}]` is how "int or string" may be spelled out.
        if name == "anyOf" && is_int_or_string(schema) {
            continue;
        }
        for (index, nested) in list(&schema[name]).enumerate() {
            let at = path.field(name).index(index);
            if name == "allOf" && index == 0 && is_int_or_string(nested) {
                continue;
            }
            value_rules(nested, &at, errors);
        }
    }
    if let Some(nested) = schema.get("not") {
        value_rules(nested, &path.field("not"), errors);
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(error) = regex::Regex::new(pattern)
    {
        let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
        let detail = format!("must be a valid regular expression, but isn't: {reason}");
        errors.push(FieldError::invalid(path.field("pattern"), &json!(pattern), &detail));
    }
}

fn is_int_or_string(schema: &Value) -> bool {
    schema["anyOf"] == json!([{"type": "integer"}, {"type": "string"}])
}

/// A schema inside a combination: rules of values alone.
fn value_rules(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    combinations(schema, path, errors);
    if let Some(items) = schema.get("items") {
        value_rules(items, &path.field("items"), errors);
    }
    for (name, property) in fields(schema, "properties") {
        value_rules(property, &path.field("properties").key(name), errors);
    }
    const FORBIDDEN: [(&str, &str); 12] = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
    ];
    for (name, detail) in FORBIDDEN {
        if schema.get(name).is_some_and(|value| !matches!(value, Value::Bool(false)) && value != "") {
            errors.push(FieldError::forbidden(path.field(name), detail));
        }
    }
    if schema["properties"].get("metadata").is_some() {
        let at = path.field("properties").key("metadata");
        errors.push(FieldError::forbidden(at, "must not be specified in a nested context"));
    }
}

/// Fields inside combinations must be known outside of them; upstream looks at those of the root.
fn completeness(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    complete(schema, schema, path, path, errors);
}

/// The combinations in `nested`, a part of `schema`, hold nothing that `schema` does not know.
fn complete(schema: &Value, nested: &Value, path: &Path, nested_path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(inner) = nested.get("not") {
        part(schema, inner, path, &nested_path.field("not"), errors);
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (index, inner) in list(&nested[name]).enumerate() {
            part(schema, inner, path, &nested_path.field(name).index(index), errors);
        }
    }
}

/// So do fields and items in it.
fn part(schema: &Value, nested: &Value, path: &Path, nested_path: &Path, errors: &mut Vec<FieldError>) {
    complete(schema, nested, path, nested_path, errors);
    let mut step = |outer: Option<&Value>, inner: &Value, path: Path, nested_path: Path| match outer {
        Some(outer) => part(outer, inner, &path, &nested_path, errors),
        None => errors.push(FieldError::required(path, &format!("because it is defined in {nested_path}"))),
    };
    if let Some(items) = nested.get("items") {
        step(schema.get("items"), items, path.field("items"), nested_path.field("items"));
    }
    for (name, property) in fields(nested, "properties") {
        let at = |path: &Path| path.field("properties").key(name);
        step(schema["properties"].get(name), property, at(path), at(nested_path));
    }
}
