//! Manifest files as objects that remember where they come from, and folders of them. It must not talk to a cluster.

use std::path::{Path, PathBuf};
use std::{fs, io};

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
    let files = files_in(path, &["yaml", "yml", "json"]).map_err(Error::file("list", path))?;
    if files.is_empty() {
        return Err(Error::Usage { message: format!("there are no manifests in {}", path.display()), hint: None });
    }
    let mut objects = Vec::new();
    for file in files {
        objects.extend(read(&file)?);
    }
    Ok(objects)
}

/// The one object of some kinds: what a flag gives is given to it.
///
/// # Errors
/// When there is none, or there are several of these `plural`.
pub(crate) fn only<'a>(
    objects: &'a [Object],
    kinds: &[&str],
    plural: &str,
    (given, flag): (&str, &str),
) -> Result<&'a Object, Error> {
    let mut found = objects.iter().filter(|object| kinds.iter().any(|kind| object.value["kind"] == *kind));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Error::Usage {
            message: format!("there is no {} in it that {given} could be given to", kinds.join(" or ")),
            hint: Some(format!("leave {flag} out")),
        }),
        (Some(first), Some(second)) => Err(Error::Usage {
            message: format!("there are several {plural} in it: {}, {} …", first.name().name, second.name().name),
            hint: Some("name the file of one of them".to_owned()),
        }),
    }
}

/// The files of a folder that end so, in order.
pub(crate) fn files_in(folder: &Path, ends: &[&str]) -> io::Result<Vec<PathBuf>> {
    let all = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let ends = |file: &PathBuf| file.extension().and_then(|end| end.to_str()).is_some_and(|end| ends.contains(&end));
    let mut files: Vec<PathBuf> = all.filter(ends).collect();
    files.sort();
    Ok(files)
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
