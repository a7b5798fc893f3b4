//! The write-ahead log: frames of changes, each synced before anybody is told. It tells a torn end from a broken middle.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::frame::{self, HEADER, Kind, Parsed};
use super::record::{self, Record};
use crate::OpenError;

/// An open log, ready to be appended to.
pub(super) struct Log {
    file: File,
    path: PathBuf,
    /// Up to here everything is whole and synced.
    length: u64,
    /// Something may stand behind that, left by a failed write.
    dirty: bool,
}

impl Log {
    /// Makes a log for what comes after a revision, and syncs it.
    pub(super) fn create(path: &Path, revision: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all_at(&frame::header(Kind::Log, revision), 0)?;
        file.sync_all()?;
        Ok(Self { file, path: path.to_owned(), length: HEADER as u64, dirty: false })
    }

    /// Reads a log that continues after `revision`, hands over its records in order, and cuts off a torn end.
    pub(super) fn open(
        path: &Path,
        mut revision: u64,
        mut apply: impl FnMut(Record) -> Result<u64, &'static str>,
    ) -> Result<Self, OpenError> {
        let data = std::fs::read(path).map_err(OpenError::io("read", path))?;
        if frame::parse_header(Kind::Log, path, &data)? != revision {
            let what = "the log does not continue the snapshot";
            return Err(OpenError::corrupt(path, 0, what));
        }
        let mut at = HEADER;
        loop {
            match frame::parse(&data, at) {
                Parsed::End => break,
                Parsed::Frame { mut payload, next } => {
                    let broken = |what| OpenError::corrupt(path, at as u64, what);
                    while !payload.is_empty() {
                        let record =
                            record::take(&mut payload).ok_or_else(|| broken("a record that says nothing known"))?;
                        let found = apply(record).map_err(broken)?;
                        if found != revision + 1 {
                            return Err(broken("a record out of order"));
                        }
                        revision = found;
                    }
                    at = next;
                }
                Parsed::Broken(what) => {
                    if frame::any_after(&data, at) {
                        let what = format!("{what}, and more records follow");
                        return Err(OpenError::corrupt(path, at as u64, what));
                    }
                    tracing::warn!(
                        log = %path.display(), offset = at, bytes = data.len() - at,
                        "dropped the torn end of the log: a write that was never acknowledged"
                    );
                    break;
                }
            }
        }
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(OpenError::io("open", path))?;
        let mut log = Self { file, path: path.to_owned(), length: at as u64, dirty: at < data.len() };
        log.clean().map_err(OpenError::io("shorten", path))?;
        Ok(log)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends a frame and syncs it. When that fails, nothing of it is left.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.clean()?;
        self.dirty = true;
        let written = self.file.write_all_at(frame, self.length).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += frame.len() as u64;
                self.dirty = false;
                Ok(())
            }
            Err(error) => {
                // If this fails too, the next write tries again before it does anything else.
                let _ = self.clean();
                Err(error)
            }
        }
    }

    fn clean(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.length)?;
            self.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }
}
