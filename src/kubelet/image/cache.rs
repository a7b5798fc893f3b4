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

/// The same for a thread that may wait.
pub(super) fn lock_blocking(cache: &Path, name: &str) -> io::Result<Lock> {
    let dir = cache.join("locks");
    fs::create_dir_all(&dir)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(name))?;
    loop {
        match flock(&file, FlockOperation::LockExclusive) {
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
    remove(&temporary)?;
    fs::create_dir(&temporary)?;
    // Containers read it as other users.
    fs::set_permissions(&temporary, Permissions::from_mode(0o755))?;
    let filled = fill(&temporary).and_then(|()| Ok(fs::rename(&temporary, target)?));
    if filled.is_err() {
        // The first error is the one to tell of.
        let _ = remove(&temporary);
    }
    filled
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
