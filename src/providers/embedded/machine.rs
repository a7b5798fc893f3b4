//! What the machine gives: trying what every pod needs, and reading limits. It changes nothing that stays.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use tinderbox_kubelet::cgroups::{self, Groups};
use tinderbox_kubelet::image;
use tinderbox_kubelet::sandbox::{HostIds, Place, PlaceConfig};

use crate::{Class, Error};
pub use tinderbox_kubelet::image::{Language, cache_dir};

/// How ids inside pods appear on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// A range of their own, since this user may give them one.
    Range,
    /// The calling user's, for all of them.
    Own,
}

/// Makes a place as `up` does (user, mount, process and network namespaces, a bridge, /proc and a tmpfs), and takes it away again.
///
/// # Errors
/// When the machine refuses; with the remedy as the hint, where one is known.
pub async fn try_place() -> Result<Ids, Error> {
    let started = tokio::task::spawn_blocking(|| Place::start(PlaceConfig::default())).await;
    let failed = |source: Box<dyn std::error::Error + Send + Sync>, hint| Error::Compose {
        act: "make a place where pods could run".to_owned(),
        source,
        hint,
        class: Class::Environment,
    };
    let place = match started {
        Ok(Ok(place)) => place,
        Ok(Err(error)) => {
            let hint = error.hint().map(str::to_owned);
            return Err(failed(Box::new(error), hint));
        }
        Err(error) => return Err(failed(Box::new(error), None)),
    };
    let ids = match place.ids() {
        HostIds::Range { .. } => Ids::Range,
        HostIds::Single { .. } => Ids::Own,
    };
    place.stop().await;
    Ok(ids)
}

/// What holds containers to their limits here, in words; `None` where control groups cannot be made.
pub async fn limits() -> Option<&'static str> {
    let look = || {
        let dir = tempfile::tempdir().ok()?;
        let found = Groups::open(dir.path()).map(|groups| groups.describe());
        cgroups::clear(dir.path());
        found
    };
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

/// The Java that Spark's images use here, or why there is none.
pub async fn java() -> Result<Language, String> {
    told(tokio::task::spawn_blocking(image::java).await)
}

/// The Python that Spark's images use here, or why there is none.
pub async fn python() -> Result<Language, String> {
    told(tokio::task::spawn_blocking(image::python).await)
}

fn told<T, E: std::fmt::Display>(found: Result<Result<T, E>, tokio::task::JoinError>) -> Result<T, String> {
    match found {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes a file without a name in the nearest folder of `path` that exists; nothing stays of it.
///
/// # Errors
/// When the file system refuses.
pub fn try_write(path: &Path) -> io::Result<()> {
    tempfile::tempfile_in(nearest(path)).and_then(|mut file| file.write_all(b"x"))
}

/// The folder itself, or the nearest one above it that exists.
#[must_use]
pub fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

/// Free bytes for this user on the file system of `path`, or of the nearest folder above it that exists.
///
/// # Errors
/// When the file system does not say.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(nearest(path))?;
    Ok(stat.blocks_available() * stat.fragment_size())
}

/// How many files this user's processes may have open at most.
///
/// # Errors
/// When the kernel does not say.
pub fn open_files() -> io::Result<u64> {
    let (_, most) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
    Ok(most)
}

/// A number in /proc/sys.
#[must_use]
pub fn kernel_number(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}
