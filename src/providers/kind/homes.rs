//! Which home stands behind the figures at the end of a cluster's name in the engine, for all projects of this user: noted before the
//! first cluster of a home is made, so that what is left of one that was removed is known for what it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tinderbox_kubelet::image::cache_dir;

use crate::Error;
use crate::folder::{owner, replace};

fn note(owner: &str) -> PathBuf {
    cache_dir().join("homes").join(owner)
}

/// Notes a home.
pub(super) fn enter(home: &Path) -> Result<(), Error> {
    let path = note(&owner(home));
    let fail = |source| Error::File { act: "write", path: path.clone(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    let text = serde_json::to_vec(home).map_err(|error| fail(io::Error::other(error)))?;
    replace(&path, &text).map_err(fail)
}

/// Forgets a home that is gone.
pub(super) fn leave(home: &Path) {
    if !home.exists() {
        // A note that stays does no harm: it leads to nothing.
        let _ = fs::remove_file(note(&owner(home)));
    }
}

/// The home behind such figures, if it is known.
pub(super) fn behind(owner: &str) -> Option<PathBuf> {
    serde_json::from_slice(&fs::read(note(owner)).ok()?).ok()
}
