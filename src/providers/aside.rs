//! Processes of ours beside a cluster, as the one that runs the platform where the place does not: started once, detached from
//! terminal and session, found again by their identity, ended with the cluster. What they do is theirs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use crate::embedded::process::Identity;
use crate::embedded::{program, tail};
use crate::folder::{Folder, replace};
use crate::{Class, Error};

/// How long such a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long it may take until it works.
const START: Duration = Duration::from_secs(60);
/// The word by which it says that it works.
const READY: &str = "ready";
/// Lines of its log that explain why it does not.
const TAIL: usize = 12;

/// This program, to be run detached from terminal and session.
///
/// # Errors
/// When it is not there.
pub fn detached() -> Result<(PathBuf, Command), Error> {
    let program = program()?;
    let mut command = Command::new(&program);
    command.arg0("xtask").stdin(Stdio::null());
    // SAFETY: between fork and exec one system call is made, which touches no memory.
    unsafe {
        command.pre_exec(|| Ok(nix::unistd::setsid().map(|_| ())?));
    }
    Ok((program, command))
}

/// One such process of a cluster.
#[derive(Debug, Clone)]
pub struct Aside {
    folder: Folder,
    part: &'static str,
}

impl Aside {
    /// The process that is the verb `part` of the command line.
    #[must_use]
    pub fn new(folder: &Folder, part: &'static str) -> Self {
        Self { folder: folder.clone(), part }
    }

    /// What it says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.part))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.json", self.part))
    }

    /// The process, if it runs.
    #[must_use]
    pub fn find(&self) -> Option<Identity> {
        let noted: Identity = serde_json::from_slice(&fs::read(self.file()).ok()?).ok()?;
        noted.is_alive().then_some(noted)
    }

    /// Sees to it that it runs and works, and gives its number; of several callers at once one starts it.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it works.
    pub async fn start(&self, arguments: &[String]) -> Result<i32, Error> {
        let path = self.folder.path().join(format!("{}.lock", self.part));
        let locked = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
                file.lock()?;
                Ok::<File, io::Error>(file)
            }
        });
        let locked = locked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let _lock = locked.map_err(|source| Error::File { act: "lock", path, source })?;
        if let Some(running) = self.find() {
            return Ok(running.pid);
        }
        let (program, mut command) = detached()?;
        let fail = |source| Error::Spawn { program: program.clone(), source };
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(self.log()).map_err(fail)?;
        let (reader, writer) = io::pipe().map_err(fail)?;
        command
            .args([self.part, "--name", self.folder.name(), "--state"])
            .arg(self.folder.path())
            .args(arguments)
            // As the node process: huge pages take memory for room that is never used.
            .env("MIMALLOC_ALLOW_THP", "0")
            .current_dir("/")
            .stdout(writer)
            .stderr(log);
        let mut child = command.spawn().map_err(fail)?;
        // The command holds our copy of the pipe's end: without it the pipe ends with the process.
        drop(command);
        let mut words = BufReader::new(pipe::Receiver::from_owned_fd(reader.into()).map_err(fail)?);
        let mut said = String::new();
        let read = tokio::time::timeout(START, words.read_line(&mut said)).await;
        if matches!(read, Ok(Ok(_))) && said.trim() == READY {
            return Ok(i32::try_from(child.id()).unwrap_or_default());
        }
        let _ = child.kill();
        let _ = child.wait();
        let why = if read.is_err() {
            format!("it did not work within {} s", START.as_secs())
        } else {
            said.trim().to_owned()
        };
        let lines = if why.is_empty() { tail(&self.log(), TAIL).join("\n  ") } else { why };
        Err(Error::Compose {
            act: format!("start the {} of cluster {}", self.part, self.folder.name()),
            source: lines.into(),
            hint: Some(format!("its log is {}", self.log().display())),
            class: Class::Failed,
        })
    }

    /// Ends it; says whether it ran.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> Result<bool, Error> {
        let Some(running) = self.find() else {
            return Ok(false);
        };
        let fail = |source| Error::Kill { pid: running.pid, source };
        let Some(handle) = running.open().map_err(fail)? else {
            return Ok(false);
        };
        handle.signal(Signal::SIGTERM).map_err(fail)?;
        if !handle.ended(GRACE).await.map_err(fail)? {
            handle.signal(Signal::SIGKILL).map_err(fail)?;
            if !handle.ended(GRACE).await.map_err(fail)? {
                return Err(fail(io::Error::from(io::ErrorKind::TimedOut)));
            }
        }
        Ok(true)
    }

    /// Notes the calling process as this one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn enter(&self) -> Result<(), Error> {
        let path = self.file();
        let fail = |source| Error::File { act: "write", path: path.clone(), source };
        let own = Identity::own().map_err(fail)?;
        let text = serde_json::to_vec(&own).map_err(|error| fail(io::Error::other(error)))?;
        replace(&path, &text).map_err(fail)
    }

    /// Tells the one who started the calling process that it works.
    pub fn ready(&self) {
        // Nobody listens to a process that was started by hand.
        let _ = writeln!(io::stdout(), "{READY}");
    }

    /// Whether the calling process is still the one that is noted: another one, or a folder that is gone, ends it.
    #[must_use]
    pub fn still(&self) -> bool {
        self.find().is_some_and(|noted| Identity::own().is_ok_and(|own| own == noted))
    }
}
