//! The root of a container whose image has layers: an overlay of them under a folder of its own, or, where the kernel has no overlay
//! for users or the file system does not bear one, a copy of all that they show. Runs in the container's process.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::mount::MsFlags;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::Layers;
use super::error::{Attempt, Failure};
use super::mounts::{self, Sources};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Marks a folder that hides what lower layers have in it.
const OPAQUE: &str = "user.overlay.opaque";

/// Mounts the layers at `stage`. Says so if they had to be copied.
pub(super) fn mount(layers: &Layers, sources: &Sources<'_>, stage: &Path) -> Result<Option<String>, Failure> {
    let open = |path: &Path| sources.host(path).attempt(|| format!("open {}", path.display()));
    let lower = layers.lower.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    let (upper, work) = (open(&layers.upper)?, open(&layers.work)?);
    let refusal = match overlay(&lower, &upper, &work, stage) {
        Ok(()) => return Ok(None),
        Err(refusal) => refusal,
    };
    let upper_folder = reopen(&upper).attempt(|| format!("open {}", layers.upper.display()))?;
    for layer in lower.iter().rev() {
        let layer = reopen(layer).attempt(|| "open a layer".to_owned())?;
        copy_folder(&layer, &upper_folder).attempt(|| format!("copy the image into {}", layers.upper.display()))?;
    }
    mounts::bind(&upper, stage, false).attempt(|| "mount the copy of the image".to_owned())?;
    Ok(Some(format!(
        "the image was copied for this container, which takes time and space: this machine mounts no overlay here ({refusal})"
    )))
}

fn overlay(lower: &[OwnedFd], upper: &OwnedFd, work: &OwnedFd, stage: &Path) -> io::Result<()> {
    if lower.is_empty() {
        // The kernel wants a layer: an image without one is an empty folder.
        return mounts::bind(upper, stage, false);
    }
    // By descriptors: the options have one page for all paths, and a path may hold any character.
    let path = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
    let lower: Vec<String> = lower.iter().map(path).collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={},userxattr,volatile", lower.join(":"), path(upper), path(work));
    mounts::fresh("overlay", stage, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &options)
}

/// A folder that can be read, out of one that was only looked up.
fn reopen(file: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(file, ".", FOLDER, Mode::empty())?)
}

/// Copies what a layer has over what is there.
fn copy_folder(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let entries: Vec<CString> = rustix::fs::Dir::read_from(from)?
        .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
        .collect::<Result<_, _>>()?;
    for name in entries.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        copy_entry(from, to, OsStr::from_bytes(name.to_bytes()))?;
    }
    let stat = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    Ok(rustix::fs::futimens(to, &times(&stat))?)
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let there = match rustix::fs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(error.into()),
    };
    if kind == FileType::Directory {
        let source = rustix::fs::openat(from, name, FOLDER, Mode::empty())?;
        let mut mark = [0; 1];
        let opaque = rustix::fs::fgetxattr(&source, OPAQUE, &mut mark).is_ok_and(|read| read == 1 && mark == *b"y");
        if there.is_some_and(|there| opaque || there != FileType::Directory) {
            remove(to, name)?;
        }
        if opaque || there != Some(FileType::Directory) {
            rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700))?;
        }
        let copy = rustix::fs::openat(to, name, FOLDER, Mode::empty())?;
        return copy_folder(&source, &copy);
    }
    if there.is_some() {
        remove(to, name)?;
    }
    let (uid, gid) = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    match kind {
        FileType::RegularFile => {
            let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = rustix::fs::openat(from, name, OFlags::RDONLY | flags, Mode::empty())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | flags;
            let copy = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
            let (mut source, mut copy) = (File::from(source), File::from(copy));
            io::copy(&mut source, &mut copy)?;
            copy_xattrs(&source, &copy)?;
            rustix::fs::fchown(&copy, uid, gid)?;
            rustix::fs::fchmod(&copy, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
            rustix::fs::futimens(&copy, &times(&stat))?;
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target.as_c_str(), to, name)?;
            rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        FileType::Fifo => {
            rustix::fs::mknodat(to, name, FileType::Fifo, Mode::from_raw_mode(stat.st_mode & 0o7777), 0)?;
            rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        // The mark of a name that is hidden: it is gone already.
        _ => {}
    }
    Ok(())
}

fn copy_xattrs(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(&from, &mut names) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
        let name = OsStr::from_bytes(name);
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::fgetxattr(&from, name, &mut value)?;
        match rustix::fs::fsetxattr(&to, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn remove(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return Ok(other?),
    }
    let inner = rustix::fs::openat(folder, name, FOLDER, Mode::empty())?;
    let names: Vec<CString> = rustix::fs::Dir::read_from(&inner)?
        .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
        .collect::<Result<_, _>>()?;
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        remove(&inner, OsStr::from_bytes(name.to_bytes()))?;
    }
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};

    #[test]
    fn a_copy_shows_what_an_overlay_would() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let [low, high, copy] = ["low", "high", "copy"].map(|name| dir.path().join(name));
        for folder in [&low, &high, &copy] {
            fs::create_dir(folder)?;
        }
        for path in ["kept", "hidden", "opaque", "replaced"] {
            fs::create_dir(low.join(path))?;
            fs::write(low.join(path).join("file"), "low")?;
        }
        fs::set_permissions(low.join("kept/file"), fs::Permissions::from_mode(0o640))?;
        symlink("kept/file", low.join("link"))?;
        rustix::fs::mknodat(rustix::fs::CWD, high.join("hidden"), FileType::CharacterDevice, Mode::empty(), 0)?;
        fs::create_dir(high.join("opaque"))?;
        rustix::fs::setxattr(high.join("opaque"), OPAQUE, b"y", XattrFlags::empty())?;
        fs::write(high.join("replaced"), "high")?;
        fs::create_dir(high.join("kept"))?;
        fs::write(high.join("kept/new"), "high")?;
        let open = |path: &Path| -> io::Result<OwnedFd> { Ok(rustix::fs::open(path, FOLDER, Mode::empty())?) };
        for layer in [&low, &high] {
            copy_folder(&open(layer)?, &open(&copy)?)?;
        }
        let mut names: Vec<_> = fs::read_dir(&copy)?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["kept", "link", "opaque", "replaced"]);
        assert_eq!(fs::read_dir(copy.join("opaque"))?.count(), 0);
        assert_eq!(fs::read_to_string(copy.join("replaced"))?, "high");
        assert_eq!(fs::read_to_string(copy.join("link"))?, "low");
        assert_eq!(fs::metadata(copy.join("kept/file"))?.mode() & 0o777, 0o640);
        assert!(!fs::metadata(copy.join("kept/new"))?.file_type().is_fifo());
        Ok(())
    }
}
