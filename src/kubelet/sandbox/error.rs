//! What can go wrong with the place and its pods, in words, with remedies. It decides nothing.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Why the place could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The machine refuses what every pod needs.
    #[error("cannot set up a place for pods on this machine: {attempted}")]
    Refused {
        /// What was attempted.
        attempted: String,
        /// What the kernel said.
        source: io::Error,
        /// What to do about it, if known.
        hint: Option<String>,
    },
    /// The place process is gone, and every pod with it.
    #[error("the place process has ended, and every pod with it")]
    Gone,
    /// No such pod, container or exec.
    #[error("there is no {what} `{id}` in the place")]
    Unknown {
        /// Pod, container, process.
        what: String,
        /// The id that was asked for.
        id: String,
    },
    /// An id is taken already.
    #[error("{what} `{id}` is in the place already")]
    Exists {
        /// Pod, container, process.
        what: String,
        /// The id.
        id: String,
    },
    /// A container or exec could not be started. The text is worded as container runtimes do
    /// (`exec: "foo": executable file not found in $PATH`).
    #[error("{message}")]
    Start {
        /// The text for the container's status.
        message: String,
    },
    /// The kernel refused one step.
    #[error("{attempted}")]
    Failed {
        /// What was attempted.
        attempted: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl PlaceError {
    /// What to do about it, if known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }

    pub(super) fn failed(attempted: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Failed { attempted: attempted.into(), source: source.into() }
    }
}

/// A [`PlaceError`] on its way between the two processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Failure {
    Unknown { what: String, id: String },
    Exists { what: String, id: String },
    Start { message: String },
    Failed { attempted: String, errno: i32 },
}

impl Failure {
    pub(super) fn unknown(what: &str, id: &str) -> Self {
        Self::Unknown { what: what.to_owned(), id: id.to_owned() }
    }

    pub(super) fn exists(what: &str, id: &str) -> Self {
        Self::Exists { what: what.to_owned(), id: id.to_owned() }
    }
}

impl From<Failure> for PlaceError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unknown { what, id } => Self::Unknown { what, id },
            Failure::Exists { what, id } => Self::Exists { what, id },
            Failure::Start { message } => Self::Start { message },
            Failure::Failed { attempted, errno } => Self::failed(attempted, io::Error::from_raw_os_error(errno)),
        }
    }
}

/// Says what was attempted when a system call fails; the inside of the place has no other error type.
pub(super) trait Attempt<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Attempt<T> for Result<T, E> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::Failed {
            attempted: what(),
            errno: error.into().raw_os_error().unwrap_or(libc::EIO),
        })
    }
}

/// The error of a start that the machine refused, with the remedy that its settings suggest.
pub(super) fn refused(attempted: String, source: io::Error) -> PlaceError {
    let hint = hint(&attempted, &source, &|path| std::fs::read_to_string(path).ok(), &|path| Path::new(path).exists());
    PlaceError::Refused { attempted, source, hint }
}

fn hint(
    attempted: &str,
    source: &io::Error,
    read: &dyn Fn(&str) -> Option<String>,
    exists: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let code = source.raw_os_error();
    if code == Some(libc::ENOSYS) {
        return Some("the kernel is too old: Linux 5.12 or newer is needed".to_owned());
    }
    if attempted.contains("bridge") || attempted.contains("veth") {
        return Some("the kernel needs the modules bridge and veth: sudo modprobe -a bridge veth".to_owned());
    }
    if !matches!(code, Some(libc::EPERM | libc::EACCES | libc::ENOSPC | libc::EUSERS)) {
        return None;
    }
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return Some("user namespaces are switched off: sudo sysctl -w user.max_user_namespaces=65536".to_owned());
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return Some(
            "user namespaces are switched off for ordinary users: sudo sysctl -w kernel.unprivileged_userns_clone=1"
                .to_owned(),
        );
    }
    let contained = exists("/.dockerenv") || exists("/run/.containerenv");
    if contained {
        return Some(
            "this is a container whose engine forbids namespaces or masks /proc: start it with --privileged, or with \
             --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
                .to_owned(),
        );
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return Some(
            "AppArmor takes the rights out of user namespaces: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, \
             or give this program an AppArmor profile with the rule `userns,`"
                .to_owned(),
        );
    }
    if matches!(code, Some(libc::ENOSPC | libc::EUSERS)) {
        return Some(
            "a limit under /proc/sys/user (max_*_namespaces) is reached: raise it, or end what holds them".to_owned(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_with(files: &[(&str, &str)], errno: i32, attempted: &str) -> Option<String> {
        let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        let exists = |path: &str| files.iter().any(|(name, _)| *name == path);
        hint(attempted, &io::Error::from_raw_os_error(errno), &read, &exists)
    }

    #[test]
    fn the_machines_settings_name_the_remedy() {
        let off = hint_with(&[("/proc/sys/user/max_user_namespaces", "0\n")], libc::EPERM, "user namespace");
        assert!(off.is_some_and(|hint| hint.contains("user.max_user_namespaces")));
        let apparmor = hint_with(
            &[("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")],
            libc::EPERM,
            "user namespace",
        );
        assert!(apparmor.is_some_and(|hint| hint.contains("AppArmor")));
        let docker = hint_with(&[("/.dockerenv", "")], libc::EPERM, "mount /proc");
        assert!(docker.is_some_and(|hint| hint.contains("seccomp=unconfined")));
        assert!(
            hint_with(&[], libc::EOPNOTSUPP, "create the bridge tb0").is_some_and(|hint| hint.contains("modprobe"))
        );
        assert_eq!(hint_with(&[], libc::EPERM, "something else"), None);
    }
}
