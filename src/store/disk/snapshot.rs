//! Snapshots: every object at one revision. Written to a file of another name first, so that one is always whole or absent;
//! a broken one is an error, never a shorter list.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::frame::{self, HEADER, Kind, Parsed};
use super::record::{self, Record};
use crate::{OpenError, Stored};

/// Bytes in one frame, roughly.
const FRAME_BYTES: usize = 256 << 10;

/// Writes and syncs a snapshot.
pub(super) fn write(path: &Path, revision: u64, objects: &[Arc<Stored>]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut buffer = frame::header(Kind::Snapshot, revision);
    let mut rest = objects.iter().peekable();
    while rest.peek().is_some() {
        let start = frame::begin(&mut buffer);
        while buffer.len() < FRAME_BYTES
            && let Some(object) = rest.next()
        {
            record::put(&mut buffer, object);
        }
        flush(&mut file, &mut buffer, start)?;
    }
    let start = frame::begin(&mut buffer);
    record::end(&mut buffer, objects.len() as u64);
    flush(&mut file, &mut buffer, start)?;
    file.sync_all()
}

fn flush(file: &mut impl Write, buffer: &mut Vec<u8>, start: usize) -> io::Result<()> {
    if !frame::finish(buffer, start) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.write_all(buffer)?;
    buffer.clear();
    Ok(())
}

/// Reads a snapshot; returns its revision.
pub(super) fn read(path: &Path, mut load: impl FnMut(Stored)) -> Result<u64, OpenError> {
    let data = std::fs::read(path).map_err(OpenError::io("read", path))?;
    let revision = frame::parse_header(Kind::Snapshot, path, &data)?;
    let mut at = HEADER;
    let mut count = 0;
    loop {
        let broken = |what: &str| OpenError::corrupt(path, at as u64, what);
        let (mut payload, next) = match frame::parse(&data, at) {
            Parsed::Frame { payload, next } => (payload, next),
            Parsed::End => return Err(broken("the snapshot ends too early")),
            Parsed::Broken(what) => return Err(broken(what)),
        };
        while !payload.is_empty() {
            match record::take(&mut payload) {
                Some(Record::Put(object)) if object.revision <= revision => {
                    count += 1;
                    load(object);
                }
                Some(Record::End { objects }) if objects == count && next == data.len() => {
                    return Ok(revision);
                }
                _ => return Err(broken("a record that does not belong here")),
            }
        }
        at = next;
    }
}
