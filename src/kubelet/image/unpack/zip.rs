//! Reading ZIP files as wheels are: a central directory, entries stored or deflated, no encryption, no parts, no ZIP64.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;

use super::{FetchError, safe, write};

const END: [u8; 4] = *b"PK\x05\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// An entry of the central directory.
struct Entry<'a> {
    name: &'a str,
    method: u16,
    sum: u32,
    packed: usize,
    size: usize,
    local: usize,
    executable: bool,
}

/// Unpacks every file of a wheel.
pub(super) fn unpack(archive: &Path, into: &Path) -> Result<(), FetchError> {
    let data = fs::read(archive).map_err(FetchError::io("read", archive))?;
    let broken = |problem: &str| FetchError::Archive { archive: archive.to_owned(), problem: problem.to_owned() };
    for entry in entries(&data).ok_or_else(|| broken("it is not a whole ZIP file"))? {
        if entry.name.ends_with('/') {
            continue;
        }
        let packed = content(&data, &entry).ok_or_else(|| broken("an entry stands outside of it"))?;
        let mut unpacked = Vec::with_capacity(entry.size.min(data.len().saturating_mul(4)));
        match entry.method {
            STORED => unpacked.extend_from_slice(packed),
            DEFLATED => {
                // One byte more than promised, to see that there are more.
                let mut reader = DeflateDecoder::new(packed).take(entry.size as u64 + 1);
                reader.read_to_end(&mut unpacked).map_err(|error| broken(&error.to_string()))?;
            }
            _ => return Err(broken("an entry is packed in an unknown way")),
        }
        let mut hasher = flate2::Crc::new();
        hasher.update(&unpacked);
        if unpacked.len() != entry.size || hasher.sum() != entry.sum {
            return Err(broken(&format!("the sum of {} is wrong", entry.name)));
        }
        let target = into.join(safe(archive, Path::new(entry.name))?);
        write(&target, &mut &unpacked[..], entry.executable, entry.size as u64)?;
    }
    Ok(())
}

/// The names of the files at the top of a ZIP file, of which only the end is read.
pub(in crate::image) fn top_names(archive: &Path) -> io::Result<Vec<String>> {
    let broken =
        || io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a whole ZIP file", archive.display()));
    let mut file = fs::File::open(archive)?;
    let length = file.metadata()?.len();
    // An end record with the longest comment fits.
    let tail_start = length.saturating_sub(22 + 0xffff);
    let tail = read_from(&mut file, tail_start)?;
    let end = tail.windows(4).rposition(|window| window == END).ok_or_else(broken)?;
    let directory_start = u64::from(u32_at(&tail, end + 16).ok_or_else(broken)?);
    let mut data = read_from(&mut file, directory_start)?;
    // As if the directory were all there is.
    let end = data.len() - (tail.len() - end);
    data[end + 16..end + 20].fill(0);
    let names = entries(&data).ok_or_else(broken)?;
    Ok(names.iter().filter(|entry| !entry.name.contains('/')).map(|entry| entry.name.to_owned()).collect())
}

fn read_from(file: &mut fs::File, start: u64) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut data)?;
    Ok(data)
}

fn entries(data: &[u8]) -> Option<Vec<Entry<'_>>> {
    // The end record is the last thing but for a comment.
    let end = data.windows(4).rposition(|window| window == END)?;
    let count = u16_at(data, end + 10)?;
    let mut at = u32_at(data, end + 16)? as usize;
    let mut entries = Vec::new();
    for _ in 0..count {
        if data.get(at..at + 4)? != ENTRY {
            return None;
        }
        let name_length = u16_at(data, at + 28)? as usize;
        let rest = u16_at(data, at + 30)? as usize + u16_at(data, at + 32)? as usize;
        entries.push(Entry {
            name: std::str::from_utf8(data.get(at + 46..at + 46 + name_length)?).ok()?,
            method: u16_at(data, at + 10)?,
            sum: u32_at(data, at + 16)?,
            packed: u32_at(data, at + 20)? as usize,
            size: u32_at(data, at + 24)? as usize,
            local: u32_at(data, at + 42)? as usize,
            executable: (u32_at(data, at + 38)? >> 16) & 0o100 != 0,
        });
        at += 46 + name_length + rest;
    }
    Some(entries)
}

fn content<'a>(data: &'a [u8], entry: &Entry<'_>) -> Option<&'a [u8]> {
    if data.get(entry.local..entry.local + 4)? != LOCAL {
        return None;
    }
    let names = u16_at(data, entry.local + 26)? as usize + u16_at(data, entry.local + 28)? as usize;
    let start = entry.local + 30 + names;
    data.get(start..start + entry.packed)
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}
