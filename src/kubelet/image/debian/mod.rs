//! Debian packages in native images: those that are installed on this machine are used as they are; others are found and checked
//! by the machine's own apt, and unpacked into the cache, without root. No maintainer script of a package is ever run.

mod apt;
mod graft;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::cache;
use super::progress::Progress;
use apt::Archive;
pub(super) use apt::Machine;
pub(super) use graft::graft;

/// Why packages could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The machine is no Debian.
    #[error("its Debian packages need {program}, which this machine does not have")]
    NoProgram {
        /// As in `apt-get`.
        program: &'static str,
    },
    /// A name that is none.
    #[error("under packages:, {line:?} is not of the form name or name=version")]
    Name {
        /// As given.
        line: String,
    },
    /// apt or dpkg refused.
    #[error("could not {act}: {said}")]
    Refused {
        /// What was tried.
        act: String,
        /// What the program said, in one line.
        said: String,
    },
    /// The operating system refused.
    #[error("could not {act} {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl PackageError {
    fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoProgram { .. } => "use a Debian or Ubuntu machine, or an image that needs no packages",
            Self::Name { .. } => "mend its description under images: in tinderbox.yaml",
            Self::Refused { .. } => {
                "look at the package's name and at the network, and let `sudo apt-get update` renew the lists of packages"
            }
            Self::Io { .. } => "look at the cache folder: its owner, its rights and its disk",
        }
    }
}

/// Brings packages and what they depend on into the cache. The folders that hold what this machine does not have, each the root of
/// one package; none where everything is installed.
pub(super) fn fetch(
    cache: &Path,
    machine: &Machine,
    packages: &[String],
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, PackageError> {
    if let Some(line) = packages.iter().find(|line| !is_package(line)) {
        return Err(PackageError::Name { line: line.clone() });
    }
    if packages.is_empty() || machine.has_all(packages)? {
        return Ok(Vec::new());
    }
    let top = cache.join("debian");
    let known = top.join("sets").join(key(machine, packages));
    if let Some(trees) = recorded(&top, &known) {
        return Ok(trees);
    }
    let _lock = cache::lock_blocking(cache, "debian").map_err(PackageError::io("lock", cache))?;
    if let Some(trees) = recorded(&top, &known) {
        return Ok(trees);
    }
    let missing = machine.missing(packages)?;
    for archive in &missing {
        let tree = top.join(&archive.folder);
        if !tree.exists() {
            progress.advanced(&archive.folder, 0, Some(archive.size));
            let unpacked = unpack(machine, archive, &tree);
            progress.finished(&archive.folder);
            unpacked?;
        }
    }
    let names: Vec<&str> = missing.iter().map(|archive| archive.folder.as_str()).collect();
    let fail = || PackageError::io("write", &known);
    fs::create_dir_all(known.parent().unwrap_or(&top)).map_err(fail())?;
    let fresh = known.with_extension("new");
    fs::write(&fresh, names.join("\n")).and_then(|()| fs::rename(&fresh, &known)).map_err(fail())?;
    Ok(names.iter().map(|name| top.join(name)).collect())
}

fn unpack(machine: &Machine, archive: &Archive, tree: &Path) -> Result<(), PackageError> {
    enum Failed {
        Package(PackageError),
        Io(io::Error),
    }
    impl From<io::Error> for Failed {
        fn from(error: io::Error) -> Self {
            Self::Io(error)
        }
    }
    let filled = cache::install(tree, |at| machine.unpack(archive, at).map_err(Failed::Package));
    filled.map_err(|error| match error {
        Failed::Package(error) => error,
        Failed::Io(error) => PackageError::io("install", tree)(error),
    })
}

/// What was found to be missing the last time, as long as all of it is still there.
fn recorded(top: &Path, known: &Path) -> Option<Vec<PathBuf>> {
    let text = fs::read_to_string(known).ok()?;
    let trees: Vec<PathBuf> = text.lines().map(|name| top.join(name)).collect();
    trees.iter().all(|tree| tree.is_dir()).then_some(trees)
}

/// Names a question to apt: it is asked again when something was installed or removed.
fn key(machine: &Machine, packages: &[String]) -> String {
    let status = fs::metadata(&machine.status).ok();
    let changed = status.as_ref().and_then(|status| status.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let text = format!("{packages:?} {changed:?} {:?}", status.map(|status| status.len()));
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A name, and after `=` a version.
fn is_package(line: &str) -> bool {
    let (name, version) = line.split_once('=').unwrap_or((line, "1"));
    let word = |text: &str, more: &[u8]| {
        text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    word(name, b"+-.") && word(version, b"+-.:~")
}

#[cfg(test)]
mod tests;
