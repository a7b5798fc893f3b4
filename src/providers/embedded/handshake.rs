//! What a starting node process tells its parent, as lines of JSON through a pipe. The parent holds no other channel to it.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde::{Deserialize, Serialize};

use crate::error::{Cause, Class, Error};

/// Names the descriptors that a node process inherits: the pipe to its parent, and the folder's lock.
pub(super) const FDS: &str = "TINDERBOX_NODE_FDS";

/// One line from the node process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Message {
    /// What it is about to do.
    Step(String),
    /// It is ready.
    Ready {
        /// Port of the API on 127.0.0.1.
        port: u16,
        /// Port of Ingresses on 127.0.0.1.
        ingress_port: u16,
        /// What the user should know.
        notes: Vec<String>,
    },
    /// It gives up.
    Failed {
        /// What failed.
        message: String,
        /// Why, outermost first.
        causes: Vec<String>,
        /// What would help.
        hint: Option<String>,
        /// Whose turn it is.
        class: Class,
    },
}

impl Message {
    /// An error as it travels.
    #[must_use]
    pub(super) fn failed(error: &Error) -> Self {
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        Self::Failed { message: error.to_string(), causes, hint: error.hint(), class: error.class() }
    }

    /// The error that a message of failure stands for.
    #[must_use]
    pub(super) fn into_error(self) -> Option<Error> {
        match self {
            Self::Failed { message, causes, hint, class } => {
                Some(Error::Node { message, source: Cause::chain(&causes), hint, class })
            }
            Self::Step(_) | Self::Ready { .. } => None,
        }
    }
}

/// The node's end of the pipe, and the lock that it holds until it is ready.
#[derive(Debug)]
pub(super) struct Parent {
    pipe: Option<File>,
    lock: Option<OwnedFd>,
}

impl Parent {
    /// Takes over what the parent left open; a node started by hand has no parent to tell.
    ///
    /// # Errors
    /// When the descriptors named are not open.
    pub(super) fn inherit() -> io::Result<Self> {
        let Ok(list) = std::env::var(FDS) else {
            return Ok(Self { pipe: None, lock: None });
        };
        let mut fds = list.split(',').map(|number| {
            let raw: i32 = number.parse().map_err(io::Error::other)?;
            // SAFETY: only looks at the flags of a number, whatever it names.
            let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(raw) };
            fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            // SAFETY: the parent opened it for this process alone, and it is taken once.
            Ok::<_, io::Error>(unsafe { OwnedFd::from_raw_fd(raw) })
        });
        Ok(Self { pipe: fds.next().transpose()?.map(File::from), lock: fds.next().transpose()? })
    }

    /// Tells the parent. When it is gone, there is nobody to tell, and the node goes on: the next `up` finds it.
    pub(super) fn tell(&mut self, message: &Message) {
        let Some(pipe) = &mut self.pipe else { return };
        let line = serde_json::to_string(message).map(|line| line + "\n");
        if !line.is_ok_and(|line| pipe.write_all(line.as_bytes()).is_ok()) {
            self.pipe = None;
        }
    }

    /// Ends the talk and gives the lock free.
    pub(super) fn leave(&mut self) {
        self.pipe = None;
        self.lock = None;
    }
}

/// Lets a descriptor pass into the program that is executed next. Meant to be called between fork and exec.
///
/// # Errors
/// When the descriptor is not open.
pub(super) fn keep_over_exec(fd: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: a system call on a descriptor that the caller keeps open; nothing else is touched, as after a fork nothing may be.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way() {
        let error =
            Error::File { act: "write", path: "/x".into(), source: io::Error::from(io::ErrorKind::StorageFull) };
        let line = serde_json::to_string(&Message::failed(&error)).expect("JSON");
        let back: Message = serde_json::from_str(&line).expect("JSON");
        let back = back.into_error().expect("an error");
        assert_eq!(back.to_string(), "cannot write /x");
        assert_eq!(back.source().map(ToString::to_string), error.source().map(ToString::to_string));
        assert_eq!((back.hint(), back.class()), (error.hint(), error.class()));
    }
}
