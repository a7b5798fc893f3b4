//! The folder of a store: a lock, and files by generation. Generation `g` is the snapshot `g` and the log `g` of what came
//! after it (generation 0 has a log only); the newest snapshot decides which generation counts.
//!
//! To move on, the next snapshot is written under a temporary name, the next log is made, both and the folder are synced, and
//! then the snapshot gets its name. Before that moment the old generation is whole and counts; after it the new one does.

mod frame;
mod log;
pub(crate) mod record;
mod snapshot;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use self::log::Log;
use self::record::Record;
use crate::state::{State, Write};
use crate::{OpenError, Stored};

/// A log shorter than this is never replaced.
const LOG_LEAST: u64 = 1 << 20;
/// A log is replaced when it is longer than so many times the live objects.
const LOG_FACTOR: u64 = 4;

/// An open folder. No other process can open it as long as this lives.
pub(crate) struct Folder {
    dir: PathBuf,
    generation: u64,
    log: Log,
    /// Length of the log at which the next snapshot is tried, after one failed.
    retry_at: u64,
    buffer: Vec<u8>,
    _lock: Lock,
}

impl Folder {
    /// Locks the folder, brings the state up to what the files hold, and removes what a crash left over.
    pub(crate) fn open(dir: &Path, state: &mut State) -> Result<Self, OpenError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(OpenError::io("create", dir))?;
        let lock = lock(dir)?;
        let found = Found::look(dir)?;
        let log_path = dir.join(log_name(found.generation));
        if found.has_snapshot {
            let path = dir.join(snapshot_name(found.generation));
            let revision = snapshot::read(&path, |object| state.load(object))?;
            state.start_at(revision);
        } else if !log_path.exists() {
            if let Some(log) = found.stale_log() {
                return Err(OpenError::corrupt(log, 0, "its snapshot is missing"));
            }
            create_first(dir, &log_path, state.revision())?;
        }
        let log = Log::open(&log_path, state.revision(), |record| replay(state, record))?;
        for path in found.stale {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(OpenError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            generation: found.generation,
            log,
            retry_at: 0,
            buffer: Vec::new(),
            _lock: lock,
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes one frame with the payload that `fill` makes, and syncs it. All of it or nothing.
    pub(crate) fn append(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.buffer.clear();
        let start = frame::begin(&mut self.buffer);
        fill(&mut self.buffer);
        if !frame::finish(&mut self.buffer, start) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.log.append(&self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(64 << 10);
        written
    }

    /// Whether anything was written since the snapshot.
    pub(crate) fn has_changes(&self) -> bool {
        self.log.length() > frame::HEADER as u64
    }

    /// Whether the log is much longer than a snapshot would be.
    pub(crate) fn wants_snapshot(&self, live_bytes: u64) -> bool {
        let limit = live_bytes.saturating_mul(LOG_FACTOR).max(LOG_LEAST);
        self.log.length() > limit.max(self.retry_at)
    }

    /// Goes on to the next generation. When that fails, the present one goes on.
    pub(crate) fn rotate(&mut self, revision: u64, objects: &[Arc<Stored>]) -> io::Result<()> {
        let next = self.generation + 1;
        let temporary = self.dir.join(format!("{}.new", snapshot_name(next)));
        let snapshot_path = self.dir.join(snapshot_name(next));
        let log_path = self.dir.join(log_name(next));
        let made = snapshot::write(&temporary, revision, objects)
            .and_then(|()| Log::create(&log_path, revision))
            .and_then(|log| {
                sync_dir(&self.dir)?;
                fs::rename(&temporary, &snapshot_path)?;
                Ok(log)
            });
        let log = match made {
            Ok(log) => log,
            Err(error) => {
                // What stays is removed by the next open.
                let _ = fs::remove_file(&temporary);
                let _ = fs::remove_file(&log_path);
                self.retry_at = self.log.length() + LOG_LEAST;
                return Err(error);
            }
        };
        let old_log = self.log.path().to_owned();
        let old_snapshot = self.dir.join(snapshot_name(self.generation));
        self.log = log;
        self.generation = next;
        self.retry_at = 0;
        // The old files go only when the new name is safe; leftovers are removed by the next open.
        sync_dir(&self.dir)?;
        let _ = fs::remove_file(old_log);
        let _ = fs::remove_file(old_snapshot);
        Ok(())
    }
}

/// The lock of a folder.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started may hold a copy until it runs its program.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn lock(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(OpenError::io("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse { dir: dir.to_owned() }),
        Err(error) => Err(OpenError::io("lock", &path)(error.into())),
    }
}

fn create_first(dir: &Path, path: &Path, revision: u64) -> Result<(), OpenError> {
    let temporary = path.with_extension("new");
    Log::create(&temporary, revision)
        .and_then(|_| fs::rename(&temporary, path))
        .and_then(|()| sync_dir(dir))
        .map_err(OpenError::io("create", path))
}

fn replay(state: &mut State, record: Record) -> Result<u64, &'static str> {
    let write = match record {
        Record::Put(object) => {
            let key = state.intern(object.key.clone());
            Write::Put(Arc::new(Stored { key, ..object }))
        }
        Record::Delete { key, revision } => {
            let last = state.get(&key).ok_or("the deletion of an object that is not there")?;
            Write::Delete(Arc::new(Stored { revision, ..(**last).clone() }))
        }
        Record::End { .. } => return Err("the end of a snapshot in a log"),
    };
    state.apply(&write);
    Ok(write.object().revision)
}

/// What is in a folder.
struct Found {
    generation: u64,
    has_snapshot: bool,
    /// Files of other generations.
    stale: Vec<PathBuf>,
}

impl Found {
    fn look(dir: &Path) -> Result<Self, OpenError> {
        let failed = || OpenError::io("read", dir);
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            names.extend(entry.file_name().into_string());
        }
        let newest = names.iter().filter_map(|name| generation(name, "snapshot-")).max();
        let generation = newest.unwrap_or(0);
        let keep = [log_name(generation), snapshot_name(generation)];
        let stale = names
            .iter()
            .filter(|name| (name.starts_with("log-") || name.starts_with("snapshot-")) && !keep.contains(name))
            .map(|name| dir.join(name))
            .collect();
        Ok(Self { generation, has_snapshot: newest.is_some(), stale })
    }
}

impl Found {
    fn stale_log(&self) -> Option<&Path> {
        let is_log = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| generation(name, "log-").is_some())
        };
        self.stale.iter().find(is_log).map(PathBuf::as_path)
    }
}

fn generation(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

fn snapshot_name(generation: u64) -> String {
    format!("snapshot-{generation:016x}")
}

fn log_name(generation: u64) -> String {
    format!("log-{generation:016x}")
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
