//! The folder of downloads. Whole things appear in it at once, under a lock between processes.

use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Where downloads go: `tinderbox` in `$XDG_CACHE_HOME`, or in `~/.cache`, or else in the folder for temporary files.
#[must_use]
pub fn cache_dir() -> PathBuf {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("tinderbox")
}

/// Held while something is brought into the cache.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started may hold a copy until it runs its program.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Waits until nobody else brings in `name`.
pub(super) async fn lock(cache: &Path, name: &str) -> io::Result<Lock> {
    let (cache, name) = (cache.to_owned(), name.to_owned());
    let task = tokio::task::spawn_blocking(move || lock_blocking(&cache, &name));
    task.await.map_err(io::Error::other)?
}

/// Waits until nobody holds `name` alone, and holds it together with others.
pub(super) async fn lock_shared(cache: &Path, name: &str) -> io::Result<Lock> {
    let (cache, name) = (cache.to_owned(), name.to_owned());
    let task = tokio::task::spawn_blocking(move || lock_shared_blocking(&cache, &name));
    task.await.map_err(io::Error::other)?
}

/// The same as [`lock`] for a thread that may wait.
pub(super) fn lock_blocking(cache: &Path, name: &str) -> io::Result<Lock> {
    take(cache, name, FlockOperation::LockExclusive)
}

/// The same as [`lock_shared`] for a thread that may wait.
pub(super) fn lock_shared_blocking(cache: &Path, name: &str) -> io::Result<Lock> {
    take(cache, name, FlockOperation::LockShared)
}

/// Holds `name` alone, if nobody else holds it now.
pub(super) fn try_lock(cache: &Path, name: &str) -> io::Result<Option<Lock>> {
    match take(cache, name, FlockOperation::NonBlockingLockExclusive) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

fn take(cache: &Path, name: &str, operation: FlockOperation) -> io::Result<Lock> {
    let dir = cache.join("locks");
    fs::create_dir_all(&dir)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(name))?;
    loop {
        match flock(&file, operation) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map(|()| Lock(file)).map_err(io::Error::from),
        }
    }
}

/// Fills a folder next to `target` and gives it that name when it is whole. What an earlier try left over is removed first,
/// and what this one leaves when it fails.
pub(super) fn install<E: From<io::Error>>(target: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let parent = target.parent().unwrap_or(target);
    fs::create_dir_all(parent)?;
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = parent.join(name);
    remove_tree(&temporary)?;
    fs::create_dir(&temporary)?;
    // Containers read it as other users.
    fs::set_permissions(&temporary, Permissions::from_mode(0o755))?;
    let filled = fill(&temporary).and_then(|()| Ok(fs::rename(&temporary, target)?));
    if filled.is_err() {
        // The first error is the one to tell of.
        let _ = remove_tree(&temporary);
    }
    filled
}

/// Removes a file, or a folder with all that is in it, whatever the modes of folders are. What is not there is as good as removed.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let remove = || match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match remove() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            remove()
        }
        result => result,
    }
}

/// Gives the owner all rights in a folder and those below it.
fn open_up(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(path)? {
            open_up(&entry?.path())?;
        }
    }
    Ok(())
}

/// The bytes on disk of a file, or of all that is in a folder; what cannot be read counts nothing.
pub(super) fn weigh(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    let below = if found.is_dir() { fs::read_dir(path).ok() } else { None };
    let below: u64 = below.into_iter().flatten().flatten().map(|entry| weigh(&entry.path())).sum();
    found.blocks() * 512 + below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("a/thing");
        let failed = install(&target, |at| {
            fs::write(at.join("half"), "")?;
            Err(io::Error::other("stopped"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(dir.path().join("a")).expect("read").count(), 0);
        fs::create_dir_all(dir.path().join("a/thing.new/leftover")).expect("made");
        install(&target, |at| fs::write(at.join("whole"), "")).expect("installed");
        let names: Vec<_> =
            fs::read_dir(&target).expect("read").map(|entry| entry.expect("read").file_name()).collect();
        assert_eq!(names, ["whole"]);
    }

    #[test]
    fn closed_folders_are_removed_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let top = dir.path().join("a");
        fs::create_dir_all(top.join("b/c")).expect("made");
        fs::write(top.join("b/c/file"), "").expect("written");
        for path in ["b/c", "b"] {
            fs::set_permissions(top.join(path), Permissions::from_mode(0o0)).expect("set");
        }
        remove_tree(&top).expect("removed");
        remove_tree(&top).expect("again");
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 0);
    }

    #[tokio::test]
    async fn shared_locks_keep_the_sole_one_away() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = lock_shared(dir.path(), "x").await.expect("locked");
        let second = lock_shared(dir.path(), "x").await.expect("locked too");
        drop(first);
        assert!(try_lock(dir.path(), "x").expect("asked").is_none());
        drop(second);
        assert!(try_lock(dir.path(), "x").expect("asked").is_some());
    }

    #[tokio::test]
    async fn a_lock_is_held_by_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = lock(dir.path(), "x").await.expect("locked");
        let second = tokio::spawn({
            let dir = dir.path().to_owned();
            async move { lock(&dir, "x").await.map(drop) }
        });
        lock(dir.path(), "y").await.expect("another one is free");
        assert!(!second.is_finished());
        drop(first);
        second.await.expect("ran").expect("locked");
    }
}
