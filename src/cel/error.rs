//! Why an evaluation came to no value, in cel-go's words.

use std::fmt;

/// An evaluation that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It cost more than it may. Nothing absorbs this.
    Cost,
    /// Something in it failed: `no such key: replicas`.
    Failed(String),
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    pub(crate) fn no_such_overload() -> Self {
        Self::new("no such overload")
    }

    pub(crate) fn no_such_key(key: &str) -> Self {
        Self::new(format!("no such key: {key}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost => f.write_str("operation cancelled: actual cost limit exceeded"),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}
