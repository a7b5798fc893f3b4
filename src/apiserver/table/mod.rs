//! Objects as rows: `Table` of `meta.k8s.io/v1`, which is what `kubectl get` prints, with kubectl's own columns.
//! Upstream rule: k8s.io/kubernetes `pkg/printers/internalversion/printers.go`. It must not select or order.

mod age;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod flow;
mod jsonpath;
pub(crate) mod network;
pub(crate) mod pods;
pub(crate) mod volumes;
pub(crate) mod workloads;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::Call;
use crate::crd;
use crate::object::meta;
use crate::respond;
use jsonpath::JsonPath;

/// The columns of a resource.
#[derive(Debug, Clone)]
pub enum Columns {
    /// Name and age.
    Default,
    /// Those of a built-in kind.
    Builtin(&'static Printer),
    /// Those of a custom resource's definition.
    Custom(Arc<[CustomColumn]>),
}

/// How a built-in kind is printed.
#[derive(Debug)]
pub struct Printer {
    columns: &'static [Column],
    cells: fn(&Value, Timestamp) -> Vec<Value>,
}

/// A column of a built-in kind.
#[derive(Debug)]
pub(crate) struct Column {
    name: &'static str,
    kind: &'static str,
    wide: bool,
}

/// A column of text.
const fn text(name: &'static str) -> Column {
    Column { name, kind: "string", wide: false }
}

/// A column of text that is shown with `-o wide` alone.
const fn wide(name: &'static str) -> Column {
    Column { name, kind: "string", wide: true }
}

/// A column of numbers.
const fn number(name: &'static str) -> Column {
    Column { name, kind: "integer", wide: false }
}

/// A column of a definition.
#[derive(Debug, Clone)]
pub struct CustomColumn {
    column: crd::Column,
    path: Option<JsonPath>,
}

impl CustomColumn {
    /// Reads a column; one whose path cannot be read stays empty.
    pub(crate) fn new(column: crd::Column) -> Self {
        let path = JsonPath::parse(&column.json_path);
        Self { column, path }
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let Some(found) = self.path.as_ref().and_then(|path| path.first(object)) else {
            return Value::Null;
        };
        match (self.column.kind.as_str(), found) {
            ("integer", Value::Number(number)) => {
                number.as_i64().or(number.as_f64().map(|float| float as i64)).map_or(Value::Null, Value::from)
            }
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => found.clone(),
            ("date", Value::String(text)) => age::since_text(text, now).into(),
            ("string", Value::String(_)) => found.clone(),
            ("string", Value::Null) => "".into(),
            ("string", other) => other.to_string().into(),
            _ => Value::Null,
        }
    }
}

/// A list as a table.
pub(crate) fn of_list(call: &Call, metadata: Value, objects: impl Iterator<Item = Value>) -> Value {
    let rows = objects.map(|object| row(call, &object)).collect();
    table(call, metadata, rows, true)
}

/// One object as a table.
pub(crate) fn of_object(call: &Call, object: &Value) -> Value {
    of_event(call, object, true)
}

/// One object of a watch as a table; only the first says what its columns are.
pub(crate) fn of_event(call: &Call, object: &Value, first: bool) -> Value {
    let metadata = json!({"resourceVersion": meta(object, "resourceVersion")});
    table(call, metadata, vec![row(call, object)], first)
}

fn table(call: &Call, metadata: Value, rows: Vec<Value>, columns: bool) -> Value {
    let definitions = if columns { definitions(&call.resource.columns) } else { Vec::new() };
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}

fn definition(name: &str, kind: &str, format: &str, description: &str, priority: i64) -> Value {
    json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
}

fn definitions(columns: &Columns) -> Vec<Value> {
    let name = definition("Name", "string", "name", "Name must be unique within a namespace.", 0);
    match columns {
        Columns::Default => vec![name, definition("Age", "date", "", "Time since the object was created.", 0)],
        Columns::Builtin(printer) => printer
            .columns
            .iter()
            .map(|column| {
                let format = if column.name == "Name" && !column.wide { "name" } else { "" };
                definition(column.name, column.kind, format, "", i64::from(column.wide))
            })
            .collect(),
        Columns::Custom(columns) => {
            let rest = columns.iter().map(|one| {
                let column = &one.column;
                definition(&column.name, &column.kind, &column.format, &column.description, column.priority)
            });
            std::iter::once(name).chain(rest).collect()
        }
    }
}

fn row(call: &Call, object: &Value) -> Value {
    let now = call.api.now();
    let cells = match &call.resource.columns {
        Columns::Default => vec![meta(object, "name").into(), age::of(object, now)],
        Columns::Builtin(printer) => (printer.cells)(object, now),
        Columns::Custom(columns) => std::iter::once(meta(object, "name").into())
            .chain(columns.iter().map(|column| column.cell(object, now)))
            .collect(),
    };
    let mut row = json!({"cells": cells});
    match call.params.get("includeObject") {
        Some("None") => {}
        Some("Object") => row["object"] = object.clone(),
        _ => row["object"] = respond::partial(object),
    }
    row
}

/// A text, or `<none>`.
fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

/// A number, or 0.
fn count(value: &Value) -> Value {
    value.as_i64().unwrap_or(0).into()
}

/// Names and images of the containers of a pod template, for `-o wide`.
fn containers(spec: &Value) -> [Value; 2] {
    let list = |field: &str| {
        let containers = spec["containers"].as_array().into_iter().flatten();
        let texts: Vec<&str> = containers.filter_map(|one| one[field].as_str()).collect();
        Value::from(texts.join(","))
    };
    [list("name"), list("image")]
}

/// A selector as text: of the form with `matchLabels`, or a plain map.
fn selector(value: &Value) -> Value {
    if let Some(map) = value.as_object().filter(|map| map.values().all(Value::is_string)) {
        let pairs: Vec<String> =
            map.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        return or_none(&pairs.join(","));
    }
    let read = tinderbox_api::selector::LabelSelector::from_object(value);
    or_none(&read.map(|one| one.to_string()).unwrap_or_default())
}

/// How many entries a map or list has.
fn len(value: &Value) -> i64 {
    let len = value.as_object().map_or_else(|| value.as_array().map_or(0, Vec::len), serde_json::Map::len);
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Texts of a list, joined.
fn join<'a>(values: impl Iterator<Item = &'a Value>, separator: &str) -> String {
    values.filter_map(Value::as_str).collect::<Vec<_>>().join(separator)
}

/// The items of a list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn every_kind_prints_as_many_cells_as_it_has_columns() {
        let object =
            json!({"apiVersion": "v1", "metadata": {"name": "x", "creationTimestamp": "2025-01-01T00:00:00Z"}});
        for resource in Registry::default().snapshot().all() {
            if let Columns::Builtin(printer) = &resource.columns {
                let cells = (printer.cells)(&object, Timestamp::UNIX_EPOCH);
                assert_eq!(cells.len(), printer.columns.len(), "{}", resource.plural);
            }
        }
    }

    #[test]
    fn custom_columns_have_their_types() {
        let now = "2025-01-01T00:01:00Z".parse().unwrap();
        let object = json!({"spec": {"n": 3, "d": "2025-01-01T00:00:00Z", "m": {"a": 1}}});
        for (kind, path, cell) in [
            ("integer", ".spec.n", json!(3)),
            ("string", ".spec.n", json!("3")),
            ("date", ".spec.d", json!("60s")),
            ("string", ".spec.m", json!("{\"a\":1}")),
            ("boolean", ".spec.n", Value::Null),
            ("string", ".spec.missing", Value::Null),
        ] {
            let column = CustomColumn::new(crd::Column {
                name: "C".into(),
                kind: kind.into(),
                format: String::new(),
                description: String::new(),
                priority: 0,
                json_path: path.into(),
            });
            assert_eq!(column.cell(&object, now), cell, "{kind} {path}");
        }
    }
}
