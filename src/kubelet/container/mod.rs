//! From a container's spec to a process: environment, command, user, files. Pure except where a function says otherwise.

pub(crate) mod command;
pub(crate) mod env;
pub(crate) mod expand;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod refuse;
pub(crate) mod resources;
pub(crate) mod security;

/// Why a container cannot be configured (`CreateContainerConfigError`); the text is what the status shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);
