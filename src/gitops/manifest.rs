//! Objects that remember the file and line that they come from. Text in, objects out: no files, and no cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tinderbox_api::manifest::Spans;

use crate::error::{Error, Result};

/// Kind, namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectName {
    /// Kind, as in `Pod`.
    pub kind: String,
    /// Namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// An object of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The object.
    pub value: Value,
    /// The file it comes from.
    pub origin: PathBuf,
    /// Where its fields stand in that file, and the path to the object itself there; absent where it was made and not read.
    pub place: Option<(Arc<Spans>, String)>,
}

impl Object {
    /// The place of a field, as `FILE:LINE:COLUMN`, or of what is nearest above it.
    #[must_use]
    pub fn place_of(&self, field: &str) -> String {
        let file = self.origin.display();
        match &self.place {
            None => file.to_string(),
            Some((spans, inside)) => {
                let path = if inside.is_empty() { field.to_owned() } else { format!("{inside}.{field}") };
                let at = spans.find(&path);
                format!("{file}:{}:{}", at.line, at.column)
            }
        }
    }

    /// Kind, namespace and name.
    #[must_use]
    pub fn name(&self) -> ObjectName {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ObjectName {
            kind: text(&self.value["kind"]),
            namespace: text(&self.value["metadata"]["namespace"]),
            name: text(&self.value["metadata"]["name"]),
        }
    }
}

/// The objects of a text that was read from `path`; lists are taken apart.
///
/// # Errors
/// When it is broken, or holds something that is no object; with line and column.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Object>> {
    let documents =
        tinderbox_api::manifest::load(text).map_err(|error| wrong(path, error.line, error.column, error.message))?;
    let mut objects = Vec::new();
    for document in documents {
        let spans = Arc::new(document.spans);
        let is_list = document.value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match (is_list, &document.value["items"]) {
            (true, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    objects.push(object(path, item.clone(), &spans, &format!("items[{index}]"))?);
                }
            }
            _ => objects.push(object(path, document.value, &spans, "")?),
        }
    }
    Ok(objects)
}

/// Checks that a value is an object that a cluster could know.
fn object(path: &Path, value: Value, spans: &Arc<Spans>, inside: &str) -> Result<Object> {
    let object = Object { value, origin: path.to_owned(), place: Some((Arc::clone(spans), inside.to_owned())) };
    let text = |pointer: &str| object.value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    for field in ["apiVersion", "kind"] {
        if text(&format!("/{field}")).is_none() {
            let at = spans.find(inside);
            return Err(wrong(path, at.line, at.column, format!("this is no Kubernetes object: {field} is missing")));
        }
    }
    if text("/metadata/name").or_else(|| text("/metadata/generateName")).is_none() {
        let at = spans.find(inside);
        return Err(wrong(path, at.line, at.column, "this object has no metadata.name".to_owned()));
    }
    Ok(object)
}

fn wrong(path: &Path, line: usize, column: usize, message: String) -> Error {
    Error::at(format!("{}:{line}:{column}", path.display()), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_place() {
        let path = Path::new("a.yaml");
        for (text, expected) in [
            ("kind: Pod\nmetadata: {name: a}\n", "a.yaml:1:1: this is no Kubernetes object: apiVersion is missing"),
            ("apiVersion: v1\nkind: Pod\n", "a.yaml:1:1: this object has no metadata.name"),
            ("a: 1\n  b: 2\n", "a.yaml:2:"),
        ] {
            let error = parse(path, text).expect_err("wrong").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_field_has_a_place_in_its_file() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec:\n    containers:\n    - image: x\n";
        let objects = parse(Path::new("a.yaml"), text).expect("right");
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0].place_of("spec.containers[0].image"), "a.yaml:9:7");
    }
}
