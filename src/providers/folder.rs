//! The folder of one cluster, `.tinderbox/<name>`: where things lie in it, the lock that lets one `up` or `down` at a time
//! through, and its removal. It must not know what the files say.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tinderbox_kubelet::image::oci::Digest;

use crate::{Class, Error, Talk};

/// Folder names beside the clusters' own that no cluster may take.
const RESERVED: [&str; 2] = ["reports", crate::embedded::snapshot::FOLDER];

/// Name of the file that is locked.
const LOCK: &str = "lock";

/// The folder of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    name: String,
    home: PathBuf,
    path: PathBuf,
}

impl Folder {
    /// The folder of cluster `name` under `home` (`.tinderbox`); nothing is made yet.
    ///
    /// # Errors
    /// When the name cannot be a cluster's.
    pub fn new(home: &Path, name: &str) -> Result<Self, Error> {
        let mut wrong = tinderbox_api::names::dns_label(name);
        if RESERVED.contains(&name) {
            wrong.push("it is reserved".to_owned());
        }
        // The node's own name and its host name are built from it.
        if name.len() > 40 {
            wrong.push("it must be no more than 40 characters".to_owned());
        }
        if let Some(why) = wrong.into_iter().next() {
            return Err(Error::Name { name: name.to_owned(), why });
        }
        Ok(Self { name: name.to_owned(), home: home.to_owned(), path: home.join(name) })
    }

    /// The names of the clusters that have a folder in `home`, whatever place they are in.
    ///
    /// # Errors
    /// When `home` cannot be listed.
    pub fn names(home: &Path) -> Result<Vec<String>, Error> {
        let entries = match std::fs::read_dir(home) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::File { act: "list", path: home.to_owned(), source }),
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| Self::new(home, name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of all clusters of its project.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Settings and identity of the node process.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// Credentials of the administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.path.join("kubeconfig")
    }

    /// What the node process says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("node.log")
    }

    /// Keys and certificates.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.path.join("pki")
    }

    /// Folders that containers see parts of: those of pods, and persistent volumes.
    #[must_use]
    pub fn of_pods(&self) -> [PathBuf; 2] {
        [self.path.join("pods"), self.path.join("volumes")]
    }

    /// Objects.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Whether there is anything of the cluster.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Makes the folder, for its owner alone.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create(&self) -> Result<(), Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { act: "make the folder", path, source }
        };
        fs::create_dir_all(&self.home).map_err(fail(&self.home))?;
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.path.is_dir() => Ok(()),
            other => other.map_err(fail(&self.path)),
        }
    }

    /// Takes the lock, making the folder if need be; waits for another holder, after telling `waiting`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn lock(&self, waiting: impl Fn()) -> Result<Lock, Error> {
        let path = self.path.join(LOCK);
        let fail = |source| Error::File { act: "lock", path: path.clone(), source };
        loop {
            self.create()?;
            let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
            let file = match opened {
                // A `down` removed the folder between the two steps.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(fail)?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => {
                    waiting();
                    file.lock().map_err(fail)?;
                }
                Err(fs::TryLockError::Error(error)) => return Err(fail(error)),
            }
            // The file that was waited for may have been removed meanwhile; then another one counts.
            let mine = file.metadata().map_err(fail)?;
            match fs::metadata(&path) {
                Ok(there) if there.ino() == mine.ino() && there.dev() == mine.dev() => return Ok(Lock(file)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }

    /// Takes the lock, and tells that it waits for another holder.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn lock_told(&self, talk: &Talk) -> Result<Lock, Error> {
        self.lock(|| talk.say("another command works on this cluster: waiting for it"))
    }

    /// Whether somebody holds the lock now.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        File::open(self.path.join(LOCK))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    /// Removes what a removal or a start left that was cut off: everything, where there is no state. The lock stays, and must be
    /// held.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn clear_remains(&self) -> Result<(), Error> {
        if self.state().symlink_metadata().is_ok() {
            return Ok(());
        }
        let entries = fs::read_dir(&self.path).map_err(|source| self.refused("list", source))?;
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| !path.ends_with(LOCK)) {
            remove_tree(&path)?;
        }
        Ok(())
    }

    /// Removes the folder and all in it, also what its owner may not write; then `.tinderbox` itself, if nothing else is there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self) -> Result<(), Error> {
        // First of all: without its state the rest is no cluster, wherever the removal is cut off.
        remove_tree(&self.state())?;
        remove_tree(&self.path)?;
        // It stays where anything else is in it.
        let _ = fs::remove_dir(&self.home);
        Ok(())
    }

    fn refused(&self, act: &'static str, source: io::Error) -> Error {
        Error::File { act, path: self.path.clone(), source }
    }
}

/// A locked folder that is being started in: dropped before the cluster is up, one without an earlier state goes again.
#[derive(Debug)]
pub(crate) struct Held {
    fresh: Option<Folder>,
    /// Given free last.
    pub(crate) lock: Lock,
}

impl Held {
    /// Takes the lock of a folder to start in it; waits for another holder, and tells that.
    pub(crate) async fn take(folder: &Folder, talk: &Talk) -> Result<Self, Error> {
        let (folder, talk) = (folder.clone(), talk.clone());
        let held = tokio::task::spawn_blocking(move || Self::new(&folder, folder.lock_told(&talk)?)).await;
        held.map_err(|error| Error::Compose {
            act: "wait for the lock of the cluster".to_owned(),
            source: error.into(),
            hint: None,
            class: Class::Failed,
        })?
    }

    /// Clears what a start or a removal left that was cut off, and guards what is made from now on.
    pub(crate) fn new(folder: &Folder, lock: Lock) -> Result<Self, Error> {
        folder.clear_remains()?;
        Ok(Self { fresh: (!folder.state().exists()).then(|| folder.clone()), lock })
    }

    /// The cluster is up: the folder stays.
    pub(crate) fn keep(&mut self) {
        self.fresh = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(folder) = &self.fresh {
            // What cannot be removed now, `down` reports.
            let _ = folder.remove();
        }
    }
}

/// Whose the clusters of a home are, where they must be told from others' by name or label.
pub(crate) fn owner(home: &Path) -> String {
    Digest::of(home.as_os_str().as_encoded_bytes()).hex().chars().take(6).collect()
}

/// The home of clusters as every command names it, wherever it is called from.
pub(crate) fn absolute(home: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(home).map_err(|source| Error::File { act: "make absolute", path: home.to_owned(), source })
}

/// The lock of a folder, held until it is dropped in every process that has it.
#[derive(Debug)]
pub struct Lock(pub(crate) File);

/// Removes a file or folder, also one whose owner may not write it; where it is gone there is nothing to do.
///
/// # Errors
/// When the file system refuses.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    let refused = |source| Error::File { act: "remove", path: path.to_owned(), source };
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_dir() => fs::remove_file(path),
        _ => fs::remove_dir_all(path),
    };
    match removed {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => return Err(refused(error)),
    }
    // A container took away its own right to write a folder; its owner can give it back.
    open_up(path);
    fs::remove_dir_all(path).map_err(refused)
}

/// Replaces a file of mode 0600 whole; `.new` beside it is the only trace of a write that was cut off.
///
/// # Errors
/// When the file system refuses.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut file: File = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&fresh, path)
}

fn open_up(path: &Path) {
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return;
    }
    // What cannot be opened makes the removal fail, which reports it.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn names() {
        let home = Path::new("/nowhere");
        assert!(Folder::new(home, "local").is_ok());
        for bad in ["", "Local", "a/b", "..", "reports", &"a".repeat(41)] {
            assert!(matches!(Folder::new(home, bad), Err(Error::Name { .. })), "{bad}");
        }
    }

    #[test]
    fn a_second_lock_waits_for_the_first_and_sees_a_removal() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(&dir.path().join("home"), "local").expect("a name");
        let first = folder.lock(|| panic!("nobody has it")).expect("a lock");
        assert!(folder.is_locked());
        let waited = AtomicBool::new(false);
        let (told, hears) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                folder.lock(|| {
                    waited.store(true, Ordering::SeqCst);
                    told.send(()).expect("the test listens");
                })
            });
            hears.recv().expect("it waits");
            folder.remove().expect("removed");
            drop(first);
            let lock = second.join().expect("no panic").expect("a lock");
            assert!(folder.exists() && folder.is_locked());
            drop(lock);
        });
        assert!(waited.load(Ordering::SeqCst) && !folder.is_locked());
        folder.remove().expect("removed");
        folder.remove().expect("twice is fine");
        assert!(!dir.path().join("home").exists());
    }

    #[test]
    fn what_a_cut_off_removal_left_is_no_cluster() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(dir.path(), "local").expect("a name");
        let _lock = folder.lock(|| panic!("nobody has it")).expect("a lock");
        fs::create_dir_all(folder.store()).expect("made");
        fs::write(folder.log(), "x").expect("written");
        fs::write(folder.state(), "{}").expect("written");
        folder.clear_remains().expect("looked at");
        assert!(folder.store().exists() && folder.log().exists(), "a cluster with a state is kept");
        fs::remove_file(folder.state()).expect("removed");
        folder.clear_remains().expect("cleared");
        let left: Vec<_> =
            fs::read_dir(folder.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["lock"]);
    }

    #[test]
    fn what_was_made_in_vain_goes_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(&dir.path().join("home"), "local").expect("a name");
        let held = || Held::new(&folder, folder.lock(|| panic!("nobody has it")).expect("a lock")).expect("held");
        drop(held());
        assert!(!dir.path().join("home").exists());
        held().keep();
        assert!(folder.exists());
        fs::write(folder.state(), "{}").expect("written");
        drop(held());
        assert!(folder.state().exists(), "an earlier state is kept");
    }

    #[test]
    fn removes_what_its_owner_may_not_write() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(dir.path(), "local").expect("a name");
        folder.create().expect("made");
        assert_eq!(fs::metadata(folder.path()).expect("there").permissions().mode() & 0o777, 0o700);
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("file"), "x").expect("written");
        fs::set_permissions(&deep, fs::Permissions::from_mode(0o500)).expect("set");
        folder.remove().expect("removed");
        assert!(!folder.exists());
    }
}
