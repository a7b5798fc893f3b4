//! Files of a tree that fit patterns, and the objects in them.
//! Upstream rule: `generateParamsForGitFiles` and `generateParamsFromGitFile` in `applicationset/generators/git.go` of argoproj/argo-cd.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};
use tinderbox_api::gitops::GitFile;

use crate::error::{Error, Result};
use crate::glob;
use crate::tree::{self, Tree};

/// Files in order, each with its objects.
pub(super) type Found = BTreeMap<PathBuf, Vec<Map<String, Value>>>;

/// The files that fit one of the patterns and none of those that leave out, each with its objects.
///
/// # Errors
/// When a pattern or a file is broken, or a file cannot be read.
pub(super) fn matching(tree: &dyn Tree, patterns: &[GitFile]) -> Result<Found> {
    let (out, within): (Vec<_>, Vec<_>) = patterns.iter().partition(|one| one.exclude.unwrap_or_default());
    let patterns = |all: &[&GitFile]| all.iter().map(|one| glob::pattern(&one.path)).collect::<Result<Vec<_>>>();
    let (out, within) = (patterns(&out)?, patterns(&within)?);
    let mut found = BTreeMap::new();
    for path in tree.files("".as_ref(), true)? {
        let text = path.to_string_lossy();
        let fits = |patterns: &[regex::Regex]| patterns.iter().any(|one| one.is_match(&text));
        if fits(&within) && !fits(&out) {
            let objects = objects(tree, &path)?;
            found.insert(path, objects);
        }
    }
    Ok(found)
}

/// An object, or a list of them; a file without anything is an object without fields.
fn objects(tree: &dyn Tree, path: &std::path::Path) -> Result<Vec<Map<String, Value>>> {
    let text = tree::text(tree, path)?;
    let shown = tree.show(path);
    let wrong = |line: usize, column: usize, message: &str| {
        Error::at(format!("{}:{line}:{column}", shown.display()), format!("unable to parse file: {message}"))
    };
    let documents = tinderbox_api::manifest::load(&text);
    let documents = documents.map_err(|error| wrong(error.line, error.column, &error.message))?;
    let Some(document) = documents.into_iter().next() else { return Ok(vec![Map::new()]) };
    let none = || wrong(document.line, 1, "this is neither an object nor a list of objects");
    match document.value {
        Value::Object(fields) => Ok(vec![fields]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::Object(fields) => Ok(fields),
                _ => Err(none()),
            })
            .collect(),
        _ => Err(none()),
    }
}
