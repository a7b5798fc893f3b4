//! Looking after the store from outside the node: loading archives, listing, removing what nobody uses.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use super::error::OciError;
use super::record::Record;
use super::store::Store;
use crate::image::name::Reference;

/// An image of the store and whether it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// What is known of it.
    #[serde(flatten)]
    pub record: Record,
    /// A pod of a running cluster uses it.
    pub in_use: bool,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// Names of the images that are gone; the id of one without a name.
    pub removed: Vec<String>,
    /// Bytes on disk that this gave.
    pub freed: u64,
}

impl Store {
    /// Brings the images of an archive (`None`: of standard input) into the store; `name` is for an image that has none.
    ///
    /// # Errors
    /// When it is no archive of images for this machine, or the store cannot be written.
    pub async fn load(&self, file: Option<&Path>, name: Option<&str>) -> Result<Vec<Record>, OciError> {
        let _bringing = self.begin().await?;
        let (store, file, name) = (self.clone(), file.map(Path::to_owned), name.map(str::to_owned));
        let load = move || {
            let called = file.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
            let stream: Box<dyn Read> = match &file {
                Some(path) => Box::new(File::open(path).map_err(OciError::io("open", path))?),
                None => Box::new(io::stdin().lock()),
            };
            store.load_blocking(&called, stream, name.as_deref())
        };
        blocking(load).await
    }

    /// All images, and which of them are in use.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn stored(&self) -> Result<Vec<Stored>, OciError> {
        let stored = |record: Record| {
            let in_use = self.sole(&record.id)?.is_none();
            Ok(Stored { record, in_use })
        };
        self.list()?.into_iter().map(stored).collect()
    }

    /// Takes a name away from its image, and the image too when it was its last one; by its id, all names.
    ///
    /// # Errors
    /// When there is no such image, or it is in use.
    pub fn remove(&self, name: &str) -> Result<Pruned, OciError> {
        let unknown = || OciError::Unknown { name: name.to_owned() };
        let reference = Reference::parse(name).ok();
        let by_id = |record: &Record| {
            let hex = name.strip_prefix("sha256:").unwrap_or(name);
            hex.len() >= 12 && record.id.hex().starts_with(hex)
        };
        let records = self.list()?;
        let named = reference.as_ref().and_then(|reference| records.iter().find(|record| record.is(reference)));
        let whole = named.is_none() || reference.as_ref().is_some_and(|reference| reference.digest.is_some());
        let record = named.or_else(|| records.iter().find(|record| by_id(record))).ok_or_else(unknown)?;
        let text = reference.as_ref().map(ToString::to_string).unwrap_or_default();
        if !whole && record.names.len() > 1 {
            self.change(&record.id, |record| {
                record.names.retain(|known| *known != text);
                true
            })?;
            return Ok(Pruned { removed: vec![text], freed: 0 });
        }
        let mut pruned = Pruned::default();
        if !self.drop_image(record, &mut pruned)? {
            return Err(OciError::InUse { name: name.to_owned() });
        }
        self.sweep_if_quiet(&mut pruned)?;
        Ok(pruned)
    }

    /// Removes every image that no pod of a running cluster uses, and what broken downloads left.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn prune(&self) -> Result<Pruned, OciError> {
        let mut pruned = Pruned::default();
        for record in self.list()? {
            self.drop_image(&record, &mut pruned)?;
        }
        self.sweep_if_quiet(&mut pruned)?;
        Ok(pruned)
    }

    /// Forgets an image that is not in use; false if it is.
    pub(super) fn drop_image(&self, record: &Record, pruned: &mut Pruned) -> Result<bool, OciError> {
        let Some(_sole) = self.sole(&record.id)? else { return Ok(false) };
        self.change(&record.id, |_| false)?;
        if record.names.is_empty() {
            pruned.removed.push(record.id.to_string());
        }
        pruned.removed.extend(record.names.iter().cloned());
        Ok(true)
    }

    /// Removes layers that nobody needs any more. Where an image is being brought just now, the next one does it.
    pub(super) fn sweep_if_quiet(&self, pruned: &mut Pruned) -> Result<(), OciError> {
        if let Some(quiet) = self.quiet()? {
            pruned.freed += self.sweep(&quiet)?;
        }
        Ok(())
    }
}

/// Runs work that may take minutes on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let task = tokio::task::spawn_blocking(work).await;
    task.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
