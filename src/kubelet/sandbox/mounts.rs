//! Mounting inside the place: detached trees of the machine's files, put where a container wants them. Everything goes by
//! descriptors, so that no path of the machine is ever visible in a container that is being built.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use super::system::{MountChange, set_mount};

/// Where the machine's whole file tree is, seen from the place's root.
pub(super) const HOST: &str = "host";
/// Where the folders are that the node process made reachable.
pub(super) const BINDS: &str = "binds";

/// Links that lead to what is not there are followed this often.
const MOST_LINKS: u32 = 10;

/// The place's root as a source of mounts.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    root: OwnedFd,
    binds: &'a [PathBuf],
}

impl<'a> Sources<'a> {
    /// Opens the current root, which must be the place's, in the current mount namespace.
    pub(super) fn open(binds: &'a [PathBuf]) -> io::Result<Self> {
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, binds })
    }

    /// A file or folder of the machine, by its real path: a symbolic link on the way means that somebody is playing tricks.
    pub(super) fn host(&self, path: &Path) -> io::Result<OwnedFd> {
        self.place(&inside(path, self.binds))
    }

    /// A file or folder of the place itself.
    pub(super) fn place(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH;
        Ok(rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)?)
    }
}

/// Where a path of the machine is in the place, relative to the place's root.
fn inside(path: &Path, binds: &[PathBuf]) -> PathBuf {
    let nearest = binds
        .iter()
        .enumerate()
        .filter(|(_, bind)| path.starts_with(bind))
        .max_by_key(|(_, bind)| bind.as_os_str().len());
    let found = nearest.and_then(|(number, bind)| path.strip_prefix(bind).ok().map(|rest| (number, rest)));
    match found {
        // Joined with nothing it would end in a slash, which only a folder may have.
        Some((number, rest)) if rest.as_os_str().is_empty() => Path::new(BINDS).join(number.to_string()),
        Some((number, rest)) => Path::new(BINDS).join(number.to_string()).join(rest),
        None => Path::new(HOST).join(path.strip_prefix("/").unwrap_or(path)),
    }
}

/// Is it a folder?
pub(super) fn is_directory(file: impl AsFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode) == FileType::Directory)
}

/// Mounts `source` with all that is mounted below it on `target`, which must exist.
pub(super) fn bind(source: impl AsFd, target: &Path, read_only: bool) -> io::Result<()> {
    bind_at(source, Path::new(""), target, read_only)
}

fn bind_at(folder: impl AsFd, name: &Path, target: &Path, read_only: bool) -> io::Result<()> {
    let whole = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let flags = whole
        | if name.as_os_str().is_empty() { OpenTreeFlags::AT_EMPTY_PATH } else { OpenTreeFlags::AT_SYMLINK_NOFOLLOW };
    let tree = rustix::mount::open_tree(folder, name, flags)?;
    if read_only {
        set_mount(&tree, MountChange { read_only: true, recursive: true, ..MountChange::default() })?;
    }
    attach(tree, target)
}

/// Puts a detached tree on `target`, which must exist.
pub(super) fn attach(tree: impl AsFd, target: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(tree, "", at(target)?, "", flags)?)
}

/// What is at a path of the root that is being built. Its links come from an image or from other containers: they are followed
/// within that root, and never through /proc into what this process has open.
pub(super) fn at(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        // Where somebody moved or mounted anything meanwhile, the kernel cannot tell whether a way up was one out, and asks again.
        match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            found => return Ok(found?),
        }
    }
}

/// Mounts a new file system of a kind that needs no device.
pub(super) fn fresh(kind: &str, target: &Path, flags: MsFlags, options: &str) -> io::Result<()> {
    let options = (!options.is_empty()).then_some(options);
    Ok(nix::mount::mount(Some(kind), target, Some(kind), flags, options)?)
}

/// Makes what is mounted at `path` read-only.
pub(super) fn make_read_only(path: &Path) -> io::Result<()> {
    let top = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    set_mount(top, MountChange { read_only: true, ..MountChange::default() })
}

/// Makes sure that `target` exists as a folder, or as a file, whatever it takes: where it lies in a read-only bind, the folder that
/// lacks it is replaced by one with the same content.
pub(super) fn make_target(target: &Path, directory: bool) -> io::Result<()> {
    match create_target(target, directory) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            open_up(target)?;
            create_target(target, directory)
        }
        result => result,
    }
}

fn create_target(target: &Path, directory: bool) -> io::Result<()> {
    create(target, directory, MOST_LINKS)
}

fn create(target: &Path, directory: bool, links: u32) -> io::Result<()> {
    match at(target) {
        Ok(found) if is_directory(&found)? == directory => return Ok(()),
        Ok(_) if directory => return Err(io::ErrorKind::NotADirectory.into()),
        Ok(_) => return Err(io::ErrorKind::IsADirectory.into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    create(parent, true, links)?;
    let folder = at(parent)?;
    if let Ok(to) = rustix::fs::readlinkat(&folder, name, Vec::new()) {
        // A link to what is not there yet: that is made, as runtimes do it.
        let left = links.checked_sub(1).ok_or(Errno::LOOP)?;
        return create(&parent.join(OsStr::from_bytes(to.to_bytes())), directory, left);
    }
    if directory {
        return Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))?);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)?)
}

/// Makes a folder and those above it.
pub(super) fn make_directories(path: &Path) -> io::Result<()> {
    create(path, true, MOST_LINKS)
}

/// Makes sure that something can be created at `target`.
pub(super) fn make_room(target: &Path) -> io::Result<()> {
    let parent = target.parent().unwrap_or(target);
    make_target(parent, true)?;
    if rustix::fs::accessat(CWD, parent, rustix::fs::Access::WRITE_OK, AtFlags::EACCESS) == Err(Errno::ROFS) {
        open_up(target)?;
    }
    Ok(())
}

/// Replaces the nearest existing folder above `target` by a new one that shows the same entries.
fn open_up(target: &Path) -> io::Result<()> {
    let above = target.ancestors().skip(1).find(|path| path.is_dir());
    let folder = fs::canonicalize(above.unwrap_or(Path::new("/")))?;
    let old = rustix::fs::open(&folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mode = rustix::fs::fstat(&old)?.st_mode & 0o7777;
    fresh("tmpfs", &folder, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &format!("mode={mode:o}"))?;
    for entry in rustix::fs::Dir::read_from(&old)? {
        let entry = entry?;
        let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
        if name == Path::new(".") || name == Path::new("..") {
            continue;
        }
        let copy = folder.join(name);
        let kind = FileType::from_raw_mode(rustix::fs::statat(&old, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if kind == FileType::Symlink {
            let to = rustix::fs::readlinkat(&old, name, Vec::new())?;
            rustix::fs::symlink(to, &copy)?;
            continue;
        }
        create_target(&copy, kind == FileType::Directory)?;
        bind_at(&old, name, &copy, true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bind_wins_and_the_rest_is_under_host() {
        let binds = [PathBuf::from("/root"), PathBuf::from("/root/state/pods")];
        assert_eq!(inside(Path::new("/root/state/pods/1/v"), &binds), Path::new("binds/1/1/v"));
        assert_eq!(inside(Path::new("/root/state/pods"), &binds).as_os_str(), "binds/1");
        assert_eq!(inside(Path::new("/root/x"), &binds), Path::new("binds/0/x"));
        assert_eq!(inside(Path::new("/rootless"), &binds), Path::new("host/rootless"));
        assert_eq!(inside(Path::new("/"), &[]), Path::new("host/"));
    }
}
