//! Images: what a container's file system and defaults are. Resolving names to [`Image`]s; it must not start anything.

use std::path::PathBuf;

/// A resolved image: a description of a root view and the defaults of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The name as Kubernetes reports it (`docker.io/apache/spark:4.0.1`).
    pub name: String,
    /// Digest-like identity, reported as `imageID`.
    pub id: String,
    /// What the root view holds, in order.
    pub root: Vec<RootEntry>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `ENV`.
    pub env: Vec<(String, String)>,
    /// `WORKDIR`.
    pub working_dir: String,
    /// Numeric user of the image, and its group.
    pub user: (u32, u32),
}

/// One thing in a root view. Paths inside the container are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootEntry {
    /// A folder or file of the host, read-only.
    Bind {
        /// Path on the host.
        source: PathBuf,
        /// Path in the container.
        target: PathBuf,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        to: PathBuf,
        /// Path in the container.
        target: PathBuf,
    },
    /// A folder, owned by the image's user when `writable`.
    Directory {
        /// Path in the container.
        target: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Owned by the image's user rather than root.
        writable: bool,
    },
    /// A small file.
    File {
        /// Path in the container.
        target: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Content.
        content: Vec<u8>,
    },
}
