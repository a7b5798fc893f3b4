//! What can go wrong in a use case. The text says what was attempted, the cause is in `source`, the advice is apart.

use std::io;
use std::path::PathBuf;

pub use tinderbox_providers::Class;

use crate::manifest::Object;

/// Why a use case ended without its result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A place refused.
    #[error(transparent)]
    Place(#[from] tinderbox_providers::Error),
    /// A part of the platform cannot act as its service account.
    #[error(transparent)]
    Account(#[from] tinderbox_platform::AccountError),
    /// It was asked for in a wrong way.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// A file of the user's cannot be read or written.
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
    /// A file of the user's is not what it should be; the place is in the text.
    #[error("{place}: {message}")]
    Document {
        /// `FILE:LINE:COLUMN`, as far as it is known.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// The API rejects an object.
    #[error("{place}: the API rejects {object}: {message}")]
    Rejected {
        /// Kind and name.
        object: String,
        /// The place in its file, as near to the wrong field as it is known.
        place: String,
        /// The API's own words, with the path of each wrong field.
        message: String,
    },
    /// The API does not know a kind.
    #[error("{}the API knows no kind {kind} in {api_version}", place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    UnknownKind {
        /// Where it is asked for, when that is a file.
        place: Option<String>,
        /// Group and version.
        api_version: String,
        /// The kind.
        kind: String,
        /// What may be meant.
        hint: String,
    },
    /// A request to the API failed.
    #[error("cannot {act}")]
    Api {
        /// What was attempted.
        act: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A wait was in vain.
    #[error(transparent)]
    Wait(#[from] tinderbox_client::wait::WaitError),
    /// Applications are not as the tree has them, and do not come there by themselves.
    #[error("not synced: {}", apps.join("; "))]
    Unsynced {
        /// Each with what it says.
        apps: Vec<String>,
    },
    /// There is no such cluster, or it is not running.
    #[error("cluster {name} is not up")]
    NotUp {
        /// Its name.
        name: String,
    },
    /// A program could not be run.
    #[error("cannot run {program}")]
    Program {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
        /// What would help.
        hint: Option<String>,
    },
    /// The user ended it.
    #[error("interrupted")]
    Interrupted,
    /// A task of ours broke.
    #[error("{0}")]
    Internal(String),
}

impl From<tinderbox_gitops::Error> for Error {
    fn from(error: tinderbox_gitops::Error) -> Self {
        match error {
            tinderbox_gitops::Error::File { act, path, source } => Self::File { act, path, source },
            tinderbox_gitops::Error::Document { place, message } => Self::Document { place, message },
            error @ tinderbox_gitops::Error::Git { .. } => Self::Usage {
                message: error.to_string(),
                hint: Some(
                    "run it in a clone of the repository, and name a revision that `git rev-parse` knows".to_owned(),
                ),
            },
        }
    }
}

impl Error {
    /// A request to the API that failed.
    pub(crate) fn api(act: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let act = act.into();
        move |error| {
            let source: Box<dyn std::error::Error + Send + Sync> = match error {
                // The API's own words, without the form that they came in.
                kube::Error::Api(status) => format!("{} (code {})", status.message, status.code).into(),
                other => Box::new(other),
            };
            Self::Api { act, source }
        }
    }

    /// A file that refused.
    pub(crate) fn file(act: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }

    /// The same error about this object, with the place in its file where that says more.
    pub(crate) fn about(self, object: &Object) -> Self {
        match self {
            Self::UnknownKind { place: None, api_version, kind, hint } => {
                Self::UnknownKind { place: Some(object.place_of("kind")), api_version, kind, hint }
            }
            other => other,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Place(error) => error.hint(),
            Self::Usage { hint, .. } | Self::Program { hint, .. } => hint.clone(),
            Self::UnknownKind { hint, .. } => Some(hint.clone()),
            Self::Unsynced { .. } => Some("mend the files that are named: they are looked at as soon as they are saved; `cargo xtask status APP` says more".to_owned()),
            Self::NotUp { name } => Some(format!("start it with `cargo xtask up --name {name}`")),
            _ => None,
        }
    }

    /// Whose turn it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Place(error) => error.class(),
            Self::Usage { .. } | Self::Document { .. } => Class::Usage,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Class::Usage,
            Self::File { .. } | Self::Program { .. } => Class::Environment,
            Self::Rejected { .. }
            | Self::UnknownKind { .. }
            | Self::Api { .. }
            | Self::Wait(_)
            | Self::Unsynced { .. }
            | Self::NotUp { .. }
            | Self::Interrupted
            | Self::Account(_)
            | Self::Internal(_) => Class::Failed,
        }
    }
}
