//! A tree of files that manifests are read from: a folder on disk, a revision of a repository, or memory. Paths are relative
//! to the root of the tree and have no `..` left in them. It only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// A tree of files.
pub trait Tree: Send + Sync {
    /// The content of a file; nothing when there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;

    /// Whether there is a folder at this path.
    fn is_dir(&self, path: &Path) -> bool;

    /// The files of a folder by their paths from the root, in order; those of folders below as well, if asked for.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    fn files(&self, dir: &Path, recurse: bool) -> Result<Vec<PathBuf>>;

    /// The names of the folders in a folder, in order; none where there is no such folder.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    fn children(&self, dir: &Path) -> Result<Vec<String>> {
        let files = if self.is_dir(dir) || dir.as_os_str().is_empty() { self.files(dir, true)? } else { Vec::new() };
        let below = files.iter().filter_map(|file| file.strip_prefix(dir).ok());
        let names = below.filter_map(|file| file.parent()?.components().next());
        let names: BTreeSet<String> = names.map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
        Ok(names.into_iter().collect())
    }

    /// The folders below a folder, at any depth, where files may appear in them later.
    fn folders(&self, dir: &Path) -> Vec<PathBuf> {
        let _ = dir;
        Vec::new()
    }

    /// How people are told of a path.
    fn show(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// The text of a file that has to be there.
///
/// # Errors
/// When it is not there, cannot be read, or is no text.
pub fn text(tree: &dyn Tree, path: &Path) -> Result<String> {
    let shown = tree.show(path);
    let bytes = tree.read(path)?.ok_or_else(|| Error::file("read", &shown)(std::io::ErrorKind::NotFound.into()))?;
    String::from_utf8(bytes).map_err(|_| Error::at(shown.display(), "this is no text in UTF-8"))
}

/// `path` as seen from `dir`, without `.` and `..`; nothing when it leads out of the tree.
#[must_use]
pub fn join(dir: &Path, path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in dir.join(path).components() {
        match part {
            Component::CurDir => (),
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                _ => return None,
            },
            part => out.push(part),
        }
    }
    Some(out)
}

/// A folder on disk. Its own files are shown below `shown`.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
    shown: PathBuf,
}

impl Disk {
    /// The tree below `root`, whose paths are shown as they are from there.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), shown: PathBuf::new() }
    }

    /// The tree in which `path` may lead anywhere, and that path in it. What is read is shown as `path` was written.
    ///
    /// # Errors
    /// When the path is not there.
    pub fn around(path: &Path) -> Result<(Self, PathBuf)> {
        let whole = fs::canonicalize(path).map_err(Error::file("find", path))?;
        let root: PathBuf = whole.components().take_while(|part| !matches!(part, Component::Normal(_))).collect();
        let within = whole.strip_prefix(&root).unwrap_or(&whole).to_owned();
        let shown = if path.is_absolute() { root.clone() } else { PathBuf::new() };
        // A relative path is shown from the folder that it is relative to.
        let here = if path.is_absolute() { None } else { fs::canonicalize(".").ok() };
        let tree = Self { root, shown: here.unwrap_or(shown) };
        Ok((tree, within))
    }
}

impl Disk {
    /// Refuses a file that a link leads to, out of the tree.
    fn within(&self, path: &Path) -> Result<()> {
        let real = |path: &Path| fs::canonicalize(path).map_err(Error::file("find", path));
        if real(path)?.starts_with(real(&self.root)?) {
            return Ok(());
        }
        Err(Error::at(path.display(), "a link leads out of the repository: only its own files are read"))
    }
}

impl Tree for Disk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let path = self.root.join(path);
        match fs::read(&path) {
            Ok(bytes) => self.within(&path).map(|()| Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(_) if path.is_dir() => Ok(None),
            Err(error) => Err(Error::file("read", path)(error)),
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.root.join(path).is_dir()
    }

    fn files(&self, dir: &Path, recurse: bool) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            let shown = self.show(&folder);
            let entries = fs::read_dir(self.root.join(&folder)).map_err(Error::file("list", &shown))?;
            for entry in entries {
                let entry = entry.map_err(Error::file("list", &shown))?;
                let path = folder.join(entry.file_name());
                // A link to a folder may lead back: it is not followed.
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if !is_folder {
                    found.push(path);
                } else if recurse && entry.file_name() != ".git" {
                    folders.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn children(&self, dir: &Path) -> Result<Vec<String>> {
        let shown = self.show(dir);
        let entries = match fs::read_dir(self.root.join(dir)) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(Error::file("list", shown)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::file("list", &shown))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != ".git" {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        found.sort();
        Ok(found)
    }

    fn folders(&self, dir: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![dir.to_owned()];
        while let Some(folder) = open.pop() {
            // A folder that cannot be listed is told of where its files are asked for.
            for entry in fs::read_dir(self.root.join(&folder)).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != ".git" {
                    open.push(folder.join(entry.file_name()));
                }
            }
            found.push(folder);
        }
        found
    }

    fn show(&self, path: &Path) -> PathBuf {
        if self.shown.as_os_str().is_empty() {
            return path.to_owned();
        }
        let whole = self.root.join(path);
        match whole.strip_prefix(&self.shown) {
            Ok(below) if self.shown != self.root => below.to_owned(),
            _ => whole,
        }
    }
}

/// A tree in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    /// A tree of these files.
    pub fn new(files: impl IntoIterator<Item = (impl Into<PathBuf>, impl Into<Vec<u8>>)>) -> Self {
        Self(files.into_iter().map(|(path, content)| (path.into(), content.into())).collect())
    }

    /// Puts a file.
    pub fn put(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), content.into());
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }
}

impl Tree for Memory {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).cloned())
    }

    fn is_dir(&self, path: &Path) -> bool {
        has_folder(self.0.keys(), path)
    }

    fn files(&self, dir: &Path, recurse: bool) -> Result<Vec<PathBuf>> {
        Ok(below(self.0.keys(), dir, recurse))
    }
}

/// Whether one of these files stands below a folder.
pub(crate) fn has_folder<'a>(mut files: impl Iterator<Item = &'a PathBuf>, dir: &Path) -> bool {
    files.any(|file| file != dir && file.starts_with(dir))
}

/// Those of these files that stand in a folder.
pub(crate) fn below<'a>(files: impl Iterator<Item = &'a PathBuf>, dir: &Path, recurse: bool) -> Vec<PathBuf> {
    let found: BTreeSet<&PathBuf> = files
        .filter(|file| if recurse { file.starts_with(dir) } else { file.parent().is_some_and(|parent| parent == dir) })
        .collect();
    found.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_tree() {
        let join = |dir: &str, path: &str| join(Path::new(dir), Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(join("a/b", "../c/./d").as_deref(), Some("a/c/d"));
        assert_eq!(join("", ".").as_deref(), Some(""));
        assert_eq!(join("a", "../../b"), None);
    }

    #[test]
    fn disk_and_memory_list_alike() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = ["x/a.yaml", "x/y/b.yaml", "c.yaml"];
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, file).expect("written");
        }
        let disk = Disk::new(dir.path());
        let memory = Memory::new(files.map(|file| (file, file)));
        for (folder, recurse, count) in [("x", false, 1), ("x", true, 2), ("", true, 3), ("", false, 1)] {
            let folder = Path::new(folder);
            let found = disk.files(folder, recurse).expect("listed");
            assert_eq!(found, memory.files(folder, recurse).expect("listed"));
            assert_eq!(found.len(), count);
        }
        for (folder, expected) in [("", vec!["x"]), ("x", vec!["y"]), ("x/y", vec![]), ("z", vec![])] {
            let folder = Path::new(folder);
            assert_eq!(disk.children(folder).expect("listed"), expected);
            assert_eq!(memory.children(folder).expect("listed"), expected);
        }
        assert!(disk.is_dir(Path::new("x/y")) && memory.is_dir(Path::new("x/y")));
        assert_eq!(text(&disk, Path::new("c.yaml")).expect("there"), "c.yaml");
        assert!(text(&disk, Path::new("d.yaml")).is_err());
    }
}
