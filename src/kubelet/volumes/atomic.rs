//! Files that change all at once: a dated folder behind the `..data` link, and one link per file beside it.
//! Upstream rule: k8s.io/kubernetes `pkg/volume/util/atomic_writer.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path};

use bytes::Bytes;
use jiff::Timestamp;

use super::owner::Owner;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// One file of a projected volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectedFile {
    pub(crate) content: Bytes,
    pub(crate) mode: u32,
    /// A secret of the pod's own user (a token).
    pub(crate) private: bool,
}

/// Files by relative path.
pub(crate) type Files = BTreeMap<String, ProjectedFile>;

/// Makes `folder` hold exactly `files`; true when something changed.
pub(crate) fn write(folder: &Path, files: &Files, owner: &Owner, now: Timestamp) -> io::Result<bool> {
    if let Some(bad) = files.keys().find(|path| !is_inside(path)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the path {bad:?} leads out of the volume")));
    }
    fs::create_dir_all(folder)?;
    let old = fs::read_link(folder.join(DATA)).ok();
    if let Some(old) = &old
        && is_same(&folder.join(old), files)
    {
        return Ok(false);
    }
    owner.give_folder(folder)?;
    let name = format!("..{}", now.strftime("%Y_%m_%d_%H_%M_%S.%9N"));
    let dated = folder.join(&name);
    match fs::create_dir(&dated) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_dir_all(&dated)?;
            fs::create_dir(&dated)?;
        }
        made => made?,
    }
    owner.give_folder(&dated)?;
    for (path, file) in files {
        let target = dated.join(path);
        make_parents(&dated, path, owner)?;
        fs::write(&target, &file.content)?;
        owner.give_file(&target, file.mode, file.private)?;
    }
    let _ = fs::remove_file(folder.join(NEW_DATA));
    symlink(&name, folder.join(NEW_DATA))?;
    fs::rename(folder.join(NEW_DATA), folder.join(DATA))?;
    link(folder, files)?;
    if let Some(old) = old
        && old.as_os_str() != name.as_str()
    {
        fs::remove_dir_all(folder.join(old))?;
    }
    Ok(true)
}

/// A path that stays below the folder that it is joined to.
pub(crate) fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_))) && !path.starts_with("..")
}

fn make_parents(top: &Path, path: &str, owner: &Owner) -> io::Result<()> {
    let mut folder = top.to_owned();
    let parents = Path::new(path).parent().into_iter().flat_map(Path::components);
    for part in parents {
        folder.push(part);
        if !folder.exists() {
            fs::create_dir(&folder)?;
            owner.give_folder(&folder)?;
        }
    }
    Ok(())
}

fn is_same(dated: &Path, files: &Files) -> bool {
    let mut seen = BTreeMap::new();
    if collect(dated, dated, &mut seen).is_err() {
        return false;
    }
    seen.len() == files.len()
        && files.iter().all(|(path, file)| seen.get(path).is_some_and(|known| *known == file.content))
}

fn collect(top: &Path, folder: &Path, seen: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(top, &path, seen)?;
        } else if let Ok(name) = path.strip_prefix(top) {
            seen.insert(name.to_string_lossy().into_owned(), fs::read(&path)?);
        }
    }
    Ok(())
}

/// Brings the visible links in line with the files.
fn link(folder: &Path, files: &Files) -> io::Result<()> {
    let tops: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for top in &tops {
        let visible = folder.join(top);
        if fs::symlink_metadata(&visible).is_err() {
            symlink(Path::new(DATA).join(top), &visible)?;
        }
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !tops.contains(name.as_ref()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::HostIds;
    use k8s_openapi::api::core::v1::Pod;

    fn files(list: &[(&str, &str)]) -> Files {
        let file =
            |content: &str| ProjectedFile { content: Bytes::from(content.to_owned()), mode: 0o644, private: false };
        list.iter().map(|(path, content)| ((*path).to_owned(), file(content))).collect()
    }

    #[test]
    fn changes_at_once_and_leaves_nothing_old() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("v");
        let owner = Owner::of_pod(&Pod::default(), HostIds::Single { uid: 0, gid: 0 });
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = files(&[("a", "1"), ("sub/b", "2")]);
        assert!(write(&folder, &first, &owner, at(1)).unwrap());
        assert!(!write(&folder, &first, &owner, at(2)).unwrap());
        assert_eq!(fs::read_link(folder.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::read_to_string(folder.join("sub/b")).unwrap(), "2");
        let inode = fs::read_link(folder.join(DATA)).unwrap();
        assert!(write(&folder, &files(&[("a", "3"), ("c", "4")]), &owner, at(3)).unwrap());
        assert_ne!(fs::read_link(folder.join(DATA)).unwrap(), inode);
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "3");
        let names: BTreeSet<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("..1"))
            .collect();
        assert_eq!(names, ["..data", "a", "c"].map(str::to_owned).into());
    }

    #[test]
    fn paths_stay_inside() {
        for (path, inside) in
            [("a", true), ("a/b", true), ("", false), ("/a", false), ("a/../../b", false), ("..x", false)]
        {
            assert_eq!(is_inside(path), inside, "{path}");
        }
    }
}
