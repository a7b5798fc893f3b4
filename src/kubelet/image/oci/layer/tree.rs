//! What a stack of unpacked layers shows as one tree: names looked up from the top down, whiteouts and opaque folders heeded,
//! symbolic links followed within. The kernel never follows a link here: every step is one name below one open folder.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;
/// Marks a folder that hides what lower layers have in it. The kernel's own name for mounts in user namespaces.
pub(in super::super) const OPAQUE: &str = "user.overlay.opaque";
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The folders of different layers that show as one, topmost first.
pub(in super::super) type Folders = Vec<Rc<OwnedFd>>;

/// What a name stands for.
#[derive(Debug)]
pub(in super::super) enum Found {
    Missing,
    Folder(Folders),
    /// A symbolic link, and where it points.
    Link(PathBuf),
    /// Anything else, in this folder.
    Other {
        folder: Rc<OwnedFd>,
        stat: Box<Stat>,
    },
}

/// A stack of layers, topmost first.
#[derive(Debug)]
pub(in super::super) struct Tree {
    roots: Folders,
}

/// Opens a folder by a trusted path.
pub(in super::super) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, FOLDER, Mode::empty())?)
}

/// Opens a folder by its name in another one.
pub(super) fn open_in(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(folder, name, FOLDER, Mode::empty())?)
}

/// Whether this is the mark that hides a name of lower layers.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn is_opaque(folder: &OwnedFd) -> io::Result<bool> {
    let mut value = [0; 1];
    match rustix::fs::fgetxattr(folder, OPAQUE, &mut value) {
        Ok(read) => Ok(read == 1 && value == *b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Looks one name up.
fn step(folders: &[Rc<OwnedFd>], name: &OsStr) -> io::Result<Found> {
    let mut found = Vec::new();
    for folder in folders {
        let stat = match rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let inner = open_in(folder, name)?;
                let opaque = is_opaque(&inner)?;
                found.push(Rc::new(inner));
                if opaque {
                    break;
                }
            }
            // Something else ends what lower folders show, and is itself hidden by a folder above it.
            _ if !found.is_empty() || is_whiteout(&stat) => break,
            FileType::Symlink => {
                let to = rustix::fs::readlinkat(folder, name, Vec::new())?;
                return Ok(Found::Link(PathBuf::from(OsStr::from_bytes(to.as_bytes()))));
            }
            _ => return Ok(Found::Other { folder: folder.clone(), stat: Box::new(stat) }),
        }
    }
    Ok(if found.is_empty() { Found::Missing } else { Found::Folder(found) })
}

impl Tree {
    pub(in super::super) fn new(roots: Folders) -> Self {
        Self { roots }
    }

    /// The layers at these paths, topmost first.
    pub(in super::super) fn of_paths(paths: &[PathBuf]) -> io::Result<Self> {
        Ok(Self::new(paths.iter().map(|path| open(path).map(Rc::new)).collect::<io::Result<_>>()?))
    }

    /// The path without any link in it, and what is there. Names that are missing are kept. The last name is followed only on request.
    pub(in super::super) fn find(&self, path: &Path, follow_last: bool) -> io::Result<(PathBuf, Found)> {
        let mut todo: VecDeque<OsString> = names(path).collect();
        let mut done = PathBuf::new();
        let mut stack: Vec<Folders> = vec![self.roots.clone()];
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                if done.pop() {
                    stack.pop();
                }
                continue;
            }
            let here = stack.last().map(Vec::as_slice).unwrap_or_default();
            match step(here, &name)? {
                Found::Missing => {
                    done.push(name);
                    stack.push(Vec::new());
                }
                Found::Folder(folders) => {
                    done.push(name);
                    stack.push(folders);
                }
                Found::Link(to) if todo.is_empty() && !follow_last => {
                    done.push(name);
                    return Ok((done, Found::Link(to)));
                }
                Found::Link(to) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if to.is_absolute() {
                        done = PathBuf::new();
                        stack.truncate(1);
                    }
                    for part in names(&to).collect::<Vec<_>>().into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                other if todo.is_empty() => {
                    done.push(name);
                    return Ok((done, other));
                }
                _ => return Err(Errno::NOTDIR.into()),
            }
        }
        let folders = stack.pop().unwrap_or_default();
        Ok((done, if folders.is_empty() { Found::Missing } else { Found::Folder(folders) }))
    }

    /// The start of a file, if there is one at this path.
    pub(in super::super) fn read(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        let (path, found) = self.find(path, true)?;
        let (Found::Other { folder, stat }, Some(name)) = (found, path.file_name()) else { return Ok(None) };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let file =
            rustix::fs::openat(&folder, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let mut content = Vec::new();
        File::from(file).take(most).read_to_end(&mut content)?;
        Ok(Some(content))
    }
}

/// The names of a path; `..` is kept.
fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}
