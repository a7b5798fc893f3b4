//! Why an image cannot be had.

use std::path::PathBuf;

use super::debian::PackageError;
use super::java::JavaError;
use super::oci::OciError;
use super::pip::FetchError;
use super::python::PythonError;

/// Why an image cannot be had. [`ImageError::reason`] is what Kubernetes calls it.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is none.
    #[error("could not read the image name {name:?}: {reason}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody describes it.
    #[error("image {name} not found: neither tinderbox.yaml nor this program describes it")]
    NotFound {
        /// The whole name.
        name: String,
    },
    /// It is not here, and must not be pulled.
    #[error("Container image {asked:?} is not present with pull policy of Never")]
    Never {
        /// As asked for.
        asked: String,
    },
    /// It could not be brought from its registry.
    #[error("failed to pull and unpack image {name:?}")]
    Pull {
        /// The whole name.
        name: String,
        /// The store has an image of that name, which the pull policy did not let be used.
        is_here: bool,
        /// What happened.
        source: OciError,
    },
    /// The store of images failed.
    #[error("could not get image {name}")]
    Oci {
        /// The whole name.
        name: String,
        /// What happened.
        source: OciError,
    },
    /// It is known, but a part of it could not be downloaded or unpacked.
    #[error("could not get image {name}")]
    Fetch {
        /// The whole name.
        name: String,
        /// What happened.
        source: FetchError,
    },
    /// It needs a Java that this machine does not have.
    #[error("could not make image {name}")]
    Java {
        /// The whole name.
        name: String,
        /// What is there.
        source: JavaError,
    },
    /// It needs a Python that this machine does not have.
    #[error("could not make image {name}")]
    Python {
        /// The whole name.
        name: String,
        /// What is there.
        source: PythonError,
    },
    /// Its Debian packages cannot be had.
    #[error("could not make image {name}")]
    Packages {
        /// The whole name.
        name: String,
        /// What happened.
        source: PackageError,
    },
    /// A folder that it is made of cannot be read.
    #[error("could not make image {name}: could not read its folders")]
    Files {
        /// The whole name.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Its description in tinderbox.yaml is wrong.
    #[error("could not make image {name}: {problem}")]
    Description {
        /// The whole name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A file that it is to show is not there.
    #[error("could not make image {name}: there is no {}", path.display())]
    MissingFile {
        /// The whole name.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

impl ImageError {
    /// The reason that a container status gives: `InvalidImageName` or `ErrImagePull`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name { .. } => "InvalidImageName",
            Self::Never { .. } => "ErrImageNeverPull",
            _ => "ErrImagePull",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Name { .. } => "write it as [registry/]repository[:tag][@digest]",
            Self::NotFound { .. } => "describe it under images: in tinderbox.yaml",
            Self::Never { .. } => "load it with `cargo xtask image load FILE`, or change imagePullPolicy",
            Self::Pull { is_here: true, .. } => {
                "this machine has an image of that name: imagePullPolicy IfNotPresent uses it without asking the registry"
            }
            Self::Oci { source, .. } | Self::Pull { source, .. } => source.hint(),
            Self::Fetch { source, .. } => source.hint(),
            Self::Java { .. } => "install OpenJDK 17 or 21, or set JAVA_HOME to one",
            Self::Python { .. } => "install a Python 3 of a fitting version as /usr/bin/python3 or on the PATH",
            Self::Packages { source, .. } => source.hint(),
            Self::Files { .. } => "look at the cache folder and at what its description names",
            Self::Description { .. } | Self::MissingFile { .. } => {
                "mend its description under images: in tinderbox.yaml"
            }
        }
    }

    /// The whole story in one line, for a container status or an event: the error, its causes, and what to do.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text + " (" + self.hint() + ")"
    }
}
