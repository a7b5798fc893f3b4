//! Copying folders with all that they say of owners, rights, times, links and holes, and without blocks where the file system can
//! share them. A copy that is given up leaves nothing.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::embedded::compose_error;
use crate::embedded::process::end_with_us;
use crate::folder::remove_tree;
use crate::{Class, Error};

/// With what the names of folders begin that are not whole.
const PREFIX: &str = ".part-";

/// A folder that is removed again unless it is kept.
pub(super) struct Fresh(Option<PathBuf>);

impl Fresh {
    pub(super) fn new(within: &Path) -> Result<Self, Error> {
        let path = unfinished(within);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| Error::File { act: "make the folder", path: path.clone(), source })?;
        Ok(Self(Some(path)))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Gives it its name, when all of it is on the disk.
    pub(super) fn keep(mut self, name: &Path) -> Result<(), Error> {
        let path = self.path().to_owned();
        let fail = |source| Error::File { act: "write", path: path.clone(), source };
        let folder = File::open(&path).map_err(fail)?;
        nix::unistd::syncfs(&folder).map_err(io::Error::from).map_err(fail)?;
        fs::rename(&path, name).map_err(fail)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed now, the next command removes.
            let _ = remove_tree(path);
        }
    }
}

/// Where this process makes or removes one.
pub(super) fn unfinished(within: &Path) -> PathBuf {
    within.join(format!("{PREFIX}{}", std::process::id()))
}

/// Whether a folder of this name is one that somebody was making or removing.
pub(super) fn is_unfinished(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(PREFIX)
}

/// Copies folders into another one.
pub(super) async fn folders(from: impl Iterator<Item = &PathBuf>, into: &Path) -> Result<(), Error> {
    let mut command = Command::new("cp");
    command.args(["--archive", "--reflink=auto", "--"]).args(from).arg(into);
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    end_with_us(&mut command);
    let act = format!("copy the cluster into {}", into.display());
    let failed = |source: io::Error, hint: Option<&str>| compose_error(&act, source, hint, Class::Environment);
    let output = command.output().await.map_err(|source| failed(source, None))?;
    if output.status.success() {
        return Ok(());
    }
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    let full = talk.lines().find(|line| line.ends_with("No space left on device"));
    // Thousands of files may have the same trouble.
    let line = full.or_else(|| talk.lines().next()).unwrap_or("cp ended without a word");
    Err(failed(io::Error::other(line.to_owned()), full.map(|_| "free some space on that file system")))
}

/// What the files below a folder take.
pub(super) fn size(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}
