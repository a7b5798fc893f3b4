//! Processes by number and start time, so that a number that was given again is never taken for the old one. It ends what it
//! is asked to end, and nothing else.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;
use tokio::process::Command;

/// Has the kernel end a command's process together with this one. It ends with the thread that starts it: call it where that is one of
/// the runtime's, which live as long as this process.
pub(crate) fn end_with_us(command: &mut Command) {
    let us = Pid::this();
    // SAFETY: between fork and exec only system calls are made, which touch no memory.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // Killed before it asked, we would not be missed.
            if Pid::parent() == us { Ok(()) } else { Err(Errno::ESRCH.into()) }
        });
    }
}

/// A process that cannot be mistaken for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
    /// The boot it belongs to.
    pub boot: String,
}

impl Identity {
    /// The calling process.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn own() -> io::Result<Self> {
        let pid = Pid::this().as_raw();
        Ok(Self { pid, start: start_time(pid)?, boot: boot()? })
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_time(self.pid).is_ok_and(|start| start == self.start) && boot().is_ok_and(|boot| boot == self.boot)
    }

    /// A handle on the process, if it still runs. The handle stays with this process even if its number is given again.
    ///
    /// # Errors
    /// When the kernel refuses a handle on a living process.
    pub fn open(&self) -> io::Result<Option<Handle>> {
        // SAFETY: the system call takes two integers and gives a new descriptor or an error.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) };
        match Errno::result(fd) {
            Err(Errno::ESRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
            Ok(_) => {}
        }
        let raw = i32::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the descriptor was just made, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        // Looked at after the handle was taken: what lives now is what the handle is on.
        Ok(self.is_alive().then_some(Handle { fd, pid: self.pid }))
    }
}

/// A handle on a process.
#[derive(Debug)]
pub struct Handle {
    fd: OwnedFd,
    pid: i32,
}

impl Handle {
    /// Sends a signal; a process that has ended is no error.
    ///
    /// # Errors
    /// When it may not be signalled.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> io::Result<()> {
        // SAFETY: the descriptor lives; no siginfo is given, which the kernel fills in itself.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.fd.as_raw_fd(),
                signal as i32,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match Errno::result(sent) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits for its end, at most `budget`; says whether it came. A child of ours is reaped.
    ///
    /// # Errors
    /// When the handle cannot be waited on.
    pub async fn ended(&self, budget: Duration) -> io::Result<bool> {
        // SAFETY: the descriptor is borrowed from the handle, which outlives the registration.
        let waiting = unsafe { AsyncFd::register_with_interest(self.fd.as_fd(), tokio::io::Interest::READABLE) }?;
        match tokio::time::timeout(budget, waiting.readable()).await {
            Err(_) => Ok(false),
            Ok(ready) => {
                ready?.retain_ready();
                // Not ours to reap when another process started it: then there is nothing to do.
                let _ = waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG));
                Ok(true)
            }
        }
    }
}

/// The processes that run the node of the cluster whose state is in `dir`, found by their command line.
///
/// # Errors
/// When /proc cannot be listed.
pub fn nodes_of(dir: &Path) -> io::Result<Vec<Identity>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
            continue;
        };
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let state = words.windows(2).find(|pair| pair[0] == b"--state").map(|pair| pair[1]);
        if words.get(1) == Some(&&b"node"[..])
            && state == Some(dir.as_os_str().as_encoded_bytes())
            && let (Ok(start), Ok(boot)) = (start_time(pid), boot())
        {
            found.push(Identity { pid, start, boot });
        }
    }
    // A node's own children have its command line too, and end with it: it comes first.
    found.sort_by_key(|node| node.start);
    Ok(found)
}

/// Resident memory of a process in bytes.
#[must_use]
pub fn resident(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The children of a process.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .collect()
}

/// The command line of a process as a person would write it.
#[must_use]
pub fn command_line(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn start_time(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; what follows the last parenthesis is field 3 and on.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_whitespace();
    let state = fields.next().unwrap_or("");
    if matches!(state, "Z" | "X") {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    fields
        .nth(18)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has an unknown form")))
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn own_process_is_alive_and_another_start_is_not() {
        let own = Identity::own().expect("/proc is there");
        assert!(own.is_alive());
        assert!(!Identity { start: own.start + 1, ..own.clone() }.is_alive());
        assert!(!Identity { boot: "another".into(), ..own }.is_alive());
    }

    #[tokio::test]
    async fn waits_for_an_end() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat starts");
        let pid = i32::try_from(child.id()).expect("a pid");
        let identity =
            Identity { pid, start: start_time(pid).expect("it runs"), boot: boot().expect("/proc is there") };
        let handle = identity.open().expect("a handle").expect("it runs");
        assert!(!handle.ended(Duration::from_millis(1)).await.expect("waiting works"));
        drop(child.stdin.take());
        assert!(handle.ended(Duration::from_secs(10)).await.expect("waiting works"));
        assert!(!identity.is_alive());
        assert!(identity.open().expect("no failure").is_none());
        // The handle has reaped it.
        assert!(child.wait().is_err());
    }
}
