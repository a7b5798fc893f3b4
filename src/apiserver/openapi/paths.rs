//! The paths of a resource and what can be asked of each. kubectl reads here which kind a path serves, which patches it
//! takes, and that a patch may ask for field validation.

use serde_json::{Map, Value, json};

use super::definitions::{Dialect, builtin_name, name_of};
use super::group_path;
use crate::resource::{Resource, Subresource};

const JSON: &str = "application/json";
/// Patches of any kind; the strategic one needs a built-in type.
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
];

/// One thing that can be asked: HTTP method, verb of discovery, action as kubectl calls it.
const OF_LIST: [(&str, &str, &str); 3] =
    [("get", "list", "list"), ("post", "create", "post"), ("delete", "deletecollection", "deletecollection")];
const OF_ONE: [(&str, &str, &str); 4] =
    [("get", "get", "get"), ("put", "update", "put"), ("patch", "patch", "patch"), ("delete", "delete", "delete")];

/// A kind in operations.
struct Target<'a> {
    gvk: Value,
    /// Name of its definition.
    definition: Option<String>,
    kind: &'a str,
    strategic: bool,
}

/// Adds the paths of a resource.
pub(super) fn add(resource: &Resource, dialect: Dialect, paths: &mut Map<String, Value>) {
    let base = format!("/{}", group_path(&resource.group, &resource.version));
    let list = if resource.namespaced {
        format!("{base}/namespaces/{{namespace}}/{}", resource.plural)
    } else {
        format!("{base}/{}", resource.plural)
    };
    let one = format!("{list}/{{name}}");
    let target = Target {
        gvk: json!({"group": *resource.group, "version": *resource.version, "kind": *resource.kind}),
        definition: name_of(resource),
        kind: &resource.kind,
        strategic: resource.schema.is_none(),
    };
    let served = |wanted: &str| resource.verbs.contains(&wanted);
    if resource.namespaced && served("list") {
        let mut item = Map::new();
        item.insert("get".to_owned(), operation(&target, ("get", "list"), dialect));
        paths.insert(format!("{base}/{}", resource.plural), Value::Object(item));
    }
    for (path, methods) in [(&list, &OF_LIST[..]), (&one, &OF_ONE)] {
        let methods = methods.iter().filter(|(_, verb, _)| served(verb));
        let item: Map<String, Value> = methods
            .map(|(method, _, action)| ((*method).to_owned(), operation(&target, (method, action), dialect)))
            .collect();
        insert(paths, path, item, dialect);
    }
    for sub in &resource.subresources {
        let target = of_subresource(resource, sub);
        let methods: Vec<_> = OF_ONE
            .iter()
            .chain([&("post", "create", "post")])
            .filter(|(_, verb, _)| sub.verbs.contains(verb))
            .map(|(method, _, action)| ((*method).to_owned(), operation(&target, (method, action), dialect)))
            .collect();
        insert(paths, &format!("{one}/{}", sub.name), methods.into_iter().collect(), dialect);
    }
}

fn of_subresource<'a>(resource: &Resource, sub: &'a Subresource) -> Target<'a> {
    let (group, version) = sub.group_version.unwrap_or((&resource.group, &resource.version));
    let definition =
        if *sub.kind == *resource.kind { name_of(resource) } else { builtin_name(group, version, &sub.kind) };
    Target {
        gvk: json!({"group": group, "version": version, "kind": *sub.kind}),
        definition,
        kind: &sub.kind,
        strategic: resource.schema.is_none(),
    }
}

/// A path with its operations and the parameters in its text.
fn insert(paths: &mut Map<String, Value>, path: &str, mut item: Map<String, Value>, dialect: Dialect) {
    if item.is_empty() {
        return;
    }
    let parameters: Vec<Value> = ["name", "namespace"]
        .iter()
        .filter(|name| path.contains(&format!("{{{name}}}")))
        .map(|name| {
            let mut parameter = parameter(name, "path", "string", dialect);
            parameter["required"] = json!(true);
            parameter
        })
        .collect();
    item.insert("parameters".to_owned(), Value::Array(parameters));
    paths.insert(path.to_owned(), Value::Object(item));
}

fn parameter(name: &str, place: &str, kind: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::V2 => json!({"name": name, "in": place, "type": kind, "uniqueItems": true}),
        Dialect::V3 => json!({"name": name, "in": place, "schema": {"type": kind, "uniqueItems": true}}),
    }
}

fn operation(target: &Target<'_>, (method, action): (&str, &str), dialect: Dialect) -> Value {
    let query: &[(&str, &str)] = match action {
        "list" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "post" | "put" => &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")],
        "patch" => {
            &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")]
        }
        "delete" | "deletecollection" => {
            &[("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("propagationPolicy", "string")]
        }
        _ => &[],
    };
    let mut parameters: Vec<Value> = query.iter().map(|(name, kind)| parameter(name, "query", kind, dialect)).collect();
    let answer = target
        .definition
        .as_ref()
        .map(|name| dialect.reference(&if action == "list" { format!("{name}List") } else { name.clone() }));
    let mut operation = json!({
        "description": format!("{action} {}", target.kind),
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": target.gvk,
        "responses": {"200": answer_of(answer, dialect)},
    });
    let (types, body) = body(target, method);
    if let Some(name) = body {
        let schema = if name.is_empty() { json!({"type": "object"}) } else { dialect.reference(&name) };
        match dialect {
            Dialect::V3 => {
                let content = types.iter().map(|kind| ((*kind).to_owned(), json!({"schema": schema})));
                operation["requestBody"] = json!({"content": Value::Object(content.collect()), "required": true});
            }
            Dialect::V2 => {
                operation["consumes"] = json!(types);
                parameters.push(json!({"name": "body", "in": "body", "required": true, "schema": schema}));
            }
        }
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    operation
}

fn answer_of(schema: Option<Value>, dialect: Dialect) -> Value {
    match (schema, dialect) {
        (None, _) => json!({"description": "OK"}),
        (Some(schema), Dialect::V2) => json!({"description": "OK", "schema": schema}),
        (Some(schema), Dialect::V3) => json!({"description": "OK", "content": {JSON: {"schema": schema}}}),
    }
}

/// Media types of a body and the definition of what is in it: none for a method without one, empty for any object.
fn body(target: &Target<'_>, method: &str) -> (Vec<&'static str>, Option<String>) {
    match method {
        "patch" => {
            let known = if target.strategic { PATCHES.len() } else { PATCHES.len() - 1 };
            (PATCHES[..known].to_vec(), Some(String::new()))
        }
        "post" | "put" => (vec![JSON], Some(target.definition.clone().unwrap_or_default())),
        "delete" => (vec![JSON], builtin_name("", "v1", "DeleteOptions")),
        _ => (vec![JSON], None),
    }
}
