//! The pieces that files are made of: a header that says what a file is, then frames of mark, length, checksum and payload.
//! One frame is written and synced at a time, so that only the last one can be torn.

use std::path::Path;

use crate::OpenError;

/// The newest format that is known, and the one that is written.
pub(crate) const FORMAT: u32 = 1;
/// Length of a file's header: magic, format, revision, checksum.
pub(crate) const HEADER: usize = 8 + 4 + 8 + 4;

/// Bytes that no text contains, so that a frame can be found again after a broken one.
const MARK: [u8; 4] = [0xf7, b'T', b'B', 0xff];
const FRAME: usize = 4 + 4 + 4;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Log,
    Snapshot,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Log => b"TNDRLOG\n",
            Self::Snapshot => b"TNDRSNP\n",
        }
    }
}

/// The header of a file that starts at a revision.
pub(crate) fn header(kind: Kind, revision: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(kind.magic());
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&revision.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The revision in the header of a file.
pub(crate) fn parse_header(kind: Kind, path: &Path, data: &[u8]) -> Result<u64, OpenError> {
    let what = match kind {
        Kind::Log => "this is not the header of a log",
        Kind::Snapshot => "this is not the header of a snapshot",
    };
    let broken = || OpenError::corrupt(path, 0, what);
    if data.get(..8) != Some(kind.magic()) {
        return Err(broken());
    }
    let format = read_u32(data, 8).ok_or_else(broken)?;
    if format > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    let sum = read_u32(data, 20).ok_or_else(broken)?;
    if sum != crc32fast::hash(&data[..20]) || format != FORMAT {
        return Err(broken());
    }
    data[12..20].try_into().map(u64::from_le_bytes).map_err(|_| broken())
}

/// Starts a frame at the end of `out`; what follows until [`finish`] is its payload.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[0; FRAME - MARK.len()]);
    start
}

/// Fills in length and checksum. `false` when the payload is too long for a frame.
pub(crate) fn finish(out: &mut [u8], start: usize) -> bool {
    let Ok(length) = u32::try_from(out.len() - start - FRAME) else {
        return false;
    };
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&out[start + 4..start + 8], &out[start + FRAME..]);
    out[start + 8..start + 12].copy_from_slice(&sum.to_le_bytes());
    true
}

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// The data ends here.
    End,
    /// A whole frame, and where the next one starts.
    Frame { payload: &'a [u8], next: usize },
    /// Something else, and what is wrong with it.
    Broken(&'static str),
}

/// Looks at the frame that starts at `at`.
pub(crate) fn parse(data: &[u8], at: usize) -> Parsed<'_> {
    let rest = &data[at..];
    if rest.is_empty() {
        return Parsed::End;
    }
    if rest.len() < FRAME {
        return Parsed::Broken("an incomplete record");
    }
    if rest[..4] != MARK {
        return Parsed::Broken("no record starts here");
    }
    let (Some(length), Some(sum)) = (read_u32(rest, 4), read_u32(rest, 8)) else {
        return Parsed::Broken("an incomplete record");
    };
    let length = length as usize;
    let Some(payload) = rest.get(FRAME..FRAME + length) else {
        return Parsed::Broken("an incomplete record");
    };
    if sum != checksum(&rest[4..8], payload) {
        return Parsed::Broken("a record with a wrong checksum");
    }
    Parsed::Frame { payload, next: at + FRAME + length }
}

/// Whether any whole frame stands after `at`.
pub(crate) fn any_after(data: &[u8], at: usize) -> bool {
    let first = MARK[0];
    (at + 1..data.len())
        .filter(|start| data[*start] == first)
        .any(|start| matches!(parse(data, start), Parsed::Frame { .. }))
}

fn checksum(length: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(payload);
    hasher.finalize()
}

fn read_u32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}
