//! Why an image archive, a layer or a registry could not be read, or the store not be written.

use std::io;
use std::path::{Path, PathBuf};

use super::digest::Digest;

/// What went wrong with OCI images. The text says what was attempted on what; [`OciError::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// A file or folder of the store, or the archive, refused.
    #[error("could not {act} {}", path.display())]
    Io {
        /// What was attempted.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left for {}", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// An archive is not one of images.
    #[error("{archive} is no image archive: {problem}")]
    Archive {
        /// Its name.
        archive: String,
        /// What is wrong.
        problem: String,
    },
    /// A manifest, index or config is not what it should be.
    #[error("{what} is not valid: {problem}")]
    Document {
        /// Which.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// A layer cannot be unpacked.
    #[error("layer {layer} cannot be unpacked: {problem}")]
    Layer {
        /// Its digest.
        layer: Digest,
        /// What is wrong, with the entry.
        problem: String,
    },
    /// Content is not what its digest says.
    #[error("{what} has the wrong digest: expected {expected}, got {found}")]
    WrongDigest {
        /// Which content.
        what: String,
        /// As the document says.
        expected: Digest,
        /// As it is.
        found: Digest,
    },
    /// The image is made for other machines.
    #[error("no image for platform linux/{wanted} in {what}: it is for {found}")]
    Platform {
        /// The image or index.
        what: String,
        /// This machine's architecture.
        wanted: &'static str,
        /// The platforms that are there.
        found: String,
    },
    /// An archive's image has no name, and none was given.
    #[error("the image in {archive} has no name")]
    Nameless {
        /// The archive.
        archive: String,
    },
    /// The name that was given is none.
    #[error("could not read the image name {name:?}: {reason}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answers for a registry, or it stopped in the middle.
    #[error("registry {registry} does not answer: {cause}")]
    Silent {
        /// Host and port.
        registry: String,
        /// Why not.
        cause: String,
    },
    /// The registry answers that it has no such thing.
    #[error("{what}: not found in registry {registry}")]
    Missing {
        /// What was asked for.
        what: String,
        /// Host and port.
        registry: String,
    },
    /// The registry wants to know who asks, or does not let them.
    #[error(
        "pull access denied, repository {repository} does not exist or may require authorization: the registry answered {status}"
    )]
    Denied {
        /// Registry and repository.
        repository: String,
        /// The status.
        status: u16,
    },
    /// The registry answers something else.
    #[error("registry {registry} answered {status} to the request for {what}")]
    Status {
        /// What was asked for.
        what: String,
        /// Host and port.
        registry: String,
        /// The status.
        status: u16,
    },
    /// There is no such image.
    #[error("there is no image {name} in the store")]
    Unknown {
        /// As asked for.
        name: String,
    },
    /// A container of a running cluster uses it.
    #[error("image {name} is in use by a pod of a running cluster")]
    InUse {
        /// As asked for.
        name: String,
    },
}

impl OciError {
    /// An input or output error on a path.
    pub(super) fn io(act: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Io { act, path: path.to_owned(), source },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check that the folder can be read and written, or set XDG_CACHE_HOME to another one",
            Self::Full { .. } => {
                "free space on that disk, or set XDG_CACHE_HOME to another one; `cargo xtask image prune` removes unused images"
            }
            Self::Archive { .. } => {
                "make it with `docker save`, `podman save`, or another tool that writes docker or OCI archives"
            }
            Self::Document { .. } | Self::Layer { .. } | Self::WrongDigest { .. } => {
                "make or download the image again; nothing of it was kept"
            }
            Self::Platform { .. } => "build or choose the image for this machine's platform",
            Self::Nameless { .. } => "give it one with `--as NAME`",
            Self::Name { .. } => "write it as [registry/]repository[:tag][@digest]",
            Self::Silent { .. } | Self::Missing { .. } | Self::Status { .. } => {
                "load it from an archive with `cargo xtask image load FILE`, or describe it under images: in tinderbox.yaml, or see \
                 that its registry has it and can be reached"
            }
            Self::Denied { .. } => {
                "log in with `docker login`, or give the pod imagePullSecrets; an archive needs neither: `cargo xtask image load FILE`"
            }
            Self::Unknown { .. } => "`cargo xtask image list` shows those that are there",
            Self::InUse { .. } => "delete the pods that use it first",
        }
    }
}
