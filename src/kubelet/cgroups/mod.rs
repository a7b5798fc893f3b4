//! Control groups: what the kernel holds containers to and counts for them, where this process may make groups. It knows no pods; who
//! cannot make groups watches memory instead.

mod find;
mod v1;
mod v2;

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a container may use, and what it weighs against others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory at most.
    pub memory: Option<u64>,
    /// Thousandths of a CPU at most.
    pub cpu_millis: Option<u64>,
    /// Thousandths of a CPU that it asked for: its weight.
    pub cpu_request_millis: u64,
}

/// What the processes of a group have used and hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Processor time, of processes that have ended too.
    pub(crate) cpu: Duration,
    /// Bytes that the kernel could not give to others at once: Kubernetes' working set.
    pub(crate) memory: u64,
}

/// Where the groups of a place are.
#[derive(Debug)]
pub struct Groups {
    kind: Kind,
    /// Groups that could not be removed yet.
    leaving: Mutex<Vec<PathBuf>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A folder per hierarchy.
    V1(v1::Hierarchies),
    /// The one folder.
    V2(PathBuf),
}

/// The group of one container.
#[derive(Debug)]
pub(crate) struct Group {
    kind: Kind,
    groups: Arc<Groups>,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.groups.leaving.lock().unwrap_or_else(PoisonError::into_inner).extend(self.kind.folders());
        self.groups.sweep();
    }
}

/// All group folders of ours begin with this.
const PREFIX: &str = "tinderbox-";
/// How long the last processes of a place may take to end.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

impl Groups {
    /// Makes the groups of the place whose folder is `state_dir`, after removing what an earlier one left; `None` where this process
    /// may make none. What is made is noted in that folder first, so that it is found again whatever happens.
    #[must_use]
    pub fn open(state_dir: &Path) -> Option<Self> {
        clear(state_dir);
        let kind = find::find(&format!("{PREFIX}{}", mark(state_dir)))?;
        let noted: Vec<_> = kind.folders().iter().map(|path| path.display().to_string()).collect();
        let made = fs::write(record(state_dir), noted.join("\n")).and_then(|()| {
            kind.folders().iter().try_for_each(|folder| {
                remove_tree(folder)?;
                fs::create_dir(folder)
            })?;
            kind.prepare()
        });
        if let Err(error) = made {
            tracing::info!(%error, "no control groups can be made here: memory limits are watched, CPU limits are not held");
            kind.folders().iter().for_each(|folder| drop(remove_tree(folder)));
            return None;
        }
        Some(Self { kind, leaving: Mutex::default() })
    }

    /// What the groups are, in words.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self.kind {
            Kind::V1(_) => "control groups, version 1",
            Kind::V2(_) => "control groups, version 2",
        }
    }

    /// Makes the group of a container, which goes when it is dropped; where processes are still about to end in it, a little later.
    pub(crate) fn add(self: &Arc<Self>, name: &str, limits: &Limits) -> io::Result<Group> {
        self.sweep();
        let group = Group { kind: self.kind.below(name), groups: Arc::clone(self) };
        group.kind.folders().iter().try_for_each(fs::create_dir)?;
        match &group.kind {
            Kind::V1(folders) => v1::limit(folders, limits)?,
            Kind::V2(folder) => v2::limit(folder, limits)?,
        }
        Ok(group)
    }

    fn sweep(&self) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|path| matches!(fs::remove_dir(path), Err(error) if error.kind() != ErrorKind::NotFound));
    }
}

impl Kind {
    fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::V1(folders) => folders.all(),
            Self::V2(folder) => vec![folder.clone()],
        }
    }

    fn below(&self, name: &str) -> Self {
        match self {
            Self::V1(folders) => Self::V1(folders.map(|folder| folder.join(name))),
            Self::V2(folder) => Self::V2(folder.join(name)),
        }
    }

    fn prepare(&self) -> io::Result<()> {
        match self {
            Self::V1(folders) => v1::prepare(folders),
            Self::V2(folder) => v2::prepare(folder),
        }
    }
}

impl Group {
    /// Descriptors for whoever is to join: a process that writes `0` into each of them is in the group.
    pub(crate) fn doors(&self) -> io::Result<Vec<Arc<OwnedFd>>> {
        let open = |folder: PathBuf| {
            OpenOptions::new().write(true).open(folder.join("cgroup.procs")).map(|file| Arc::new(OwnedFd::from(file)))
        };
        self.kind.folders().into_iter().map(open).collect()
    }

    /// Whether the kernel ends all of its processes when it ends one for want of memory; version 1 cannot.
    pub(crate) fn ends_as_a_whole(&self) -> bool {
        matches!(self.kind, Kind::V2(_))
    }

    /// How many of its processes the kernel has killed for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let (file, key) = match &self.kind {
            Kind::V1(folders) => (folders.memory.join("memory.oom_control"), "oom_kill"),
            Kind::V2(folder) => (folder.join("memory.events"), "oom_kill"),
        };
        fs::read_to_string(file).ok().and_then(|text| field(&text, key)).unwrap_or_default()
    }

    /// What it uses; `None` when it is gone.
    pub(crate) fn used(&self) -> Option<Used> {
        match &self.kind {
            Kind::V1(folders) => v1::used(folders),
            Kind::V2(folder) => v2::used(folder),
        }
    }
}

/// Where the groups of a place would be, there or not; none where this process can make none.
#[must_use]
pub fn folders(state_dir: &Path) -> Vec<PathBuf> {
    find::find(&format!("{PREFIX}{}", mark(state_dir))).map(|kind| kind.folders()).unwrap_or_default()
}

/// Removes what a place that has ended, or is about to, left: what its folder tells, and what it would be called where the folder tells
/// nothing any more.
pub fn clear(state_dir: &Path) {
    let noted = fs::read_to_string(record(state_dir)).unwrap_or_default();
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(PREFIX))
    };
    let mut failure = None;
    for path in noted.lines().map(PathBuf::from).filter(ours).chain(folders(state_dir)) {
        failure = remove_when_empty(&path).err().or(failure);
    }
    match failure {
        // Then the next start finds it again.
        Some(error) => tracing::warn!(%error, "cannot remove a control group"),
        // What is read again does no harm.
        None => drop(fs::remove_file(record(state_dir))),
    }
}

/// The kernel ends processes in its own time.
fn remove_when_empty(path: &Path) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match remove_tree(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && began.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn record(state_dir: &Path) -> PathBuf {
    state_dir.join("cgroups")
}

/// Tells places apart: a number that follows from the folder (FNV-1a).
fn mark(state_dir: &Path) -> String {
    let hash = state_dir.as_os_str().as_encoded_bytes().iter();
    let hash =
        hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Removes a group with all groups in it.
fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(entries) => {
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                remove_tree(&entry.path())?;
            }
        }
    }
    fs::remove_dir(folder)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
        .map_err(|error| io::Error::new(error.kind(), format!("write {text:?} to {}: {error}", path.display())))
}

/// The number behind a key, in a file of lines of both.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What Docker and Kubernetes make of thousandths of a CPU: 1024 is one.
fn shares(millis: u64) -> u64 {
    (millis * 1024 / 1000).clamp(2, 262_144)
}

#[cfg(test)]
mod tests;
