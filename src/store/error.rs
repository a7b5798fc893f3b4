//! What can go wrong, as types. The text says what was attempted; the cause is the `source`; what to do is the hint.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Stored;

/// Why a store could not be opened. Nothing of it is served then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried, as in `read`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process (or another store of this one) has the folder open.
    #[error("the store in {} is in use by another process", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// A file does not hold what was written to it.
    #[error("{} is corrupt at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A file was written by a newer version of this program.
    #[error("{} has format {found}, and this program knows formats up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
}

impl OpenError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), offset, what: what.into() }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "look at the owner and the rights of the folder and at the free space of its disk",
            Self::InUse { .. } => "end the other process, or choose another name",
            Self::Corrupt { .. } => "restore the folder from a copy, or remove it to start anew",
            Self::Newer { .. } => "run the newer program, or remove the folder to start anew",
        }
    }
}

/// Why a write was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// Creating: there is an object of that name already.
    #[error("could not create {}: it exists", .0.key)]
    Exists(Arc<Stored>),
    /// Updating or deleting: there is no such object.
    #[error("could not change an object that does not exist")]
    Missing,
    /// Updating or deleting: the newest version is another than the expected one.
    #[error("could not change {}: its revision is {} by now", .0.key, .0.revision)]
    Conflict(Arc<Stored>),
    /// The log could not be written; the write left nothing behind, and later ones may succeed.
    #[error("could not write to the log of the store")]
    Io(#[source] Arc<io::Error>),
    /// The store is closed.
    #[error("could not write: the store is closed")]
    Closed,
}

/// A revision is too old: its events are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revision {requested} is too old: the oldest one that can be continued from is {oldest}")]
pub struct Expired {
    /// The revision that was asked for.
    pub requested: u64,
    /// The oldest one that would do.
    pub oldest: u64,
}
