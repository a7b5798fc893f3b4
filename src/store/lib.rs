//! Versioned objects: one growing revision over all of them, optimistic concurrency, a watch log of bounded length, and a
//! write-ahead log with snapshots. Pure of HTTP and of what an object means: a value is a name and bytes.
//!
//! The way of a write: it is checked and given the next revision under one lock ([`handle`]), the writer thread puts
//! everything that waits into one frame of the log and syncs it ([`writer`], [`disk`]), then it becomes visible to reads and
//! watches ([`state`]), and only then it is acknowledged. So nobody ever sees what a crash could take back.

mod disk;
mod error;
mod handle;
mod state;
mod watch;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use error::{Expired, OpenError, WriteError};
pub use handle::Store;
pub use watch::Watch;

/// A collection of objects: an API group and a resource, as in `apps` and `deployments`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection {
    /// API group; empty for core.
    pub group: Arc<str>,
    /// Plural resource name.
    pub resource: Arc<str>,
}

/// Where an object lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The collection.
    pub collection: Collection,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it lives.
    pub key: Key,
    /// The revision that wrote this version.
    pub revision: u64,
    /// The encoded object, without its resourceVersion.
    pub bytes: Bytes,
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The revision of the change.
    pub revision: u64,
    /// What it was.
    pub change: Change,
}

/// Versions before and after a change; the earlier one lets a reader see an object enter or leave a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new object.
    Created(Arc<Stored>),
    /// A new version; `previous` is the one before.
    Updated {
        /// The new version.
        current: Arc<Stored>,
        /// The version before.
        previous: Arc<Stored>,
    },
    /// The last version of a removed object; its revision is that of the deletion.
    Deleted(Arc<Stored>),
}

/// A page of a collection.
#[derive(Debug, Clone)]
pub struct List {
    /// The objects, ordered by namespace and name.
    pub items: Vec<Arc<Stored>>,
    /// The revision that the page shows.
    pub revision: u64,
    /// How many objects follow the page.
    pub remaining: usize,
}

/// Where the store keeps its files, and how much it remembers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for log and snapshots; `None` keeps everything in memory.
    pub dir: Option<PathBuf>,
    /// How many past events can be replayed to a watch; older revisions are expired. Large objects shorten it: the
    /// remembered versions together are kept to about 16 MiB.
    pub history: usize,
}

impl Event {
    /// The object as the change left it (for a deletion: as it was last).
    #[must_use]
    pub fn object(&self) -> &Arc<Stored> {
        match &self.change {
            Change::Created(object) | Change::Updated { current: object, .. } | Change::Deleted(object) => object,
        }
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.resource) } else { write!(f, "{}.{}", self.resource, self.group) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.collection, self.name)
        } else {
            write!(f, "{}/{}/{}", self.collection, self.namespace, self.name)
        }
    }
}
