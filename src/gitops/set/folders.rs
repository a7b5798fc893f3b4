//! Folders of a tree that fit patterns.
//! Upstream rule: `filterApps` in `applicationset/generators/git.go` of argoproj/argo-cd, and `path.Match` of Go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tinderbox_api::gitops::GitDirectory;

use crate::error::Result;
use crate::tree::Tree;

/// The folders that fit one of the patterns and none of those that leave out. Hidden folders never do.
///
/// # Errors
/// When a folder cannot be listed.
pub(super) fn matching(tree: &dyn Tree, patterns: &[GitDirectory]) -> Result<Vec<PathBuf>> {
    let (out, within): (Vec<_>, Vec<_>) = patterns.iter().partition(|one| one.exclude.unwrap_or_default());
    let mut found = BTreeSet::new();
    for pattern in within {
        let mut level = vec![PathBuf::new()];
        for part in parts(&pattern.path) {
            let mut next = Vec::new();
            for dir in &level {
                let names = tree.children(dir)?;
                let fitting = names.iter().filter(|name| !name.starts_with('.') && fits(part, name));
                next.extend(fitting.map(|name| dir.join(name)));
            }
            level = next;
        }
        found.extend(level.into_iter().filter(|dir| !dir.as_os_str().is_empty()));
    }
    let is_out = |dir: &Path| out.iter().any(|pattern| fits_path(&pattern.path, dir));
    Ok(found.into_iter().filter(|dir| !is_out(dir)).collect())
}

fn parts(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter(|part| !part.is_empty())
}

fn fits_path(pattern: &str, dir: &Path) -> bool {
    let names: Vec<_> = dir.components().map(|name| name.as_os_str().to_string_lossy()).collect();
    let parts: Vec<&str> = parts(pattern).collect();
    parts.len() == names.len() && parts.iter().zip(&names).all(|(part, name)| fits(part, name))
}

/// Whether a name fits a pattern of `*`, `?`, `[a-z]` and `\`.
fn fits(pattern: &str, name: &str) -> bool {
    let mut characters = pattern.chars();
    let Some(first) = characters.next() else { return name.is_empty() };
    let rest = characters.as_str();
    let mut letters = name.chars();
    match first {
        '*' => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|at| fits(rest, &name[at..]))
        }
        '?' => letters.next().is_some() && fits(rest, letters.as_str()),
        '[' => {
            let Some((class, behind)) = rest.split_once(']') else { return false };
            letters.next().is_some_and(|letter| is_in(class, letter)) && fits(behind, letters.as_str())
        }
        '\\' => {
            let literal = characters.next();
            literal.is_some() && letters.next() == literal && fits(characters.as_str(), letters.as_str())
        }
        literal => letters.next() == Some(literal) && fits(rest, letters.as_str()),
    }
}

/// Whether a letter is one of `a-cx`, or none of `^a-cx`.
fn is_in(class: &str, letter: char) -> bool {
    let (class, negated) = class.strip_prefix('^').map_or((class, false), |class| (class, true));
    let letters: Vec<char> = class.chars().collect();
    let mut at = 0;
    let mut found = false;
    while at < letters.len() {
        if letters.get(at + 1) == Some(&'-') && at + 2 < letters.len() {
            found |= (letters[at]..=letters[at + 2]).contains(&letter);
            at += 3;
        } else {
            found |= letters[at] == letter;
            at += 1;
        }
    }
    found != negated
}
