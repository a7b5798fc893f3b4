//! Starting the node process: detached from terminal and session, its words in `node.log`, and a pipe through which it says
//! when it is ready. A start that is given up takes the process with it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use super::handshake::{FDS, Message, keep_over_exec};
use crate::folder::{Folder, Held};
use crate::{Error, Talk};

/// Lines of the log that explain a node that ended without a word.
const TAIL: usize = 12;

/// A node process that is not ready yet. Dropped, it is killed, and then a fresh folder goes too.
#[derive(Debug)]
pub(super) struct Newborn {
    child: Option<Child>,
    words: BufReader<pipe::Receiver>,
    folder: Folder,
    held: Held,
}

/// What a node process said when it was ready.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) pid: i32,
    pub(super) port: u16,
    pub(super) ingress_port: u16,
    pub(super) notes: Vec<String>,
}

impl Newborn {
    /// Starts the process. It holds the folder's lock, as we do, until it is ready or gone.
    pub(super) fn new(program: &Path, folder: &Folder, held: Held) -> Result<Self, Error> {
        let fail = |source| Error::Spawn { program: program.to_owned(), source };
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(folder.log()).map_err(fail)?;
        let (reader, writer) = io::pipe().map_err(fail)?;
        let writer = OwnedFd::from(writer);
        let lock = held.lock.0.try_clone().map_err(fail)?;
        let mut command = Command::new(program);
        command
            .arg0("xtask")
            .args(["node", "--name", folder.name(), "--state"])
            .arg(folder.path())
            .env(FDS, format!("{},{}", writer.as_raw_fd(), lock.as_raw_fd()))
            // Huge pages take a third of the node's memory for room that it never uses; pods get them back.
            .env("MIMALLOC_ALLOW_THP", "0")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(fail)?)
            .stderr(log);
        // SAFETY: between fork and exec only system calls are made, on descriptors that this function keeps open.
        unsafe {
            command.pre_exec({
                let (writer, lock) = (writer.as_raw_fd(), lock.as_raw_fd());
                move || {
                    nix::unistd::setsid()?;
                    keep_over_exec(&writer)?;
                    keep_over_exec(&lock)
                }
            });
        }
        let child = command.spawn().map_err(fail)?;
        let words = pipe::Receiver::from_owned_fd(reader.into()).map_err(fail)?;
        Ok(Self { child: Some(child), words: BufReader::new(words), folder: folder.clone(), held })
    }

    /// Waits until it says that it is ready, and lets it go.
    pub(super) async fn ready(mut self, talk: &Talk) -> Result<Ready, Error> {
        loop {
            let mut line = String::new();
            // A pipe that breaks says as much as one that ends.
            let read = self.words.read_line(&mut line).await;
            if !read.is_ok_and(|count| count > 0) {
                return Err(self.ended());
            }
            let message = match serde_json::from_str(&line) {
                Ok(message) => message,
                Err(_) => return Err(self.ended()),
            };
            match message {
                Message::Step(step) => talk.say(&step),
                Message::Ready { port, ingress_port, notes } => {
                    let pid = self.child.take().map_or(0, |child| child.id());
                    self.held.keep();
                    return Ok(Ready { pid: i32::try_from(pid).unwrap_or_default(), port, ingress_port, notes });
                }
                failed @ Message::Failed { .. } => {
                    return Err(failed.into_error().unwrap_or_else(|| self.ended()));
                }
            }
        }
    }

    fn ended(&mut self) -> Error {
        // Its end of the pipe is closed: it is ending, or has lost its way.
        let how = self.end().map_or_else(|| "unknown".to_owned(), in_words);
        Error::NodeEnded { how, tail: tail(&self.folder.log(), TAIL) }
    }

    /// Ends the process, unless that was done or it is ready, and removes its control groups, which it cannot do any more.
    fn end(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let _ = child.kill();
        let status = child.wait();
        tinderbox_kubelet::cgroups::clear(self.folder.path());
        status.ok()
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        self.end();
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// The last lines of a file; none when it cannot be read.
pub(crate) fn tail(path: &Path, lines: usize) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}
