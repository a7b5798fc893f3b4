//! Manifests as kubectl reads them: YAML with the scalars of version 1.1 (`yes`, `0644`, `1_000`), merge keys, several
//! documents, and JSON. Every value knows its line and column, so that an error at a field path can be shown where it
//! stands. Duplicate keys are errors, where kubectl takes the last in silence. Text in, values out: no files.
//! Upstream rule: sigs.k8s.io/yaml and k8s.io/apimachinery `pkg/util/yaml`.

mod compose;
mod json;
mod scalar;
mod span;

use serde_json::Value;

pub use span::{Position, Spans};

/// One object of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// The line where it begins, from 1.
    pub line: usize,
    /// Where each of its fields stands.
    pub spans: Spans,
}

/// A text that is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ManifestError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl ManifestError {
    /// The key that is there twice, where that is what is wrong.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        self.message.strip_prefix("the key \"")?.strip_suffix("\" is there twice")
    }
}

/// Reads all documents of a text; empty ones are left out. Reading ends at the first error.
///
/// # Errors
/// When the text is neither YAML nor JSON, repeats a key, or has a value that JSON cannot say.
pub fn load(text: &str) -> Result<Vec<Document>, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match compose::documents(text) {
        Ok(documents) => Ok(documents),
        // JSON may stand in a row without separators, and be indented by tabs.
        Err(compose::Failure::Syntax(error)) => json::documents(text).ok_or(error),
        Err(compose::Failure::Content(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
