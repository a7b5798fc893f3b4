//! A field path that grows and shrinks while a value is walked: `spec.containers[0].name`. Text only.

use std::fmt;

/// A field path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(String);

impl Path {
    /// The path as text, as a starting point for others.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// This path and a field: `spec.name`.
    pub(crate) fn field(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// This path and an index: `spec[0]`.
    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// This path and the key of a map, where there is one.
    pub(crate) fn below(self, key: Option<&str>) -> Self {
        key.map_or_else(|| self.clone(), |key| self.key(key))
    }

    /// This path and the key of a map: `labels[app]`.
    pub(crate) fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0
    }
}

impl From<&Path> for String {
    fn from(path: &Path) -> Self {
        path.0.clone()
    }
}
