//! Images: what a container's file system and defaults are. Resolving names to [`Image`]s; it must not start a container.
//!
//! A native image is made of this machine's own userland and of downloaded packages: [`userland`] for the plain ones,
//! [`spark`] for Spark's, [`native`] for those that a user describes, [`debian`] for the packages in them. What is downloaded is
//! kept in the [`cache`]. Images of archives and registries are in [`oci`].

mod cache;
mod debian;
mod error;
mod images;
mod java;
mod name;
mod native;
pub mod oci;
mod pip;
mod policy;
mod progress;
mod python;
mod spark;
mod unpack;
mod userland;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use cache::cache_dir;
pub(crate) use cache::remove_tree;
pub use debian::PackageError;
pub use error::ImageError;
pub use images::Images;
pub use java::JavaError;
pub use name::Reference;
pub use native::{HostFile, ImageUser, NativeImage};
pub(crate) use oci::Keyring;
pub(crate) use policy::{Arrival, Brought, Policy};
pub use progress::{Progress, Quiet};
pub use python::PythonError;

/// The releases of Java, and the minor versions of Python 3, that the present Spark runs on.
const JAVAS: [u32; 2] = [17, 21];
const PYTHONS: std::ops::RangeInclusive<u32> = 9..=13;

/// A language that images are made with, as it is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language {
    /// Its program.
    pub program: PathBuf,
    /// Its version.
    pub version: String,
}

/// The Java that Spark's images use.
///
/// # Errors
/// When none fits; with those that are there.
pub fn java() -> Result<Language, JavaError> {
    java::find(&JAVAS, true).map(|java| Language { program: java.home.join("bin/java"), version: java.version })
}

/// The Python that Spark's images use.
///
/// # Errors
/// When none fits; with those that are there.
pub fn python() -> Result<Language, PythonError> {
    python::find(PYTHONS).map(|python| Language { version: python.version_text(), program: python.program })
}

/// Folders outside /usr that the images' Java and Python come from; a place must be able to reach them. It may run a Python,
/// which takes milliseconds.
#[must_use]
pub fn language_folders() -> Vec<PathBuf> {
    let java = java::find(&JAVAS, false).ok().and_then(|java| java.root());
    let python = python::find(PYTHONS).map(|python| python.root()).unwrap_or_default();
    let binds = java.into_iter().chain(python).filter_map(|entry| match entry {
        RootEntry::Bind { source, .. } => Some(source),
        _ => None,
    });
    binds.collect()
}

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
    /// What only an image of the store has: layers, which lie below `root`.
    pub unpacked: Option<Arc<oci::Unpacked>>,
}

/// One thing in a root view. Paths inside the container are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl RootEntry {
    pub(crate) fn bind(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self::Bind { source: source.into(), target: target.into() }
    }

    pub(crate) fn symlink(to: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self::Symlink { to: to.into(), target: target.into() }
    }

    pub(crate) fn directory(target: impl Into<PathBuf>, mode: u32) -> Self {
        Self::Directory { target: target.into(), mode, writable: false }
    }

    pub(crate) fn own_directory(target: impl Into<PathBuf>, mode: u32) -> Self {
        Self::Directory { target: target.into(), mode, writable: true }
    }

    pub(crate) fn file(target: impl Into<PathBuf>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self::File { target: target.into(), mode, content: content.into() }
    }
}

impl Image {
    /// Sets a variable, in the place of an earlier one of that name.
    pub(crate) fn set_env(&mut self, name: &str, value: impl Into<String>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
    }

    /// Adds to a list like `PATH`, at its end.
    pub(crate) fn append_env(&mut self, name: &str, value: &str) {
        let known = self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        match known {
            Some(known) if !known.is_empty() => self.set_env(name, format!("{known}:{value}")),
            _ => self.set_env(name, value),
        }
    }
}
