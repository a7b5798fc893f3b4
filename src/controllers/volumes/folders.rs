//! The folders of volumes made on demand: one per volume, directly under the configured folder. Nothing outside it is ever
//! created or removed, whatever a name or path in an object says.

use std::path::{Path, PathBuf};

use tinderbox_api::names;
use tinderbox_client::error::Doing;
use tinderbox_client::{Error, Result};

/// Makes and removes folders.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    root: PathBuf,
}

impl Folders {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the folder of a volume is.
    pub(super) fn path(&self, volume: &str) -> Result<PathBuf> {
        if names::dns_subdomain(volume).is_empty() && !volume.contains("..") {
            Ok(self.root.join(volume))
        } else {
            Err(Error::Invalid(format!("\"{volume}\" is no name for the folder of a volume")))
        }
    }

    /// Makes the folder of a volume, open to every user as the pods' users are not known here.
    pub(super) async fn make(&self, volume: &str) -> Result<()> {
        let path = self.path(volume)?;
        blocking(format!("make the volume folder {}", path.display()), move || make(&path)).await
    }

    /// Removes the folder of a volume with all that is in it. A folder that is gone is removed already.
    pub(super) async fn remove(&self, volume: &str) -> Result<()> {
        let path = self.path(volume)?;
        let removed = move || match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        };
        blocking(format!("remove the folder of volume {volume}"), removed).await
    }
}

fn make(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
}

async fn blocking(act: String, work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<()> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(std::io::Error::other(error))).doing(|| act)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_outside() {
        let folders = Folders::new(PathBuf::from("/volumes"));
        assert!(folders.path("pvc-1").is_ok_and(|path| path == Path::new("/volumes/pvc-1")));
        for name in ["", "..", "a/b", "/etc", "a..b", "."] {
            assert!(folders.path(name).is_err(), "{name}");
        }
    }
}
