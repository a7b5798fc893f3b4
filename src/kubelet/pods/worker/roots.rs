//! Where containers of images with layers write: a folder per run, on the disk of the cluster's state, which goes with the run.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::Worker;
use crate::image::{Image, remove_tree};
use crate::sandbox::{HostIds, Layers};

/// Below a pod's folder.
const ROOTS: &str = "roots";

impl Worker {
    /// The layers of an image for a run, and new folders for what it writes.
    pub(super) fn layers(&self, run: &str, image: &Image) -> io::Result<Option<Layers>> {
        let Some(unpacked) = &image.unpacked else { return Ok(None) };
        let folder = self.folder.join(ROOTS).join(run);
        let [upper, work] = ["upper", "work"].map(|name| folder.join(name));
        for path in [&upper, &work] {
            fs::create_dir_all(path)?;
        }
        // The root of a container looks as its topmost layer does.
        let (mut mode, mut owner) = (0o755, (self.context.place.ids().uid(0), self.context.place.ids().gid(0)));
        if let Some(top) = unpacked.layers.first() {
            let top = fs::metadata(top)?;
            (mode, owner) = (top.mode() & 0o7777, (top.uid(), top.gid()));
        }
        if matches!(self.context.place.ids(), HostIds::Range { .. }) {
            for path in [&upper, &work] {
                chown(path, Some(owner.0), Some(owner.1))?;
            }
        }
        fs::set_permissions(&upper, fs::Permissions::from_mode(mode))?;
        Ok(Some(Layers { lower: unpacked.layers.clone(), upper, work, volumes: unpacked.volumes.clone() }))
    }

    /// Removes what a run has written; it has ended, and nobody can read it.
    pub(super) fn remove_root(&self, run: &str) {
        let folder = self.folder.join(ROOTS).join(run);
        if folder.exists() {
            tokio::task::spawn_blocking(move || remove(&folder));
        }
    }
}

/// Removes what containers have written that a killed node process left: none of them is alive.
pub(crate) fn remove_roots(pods: &Path) {
    let folders = fs::read_dir(pods).into_iter().flatten().flatten();
    folders.map(|entry| entry.path().join(ROOTS)).filter(|path| path.exists()).for_each(|path| remove(&path));
}

fn remove(folder: &Path) {
    if let Err(error) = remove_tree(folder) {
        tracing::warn!(%error, path = %folder.display(), "cannot remove what a container has written");
    }
}
