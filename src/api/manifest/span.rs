//! Where the fields of a document stand. It knows paths as Kubernetes writes them: `spec.containers[0].name`,
//! `metadata.labels[app.kubernetes.io/name]`.

use std::collections::BTreeMap;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
}

/// The places of a value and of everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    pub(super) at: Position,
    pub(super) inside: Inside,
}

/// The places of what is inside a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inside {
    Nothing,
    Fields(BTreeMap<String, Spans>),
    Items(Vec<Spans>),
}

impl Spans {
    pub(super) fn leaf(at: Position) -> Self {
        Self { at, inside: Inside::Nothing }
    }

    /// Where the value begins: a field at its key, an item at its first character.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// Where the field at `path` stands, or what is nearest above it if it is not there.
    #[must_use]
    pub fn find(&self, path: &str) -> Position {
        let path = path.strip_prefix('.').unwrap_or(path);
        match &self.inside {
            _ if path.is_empty() => self.at,
            Inside::Nothing => self.at,
            Inside::Items(items) => {
                let found = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let item = found.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)));
                item.map_or(self.at, |(item, rest)| item.find(rest))
            }
            // Keys may have dots: the longest that fits is meant.
            Inside::Fields(fields) => fields
                .iter()
                .filter_map(|(key, field)| Some((key.len(), field, step(path, key)?)))
                .max_by_key(|(length, ..)| *length)
                .map_or(self.at, |(_, field, rest)| field.find(rest)),
        }
    }
}

/// What is left of `path` after the field `key`.
fn step<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    if let Some(rest) =
        path.strip_prefix('[').and_then(|rest| rest.strip_prefix(key)).and_then(|rest| rest.strip_prefix(']'))
    {
        return Some(rest);
    }
    path.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
