//! Unpacks one layer of an image into a folder of its own, rootless, upon the layers below it. An archive comes from strangers:
//! nothing of it is written outside that folder, and sizes have limits. It must not know images, names or registries.

mod entry;
#[cfg(test)]
mod tests;
pub(super) mod tree;
mod write;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::entry::Ahead;
use self::write::Writer;
pub(super) use self::write::try_marks;
use super::digest::{Digest, Summed};
use crate::sandbox::HostIds;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of a layer, unpacked.
    pub(super) bytes: u64,
    /// Bytes unpacked for each packed one, once a layer has more than [`Limits::free`].
    pub(super) ratio: u64,
    /// Bytes that a layer may always have.
    pub(super) free: u64,
    /// Files, folders and links of a layer.
    pub(super) entries: u64,
}

impl Limits {
    /// Beyond every honest image.
    pub(super) const USUAL: Self = Self { bytes: 64 << 30, ratio: 200, free: 1 << 30, entries: 4_000_000 };

    /// Bytes that a layer of this packed size may have.
    fn most(&self, packed: u64) -> u64 {
        self.bytes.min(self.free.max(packed.saturating_mul(self.ratio)))
    }
}

/// Why a layer could not be unpacked.
#[derive(Debug)]
pub(super) enum Problem {
    /// The archive is at fault.
    Archive(String),
    /// The disk is.
    Disk(io::Error),
}

/// Unpacks the archive `packed`, whose packed size is `size`, into the empty folder `into`. `below` are the unpacked layers below,
/// topmost first. Returns the sum of the unpacked archive.
pub(super) fn unpack(
    packed: impl Read,
    size: u64,
    into: &Path,
    below: &[PathBuf],
    ids: HostIds,
    limits: &Limits,
) -> Result<Digest, Problem> {
    let reader = super::decompress::reader(packed).map_err(archive)?;
    let most = limits.most(size);
    let mut bounded = Bounded { inner: Summed::new(reader), most };
    let mut writer = Writer::new(into, below, ids).map_err(Problem::Disk)?;
    let mut tar = tar::Archive::new(&mut bounded);
    let mut ahead = Ahead::default();
    let mut count = 0;
    for entry in tar.entries().map_err(archive)?.raw(true) {
        let mut content = entry.map_err(archive)?;
        let header = content.header().clone();
        if ahead.take(&header, &mut content).map_err(Problem::Archive)? {
            continue;
        }
        count += 1;
        if count > limits.entries {
            return Err(Problem::Archive(format!("it has more than {} entries", limits.entries)));
        }
        let entry = std::mem::take(&mut ahead).entry(&header).map_err(Problem::Archive)?;
        let path = entry::within(&entry.path).map_err(Problem::Archive)?;
        writer.write(&path, &entry, &mut content).map_err(|error| of_entry(&entry.path, error))?;
    }
    writer.finish().map_err(Problem::Disk)?;
    // What stands behind the last entry counts for the sum.
    io::copy(&mut bounded, &mut io::sink()).map_err(archive)?;
    Ok(bounded.inner.digest())
}

fn archive(error: io::Error) -> Problem {
    Problem::Archive(super::decompress::problem(&error))
}

/// An error about one entry is the archive's, unless it is one that only a disk has.
fn of_entry(path: &Path, error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => {
            Problem::Disk(error)
        }
        io::ErrorKind::UnexpectedEof => Problem::Archive(format!("it is cut off in entry {}", path.display())),
        _ => Problem::Archive(format!("entry {}: {error}", path.display())),
    }
}

/// Refuses to read more than a limit.
struct Bounded<R> {
    inner: Summed<R>,
    most: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if self.inner.count() > self.most {
            return Err(io::Error::other(format!(
                "it unpacks to more than {} bytes, which no honest layer does",
                self.most
            )));
        }
        Ok(read)
    }
}
