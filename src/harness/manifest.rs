//! Manifest files as objects that remember where they come from, and folders of them. It must not talk to a cluster.

use std::fs;
use std::path::{Path, PathBuf};

pub use tinderbox_gitops::Object;
use tinderbox_gitops::kustomize;
use tinderbox_gitops::tree::Disk;

use crate::error::Error;

/// The objects of a path: a kustomization's folder, a folder of manifests, or one file.
///
/// # Errors
/// When a file cannot be read or is broken.
pub fn load(path: &Path) -> Result<Vec<Object>, Error> {
    if !path.is_dir() {
        return read(path);
    }
    let (tree, within) = Disk::around(path)?;
    if kustomize::file_in(&tree, &within)?.is_some() {
        return Ok(kustomize::render(&tree, &within)?);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .map_err(Error::file("list", path))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| {
            file.extension().is_some_and(|extension| matches!(extension.to_str(), Some("yaml" | "yml" | "json")))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::Usage { message: format!("there are no manifests in {}", path.display()), hint: None });
    }
    let mut objects = Vec::new();
    for file in files {
        objects.extend(read(&file)?);
    }
    Ok(objects)
}

/// The objects of one file.
///
/// # Errors
/// When it cannot be read or is broken.
pub fn read(path: &Path) -> Result<Vec<Object>, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    parse(path, &text)
}

/// The objects of a text that was read from `path`.
///
/// # Errors
/// When it is broken, or holds something that is no object; with line and column.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Object>, Error> {
    Ok(tinderbox_gitops::manifest::parse(path, text)?)
}
