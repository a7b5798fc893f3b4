//! Plain manifests: every file of a folder that is YAML or JSON, but for those that are left out.

use std::path::Path;

use regex::Regex;
use tinderbox_api::gitops::DirectorySource;

use crate::error::{Error, Result};
use crate::manifest::{self, Object};
use crate::tree::{self, Tree};

/// A file with this in a comment is passed over.
const SKIP: &str = "+argocd:skip-file-rendering";

/// The objects of a folder.
pub(super) fn render(tree: &dyn Tree, dir: &Path, options: Option<&DirectorySource>) -> Result<Vec<Object>> {
    let plain = DirectorySource::default();
    let options = options.unwrap_or(&plain);
    let pattern = |glob: &String| if glob.is_empty() { Ok(None) } else { pattern(glob).map(Some) };
    let (include, exclude) = (pattern(&options.include)?, pattern(&options.exclude)?);
    let mut objects = Vec::new();
    for file in tree.files(dir, options.recurse.unwrap_or_default())? {
        let below = file.strip_prefix(dir).unwrap_or(&file).to_string_lossy();
        let is_jsonnet = below.ends_with(".jsonnet");
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| below.ends_with(end));
        let is_left_out = exclude.as_ref().is_some_and(|one| one.is_match(&below))
            || include.as_ref().is_some_and(|one| !one.is_match(&below));
        if is_left_out || !(is_manifest || is_jsonnet) {
            continue;
        }
        let shown = tree.show(&file);
        if is_jsonnet {
            return Err(Error::at(shown.display(), "jsonnet is not evaluated here: put what it gives into the tree"));
        }
        let text = tree::text(tree, &file)?;
        if !text.lines().any(|line| line.trim_start().starts_with('#') && line.contains(SKIP)) {
            objects.extend(manifest::parse(&shown, &text)?);
        }
    }
    Ok(objects)
}

/// A pattern of files as Argo CD writes it: `*` and `**` stand for anything, `{a,b}` for one of several.
fn pattern(glob: &str) -> Result<Regex> {
    let mut text = String::from("^");
    let mut choices = 0;
    let mut characters = glob.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' => {
                while characters.peek() == Some(&'*') {
                    characters.next();
                }
                text.push_str(".*");
            }
            '?' => text.push('.'),
            '{' => {
                choices += 1;
                text.push_str("(?:");
            }
            '}' if choices > 0 => {
                choices -= 1;
                text.push(')');
            }
            ',' if choices > 0 => text.push('|'),
            other => text.push_str(&regex::escape(&other.to_string())),
        }
    }
    text.push('$');
    Regex::new(&text).map_err(|_| Error::at(glob, "this is no pattern of files"))
}
