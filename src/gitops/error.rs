//! What can go wrong between a source and its objects: each error names the place, its cause is the source.

use std::io;
use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a source gives no objects.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot {act} {}", path.display())]
    File {
        /// What was attempted.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be; the place is in the text.
    #[error("{place}: {message}")]
    Document {
        /// `FILE:LINE:COLUMN`, as far as it is known.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// A repository refuses.
    #[error("git cannot {act}: {message}")]
    Git {
        /// What was attempted, on what.
        act: String,
        /// What git said.
        message: String,
    },
}

impl Error {
    /// A file that refused.
    pub(crate) fn file(act: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }

    /// Something wrong in a file.
    pub(crate) fn at(place: impl std::fmt::Display, message: impl Into<String>) -> Self {
        Self::Document { place: place.to_string(), message: message.into() }
    }
}
