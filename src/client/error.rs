//! What can go wrong between a controller and the API: each error names the attempt, its cause is the source.

use kube::core::Status;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request that the API refused or that did not get through.
    #[error("cannot {act}")]
    Request {
        /// What was attempted, as in "create pods default/web-".
        act: String,
        /// Why it failed.
        #[source]
        source: kube::Error,
    },
    /// A value that does not become a request, or an answer that is no object.
    #[error("cannot {act}")]
    Encoding {
        /// What was attempted.
        act: String,
        /// Why it failed.
        #[source]
        source: serde_json::Error,
    },
    /// An operation on files.
    #[error("cannot {act}")]
    Files {
        /// What was attempted, with the path.
        act: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// An object that cannot be acted upon as it is.
    #[error("{0}")]
    Invalid(String),
    /// A watch that has not delivered its first list.
    #[error("the watch of {0} ended before its first list")]
    NotSynced(String),
}

impl Error {
    /// The API's refusal, when that is what it was.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Request { source: kube::Error::Api(status), .. } => Some(status),
            _ => None,
        }
    }

    /// The object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// Another writer was faster, or a precondition did not hold. Trying again with a fresh view is the cure.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(|status| status.code == 409 && status.reason != "AlreadyExists")
    }

    /// An object of that name exists.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.status().is_some_and(|status| status.reason == "AlreadyExists")
    }

    /// The namespace is going away: creating in it is over, and no error of the controller.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        self.status().filter(|status| status.code == 403).is_some_and(|status| {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
                || status.message.contains("is being terminated")
        })
    }

    /// The text for an event: the API's own message where there is one.
    #[must_use]
    pub fn message(&self) -> String {
        match self.status() {
            Some(status) => status.message.clone(),
            None => chain(self),
        }
    }
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Names the attempt behind a failed request.
pub trait Doing<T> {
    /// Turns the failure into an [`Error`] that says what was attempted.
    ///
    /// # Errors
    /// The failure itself.
    fn doing(self, act: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, kube::Error> {
    fn doing(self, act: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Request { act: act(), source })
    }
}

impl<T> Doing<T> for std::result::Result<T, serde_json::Error> {
    fn doing(self, act: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Encoding { act: act(), source })
    }
}

impl<T> Doing<T> for std::result::Result<T, std::io::Error> {
    fn doing(self, act: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Files { act: act(), source })
    }
}
