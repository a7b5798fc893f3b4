//! `image`: the store of images that all clusters of this user share. It needs no running cluster.

use std::fs;
use std::path::Path;

use serde::Serialize;
use tinderbox_providers::embedded::images;

pub use images::{Pruned, Stored};

use crate::error::Error;
use crate::event::{Event, Talk};

/// What was loaded.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    /// The images.
    pub loaded: Vec<images::Record>,
}

/// Loads the images of an archive; `-` is standard input.
///
/// # Errors
/// When it is no archive of images for this machine, or the store cannot be written.
pub async fn load(file: &Path, name: Option<&str>, talk: &Talk) -> Result<LoadReport, Error> {
    let path = (file != Path::new("-")).then_some(file);
    if let Some(path) = path {
        fs::metadata(path).map_err(Error::file("open", path))?;
    }
    talk.tell(Event::Step(format!("loading {}", file.display())));
    Ok(LoadReport { loaded: images::load(path, name).await? })
}

/// All images of the store.
///
/// # Errors
/// When it cannot be read.
pub async fn list() -> Result<Vec<Stored>, Error> {
    Ok(images::list().await?)
}

/// Removes images by name or id.
///
/// # Errors
/// When one is not there, or a pod uses it; those before it are gone then.
pub async fn remove(names: &[String]) -> Result<Pruned, Error> {
    let mut all = Pruned::default();
    for name in names {
        let pruned = images::remove(name).await?;
        all.removed.extend(pruned.removed);
        all.freed += pruned.freed;
    }
    Ok(all)
}

/// Removes all images that no pod of a running cluster uses.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn prune() -> Result<Pruned, Error> {
    Ok(images::prune().await?)
}
