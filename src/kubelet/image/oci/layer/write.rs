//! Writes one layer into a folder. Every file is made by a single name below an open folder, so that no path and no link of an archive
//! can lead anywhere else; what a path means is looked up in the whole tree, this layer on those below it.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::entry::{Entry, Kind};
use super::tree::{self, Folders, Found, OPAQUE, Tree};
use crate::sandbox::HostIds;

/// Ids above those that containers have become nobody's.
const NOBODY: u32 = 65_534;
/// What the one who unpacks needs in a folder whatever its mode, where that is not root.
const OWN_RIGHTS: u32 = 0o700;

/// What a folder gets when all is in it: writing into it would change its time, and its mode may forbid that.
#[derive(Debug, Clone, Copy)]
struct Finish {
    mode: u32,
    modified: Option<i64>,
}

/// Writes a layer.
pub(super) struct Writer {
    top: Rc<OwnedFd>,
    tree: Tree,
    below: Tree,
    ids: HostIds,
    finish: BTreeMap<PathBuf, Finish>,
    /// The parent of the last entry, as written, and its folder: entries of a folder come together.
    last: Option<(PathBuf, PathBuf, Rc<OwnedFd>)>,
}

impl Writer {
    /// A writer into the empty folder `into`, upon the layers at these paths, topmost first.
    pub(super) fn new(into: &Path, below: &[PathBuf], ids: HostIds) -> io::Result<Self> {
        let top = Rc::new(tree::open(into)?);
        let lower: Folders = below.iter().map(|path| tree::open(path).map(Rc::new)).collect::<io::Result<_>>()?;
        let all = std::iter::once(top.clone()).chain(lower.iter().cloned()).collect();
        let mut writer =
            Self { tree: Tree::new(all), below: Tree::new(lower), top, ids, finish: BTreeMap::new(), last: None };
        let (mode, owner) = writer.usual(Path::new(""))?;
        writer.dress(&writer.top, owner)?;
        writer.finish.insert(PathBuf::new(), Finish { mode, modified: None });
        Ok(writer)
    }

    /// Mode and owner of a folder that no entry describes: those that lower layers show.
    fn usual(&self, path: &Path) -> io::Result<(u32, Option<(Uid, Gid)>)> {
        if let (_, Found::Folder(folders)) = self.below.find(path, false)?
            && let Some(folder) = folders.first()
        {
            let stat = rustix::fs::fstat(folder)?;
            let owner = matches!(self.ids, HostIds::Range { .. })
                .then(|| (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid)));
            return Ok((stat.st_mode & 0o7777, owner));
        }
        Ok((0o755, self.owner(0, 0)))
    }

    /// The machine's ids of an owner, where files can be given away.
    fn owner(&self, uid: u64, gid: u64) -> Option<(Uid, Gid)> {
        let narrow = |id: u64| u32::try_from(id).ok().filter(|id| *id < 65_536).unwrap_or(NOBODY);
        match self.ids {
            HostIds::Range { .. } => {
                Some((Uid::from_raw(self.ids.uid(narrow(uid))), Gid::from_raw(self.ids.gid(narrow(gid)))))
            }
            HostIds::Single { .. } => None,
        }
    }

    fn dress(&self, file: impl AsFd, owner: Option<(Uid, Gid)>) -> io::Result<()> {
        if let Some((uid, gid)) = owner {
            rustix::fs::fchown(file, Some(uid), Some(gid))?;
        }
        Ok(())
    }

    /// The open folder of this layer that holds `path`, and the path's last name.
    fn parent<'a>(&mut self, path: &'a Path) -> io::Result<(PathBuf, Rc<OwnedFd>, &'a OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let written = path.parent().unwrap_or(Path::new(""));
        if let Some((known, real, folder)) = &self.last
            && known == written
        {
            return Ok((real.clone(), folder.clone(), name));
        }
        let (real, found) = self.tree.find(written, true)?;
        if matches!(found, Found::Other { .. } | Found::Link(_)) {
            return Err(Errno::NOTDIR.into());
        }
        let folder = self.folder(&real)?;
        self.last = Some((written.to_owned(), real.clone(), folder.clone()));
        Ok((real, folder, name))
    }

    /// Opens a folder of this layer by a path without links, making what is missing.
    fn folder(&mut self, path: &Path) -> io::Result<Rc<OwnedFd>> {
        let mut folder = self.top.clone();
        let mut done = PathBuf::new();
        for name in path.iter() {
            done.push(name);
            folder = match tree::open_in(&folder, name) {
                Ok(inner) => Rc::new(inner),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Rc::new(self.make(&folder, &done, name)?),
                Err(_) if self.kind(&folder, name)? == Some(FileType::CharacterDevice) => {
                    rustix::fs::unlinkat(&folder, name, AtFlags::empty())?;
                    let inner = self.make(&folder, &done, name)?;
                    rustix::fs::fsetxattr(&inner, OPAQUE, b"y", XattrFlags::empty())?;
                    Rc::new(inner)
                }
                Err(error) => return Err(error),
            };
        }
        Ok(folder)
    }

    fn make(&mut self, folder: &OwnedFd, path: &Path, name: &OsStr) -> io::Result<OwnedFd> {
        let (mode, owner) = self.usual(path)?;
        rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(OWN_RIGHTS))?;
        let inner = tree::open_in(folder, name)?;
        self.dress(&inner, owner)?;
        self.finish.insert(path.to_owned(), Finish { mode, modified: None });
        Ok(inner)
    }

    /// What this layer itself has under a name.
    fn kind(&self, folder: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes room for an entry: a later one takes the place of an earlier one of the same layer. True if that was a whiteout.
    fn clear(&mut self, folder: &OwnedFd, real: &Path, name: &OsStr) -> io::Result<bool> {
        match self.kind(folder, name)? {
            None => Ok(false),
            Some(FileType::Directory) => {
                self.last = None;
                let gone = real.join(name);
                self.finish.retain(|path, _| !path.starts_with(&gone));
                remove(folder, name)?;
                Ok(false)
            }
            Some(kind) => {
                self.last = None;
                rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
                Ok(kind == FileType::CharacterDevice)
            }
        }
    }

    /// Writes an entry; `path` is within the layer.
    pub(super) fn write(&mut self, path: &Path, entry: &Entry, content: &mut impl Read) -> io::Result<()> {
        let Some(name) = path.file_name() else {
            return self.describe(PathBuf::new(), &self.top.clone(), entry);
        };
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            return self.hide(path, OsStr::from_bytes(hidden));
        }
        let (real, folder, name) = self.parent(path)?;
        match &entry.kind {
            Kind::Folder => {
                let inner = self.open_or_make(&real, &folder, name)?;
                self.describe(real.join(name), &inner, entry)
            }
            Kind::File => {
                self.clear(&folder, &real, name)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o600))?;
                let mut file = File::from(file);
                let written = io::copy(content, &mut file)?;
                if written != entry.size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.dress_file(&file, entry)
            }
            Kind::Link(to) => {
                self.clear(&folder, &real, name)?;
                // A folder that was looked up before may be behind another link now.
                self.last = None;
                rustix::fs::symlinkat(to, &folder, name)?;
                if let Some((uid, gid)) = self.owner(entry.uid, entry.gid) {
                    rustix::fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                }
                Ok(rustix::fs::utimensat(&folder, name, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)?)
            }
            Kind::HardLink(to) => self.link(to, &real, &folder, name),
            Kind::Fifo => {
                self.clear(&folder, &real, name)?;
                rustix::fs::mknodat(&folder, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
                if let Some((uid, gid)) = self.owner(entry.uid, entry.gid) {
                    rustix::fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                }
                Ok(rustix::fs::chmodat(&folder, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?)
            }
            // Containers get the devices that they may have in their own /dev.
            Kind::Device => Ok(()),
        }
    }

    fn open_or_make(&mut self, real: &Path, folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        if self.kind(folder, name)? == Some(FileType::Directory) {
            return tree::open_in(folder, name);
        }
        let was_hidden = self.clear(folder, real, name)?;
        rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(OWN_RIGHTS))?;
        let inner = tree::open_in(folder, name)?;
        if was_hidden {
            rustix::fs::fsetxattr(&inner, OPAQUE, b"y", XattrFlags::empty())?;
        }
        Ok(inner)
    }

    fn describe(&mut self, path: PathBuf, folder: &OwnedFd, entry: &Entry) -> io::Result<()> {
        self.dress(folder, self.owner(entry.uid, entry.gid))?;
        set_xattrs(folder, entry)?;
        self.finish.insert(path, Finish { mode: entry.mode, modified: Some(entry.modified) });
        Ok(())
    }

    fn dress_file(&self, file: &File, entry: &Entry) -> io::Result<()> {
        self.dress(file, self.owner(entry.uid, entry.gid))?;
        set_xattrs(file, entry)?;
        // After the owner, whose change takes set-user-id bits away.
        rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
        Ok(rustix::fs::futimens(file, &times(entry.modified))?)
    }

    /// Hides what lower layers have: one name, or all of a folder.
    fn hide(&mut self, path: &Path, hidden: &OsStr) -> io::Result<()> {
        if hidden == ".wh..opq" {
            let written = path.parent().unwrap_or(Path::new(""));
            let (real, found) = self.tree.find(written, true)?;
            if matches!(found, Found::Other { .. } | Found::Link(_)) {
                return Err(Errno::NOTDIR.into());
            }
            let folder = self.folder(&real)?;
            return Ok(rustix::fs::fsetxattr(&folder, OPAQUE, b"y", XattrFlags::empty())?);
        }
        // Other names of this form are the remains of old file systems.
        if hidden.as_bytes().starts_with(b".wh.") {
            return Ok(());
        }
        if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
            return Err(Errno::INVAL.into());
        }
        let (_, folder, _) = self.parent(path)?;
        match self.kind(&folder, hidden)? {
            Some(FileType::Directory) => {
                let inner = tree::open_in(&folder, hidden)?;
                Ok(rustix::fs::fsetxattr(&inner, OPAQUE, b"y", XattrFlags::empty())?)
            }
            Some(_) => Ok(()),
            None => {
                // What was found through this name is found no more.
                self.last = None;
                Ok(rustix::fs::mknodat(&folder, hidden, FileType::CharacterDevice, Mode::empty(), 0)?)
            }
        }
    }

    /// Another name for a file, which is copied up where only a lower layer has it.
    fn link(&mut self, to: &Path, real: &Path, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let inside = super::entry::within(to.strip_prefix("/").unwrap_or(to))
            .map_err(|_| io::Error::other(format!("its target {} leads out of the image", to.display())))?;
        let (target, found) = self.tree.find(&inside, false)?;
        let missing = || io::Error::other(format!("its target {} is not there", to.display()));
        let target_name = target.file_name().ok_or_else(missing)?;
        let target_folder = target.parent().unwrap_or(Path::new(""));
        if target_folder == real && target_name == name {
            return Ok(());
        }
        let source = match &found {
            Found::Missing | Found::Folder(_) => return Err(missing()),
            Found::Link(_) | Found::Other { .. } => self.folder(target_folder)?,
        };
        if self.kind(&source, target_name)?.is_none() {
            self.copy_up(&found, &source, target_name)?;
        }
        self.clear(folder, real, name)?;
        Ok(rustix::fs::linkat(&source, target_name, folder, name, AtFlags::empty())?)
    }

    fn copy_up(&self, found: &Found, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        match found {
            Found::Link(to) => Ok(rustix::fs::symlinkat(to, folder, name)?),
            Found::Other { folder: from, stat } if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                copy_file(from, name, stat, folder)
            }
            _ => Err(io::Error::other("its target is no file")),
        }
    }

    /// Gives every folder its mode and time; nothing can be written after that.
    pub(super) fn finish(self) -> io::Result<()> {
        // Deeper ones first: they cannot be reached when a folder above has lost its rights.
        for (path, finish) in self.finish.iter().rev() {
            let mut folder = self.top.clone();
            for name in path.iter() {
                folder = Rc::new(tree::open_in(&folder, name)?);
            }
            let rights = if matches!(self.ids, HostIds::Single { .. }) { OWN_RIGHTS } else { 0 };
            rustix::fs::fchmod(&folder, Mode::from_raw_mode(finish.mode | rights))?;
            if let Some(modified) = finish.modified {
                rustix::fs::futimens(&folder, &times(modified))?;
            }
        }
        Ok(())
    }
}

/// Copies a file with its owner, mode and time.
pub(super) fn copy_file(from: &OwnedFd, name: &OsStr, stat: &Stat, to: &OwnedFd) -> io::Result<()> {
    let source = rustix::fs::openat(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
    let (mut source, mut copy) = (File::from(source), File::from(copy));
    io::copy(&mut source, &mut copy)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&copy, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&copy, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    Ok(rustix::fs::futimens(&copy, &times(stat.st_mtime))?)
}

/// Removes a folder that this program has made, with all that is in it.
fn remove(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let inner = tree::open_in(folder, name)?;
    let names: Vec<CString> = rustix::fs::Dir::read_from(&inner)?
        .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
        .collect::<Result<_, _>>()?;
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        match rustix::fs::unlinkat(&inner, name.as_c_str(), AtFlags::empty()) {
            Err(Errno::ISDIR) => remove(&inner, OsStr::from_bytes(name.to_bytes()))?,
            other => other?,
        }
    }
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

/// Only those that users may set, and never those that would change how the kernel stacks layers.
fn set_xattrs(file: impl AsFd, entry: &Entry) -> io::Result<()> {
    for (name, value) in &entry.xattrs {
        if !name.starts_with(b"user.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        match rustix::fs::fsetxattr(&file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn times(seconds: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    }
}

/// Whether the file system of a folder can hold layers: marks that hide names need a device of number 0, and an attribute.
pub(in super::super) fn try_marks(folder: &Path) -> io::Result<()> {
    let scratch = tempfile::tempdir_in(folder)?;
    let mark = scratch.path().join("mark");
    rustix::fs::mknodat(CWD, &mark, FileType::CharacterDevice, Mode::empty(), 0)?;
    Ok(rustix::fs::setxattr(scratch.path(), OPAQUE, b"y", XattrFlags::empty())?)
}
