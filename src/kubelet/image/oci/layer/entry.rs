//! One entry of a layer's archive with all that its headers say: long names, pax records, limits. Reading only: nothing is
//! written, and nothing is believed of paths yet.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

/// No honest name or record is longer.
const LONGEST_RECORD: u64 = 1 << 20;
const XATTR: &[u8] = b"SCHILY.xattr.";

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// A symbolic link to this.
    Link(PathBuf),
    /// Another name of this one.
    HardLink(PathBuf),
    Fifo,
    /// A device, which no ordinary user may make.
    Device,
}

/// The headers of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Seconds since 1970.
    pub(super) modified: i64,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What headers before the entry's own say of it.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
    modified: Option<i64>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Ahead {
    /// Takes a header up that belongs to the next entry; false if this is an entry itself.
    pub(super) fn take(&mut self, header: &Header, content: &mut impl Read) -> Result<bool, String> {
        let kind = header.entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(true);
        }
        if !(kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions()) {
            return Ok(false);
        }
        let size = header.size().map_err(|error| error.to_string())?;
        if size > LONGEST_RECORD {
            return Err(format!("a header of {size} bytes is longer than {LONGEST_RECORD}"));
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if kind.is_pax_local_extensions() {
            self.pax(&bytes)?;
            return Ok(true);
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        *(if kind.is_gnu_longname() { &mut self.path } else { &mut self.link }) = Some(bytes);
        Ok(true)
    }

    /// Records of the form `LENGTH KEY=VALUE\n`; values may hold any byte.
    fn pax(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        let broken = || "a pax header is broken".to_owned();
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let digits = std::str::from_utf8(&bytes[..space]).map_err(|_| broken())?;
            let length: usize = digits.parse().map_err(|_| broken())?;
            let record =
                bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            self.record(&record[..equals], &record[equals + 1..]).ok_or_else(broken)?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let text = || std::str::from_utf8(value).ok();
        match key {
            b"path" => self.path = Some(value.to_owned()),
            b"linkpath" => self.link = Some(value.to_owned()),
            b"uid" => self.uid = Some(text()?.parse().ok()?),
            b"gid" => self.gid = Some(text()?.parse().ok()?),
            b"size" => self.size = Some(text()?.parse().ok()?),
            b"mtime" => self.modified = Some(text()?.split('.').next()?.parse().ok()?),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.push((name.to_owned(), value.to_owned()));
                } else if key.starts_with(b"GNU.sparse.") {
                    return None;
                }
            }
        }
        Some(())
    }

    /// The entry, with all that was said of it before.
    pub(super) fn entry(self, header: &Header) -> Result<Entry, String> {
        let path = PathBuf::from(OsString::from_vec(self.path.unwrap_or_else(|| header.path_bytes().into_owned())));
        let named = |problem: &str| format!("entry {}: {problem}", path.display());
        // Where a field is empty, or holds no number, other readers see a zero. Only the size must be right.
        let number = |value: io::Result<u64>| value.unwrap_or(0);
        let link = self.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
        let link = || match &link {
            Some(link) if !link.is_empty() => Ok(PathBuf::from(OsString::from_vec(link.clone()))),
            _ => Err(named("it is a link to nothing")),
        };
        let is_folder = header.path_bytes().ends_with(b"/");
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Folder,
            EntryType::Regular | EntryType::Continuous if is_folder => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Symlink => Kind::Link(link()?),
            EntryType::Link => Kind::HardLink(link()?),
            EntryType::Fifo => Kind::Fifo,
            EntryType::Block | EntryType::Char => Kind::Device,
            other => return Err(named(&format!("entries of type {:?} are not read", char::from(other.as_byte())))),
        };
        let size = header.size().map_err(|error| named(&error.to_string()))?;
        if self.size.is_some_and(|said| said != size) {
            return Err(named("its two sizes differ: files over 8 GiB are not read"));
        }
        Ok(Entry {
            kind,
            size,
            mode: header.mode().unwrap_or(0) & 0o7777,
            uid: self.uid.unwrap_or_else(|| number(header.uid())),
            gid: self.gid.unwrap_or_else(|| number(header.gid())),
            modified: match self.modified {
                Some(seconds) => seconds,
                None => i64::try_from(number(header.mtime())).unwrap_or(0),
            },
            xattrs: self.xattrs,
            path,
        })
    }
}

/// The path within the layer. One that would leave it is refused.
pub(super) fn within(path: &Path) -> Result<PathBuf, String> {
    use std::path::Component;
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            _ => return Err(format!("entry {} leads out of the image", path.display())),
        }
    }
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_are_refused() {
        assert_eq!(within(Path::new("./etc//passwd")), Ok(PathBuf::from("etc/passwd")));
        assert_eq!(within(Path::new("./")), Ok(PathBuf::new()));
        for path in ["/etc/passwd", "../x", "a/../../x", ".."] {
            assert_eq!(within(Path::new(path)), Err(format!("entry {path} leads out of the image")));
        }
    }

    #[test]
    fn pax_records_may_hold_any_byte() {
        let mut ahead = Ahead::default();
        ahead.pax(b"19 path=a long one\n27 SCHILY.xattr.user.a=x\ny\n15 mtime=12.50\n").expect("read");
        assert_eq!(ahead.path.as_deref(), Some(&b"a long one"[..]));
        assert_eq!(ahead.xattrs, [(b"user.a".to_vec(), b"x\ny".to_vec())]);
        assert_eq!(ahead.modified, Some(12));
        for broken in [&b"5"[..], b"99 path=x\n", b"9 path=xy", b"x path=x\n", b"20 GNU.sparse.map=1\n", b"3 a\n"] {
            assert!(Ahead::default().pax(broken).is_err(), "{broken:?}");
        }
    }
}
