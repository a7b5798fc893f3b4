//! Versioned objects: one growing revision over all of them, optimistic concurrency, a watch log of bounded length, and a
//! write-ahead log with snapshots. Pure of HTTP and of what an object means: a value is a name and bytes.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

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
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where it lives.
    pub key: Key,
    /// The revision that wrote this version.
    pub revision: u64,
    /// The encoded object, without its resourceVersion.
    pub bytes: Bytes,
}

/// What happened to an object.
#[derive(Debug, Clone)]
pub struct Event {
    /// The revision of the change.
    pub revision: u64,
    /// What it was.
    pub change: Change,
}

/// Versions before and after a change; the earlier one lets a reader see an object enter or leave a selection.
#[derive(Debug, Clone)]
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
    /// The last version of a removed object.
    Deleted(Arc<Stored>),
}

/// Where the store keeps its files, and how much it remembers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for log and snapshots; `None` keeps everything in memory.
    pub dir: Option<PathBuf>,
    /// How many past events can be replayed to a watch; older revisions are expired.
    pub history: usize,
}
