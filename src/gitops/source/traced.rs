//! A tree that notes what is read of it, and whether that has changed on disk since. It only looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::error::Result;
use crate::tree::Tree;

/// How paths looked at a moment, files and folders alike: nothing for one that was not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks(BTreeMap<PathBuf, Option<(u64, SystemTime)>>);

/// A folder on disk whose readers leave a trace.
pub struct Traced<'a> {
    tree: &'a dyn Tree,
    root: &'a Path,
    looks: Mutex<Looks>,
    read: Mutex<BTreeSet<PathBuf>>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// Files that were read and folders that were listed.
    pub read: Vec<PathBuf>,
    /// How these looked before, and those that something might have been at.
    pub looks: Looks,
}

impl<'a> Traced<'a> {
    /// Notes what is read of this tree, which is the folder `root`.
    pub fn new(tree: &'a dyn Tree, root: &'a Path) -> Self {
        Self { tree, root, looks: Mutex::default(), read: Mutex::default() }
    }

    /// What was read.
    #[must_use]
    pub fn trace(self) -> Trace {
        let read = self.read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let looks = self.looks.into_inner().unwrap_or_else(PoisonError::into_inner);
        Trace { read: read.into_iter().collect(), looks }
    }

    /// Notes how a path looks before anything is made of it.
    fn ask(&self, path: &Path) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).add(self.root, path.to_owned());
    }

    fn reads(&self, path: &Path) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }
}

impl Tree for Traced<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.ask(path);
        let content = self.tree.read(path);
        if !matches!(content, Ok(None)) {
            self.reads(path);
        }
        content
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.ask(path);
        self.tree.is_dir(path)
    }

    fn files(&self, dir: &Path, recurse: bool) -> Result<Vec<PathBuf>> {
        let below = if recurse { self.tree.folders(dir) } else { Vec::new() };
        for folder in below.iter().map(PathBuf::as_path).chain([dir]) {
            self.ask(folder);
            self.reads(folder);
        }
        self.tree.files(dir, recurse)
    }

    fn children(&self, dir: &Path) -> Result<Vec<String>> {
        self.ask(dir);
        self.reads(dir);
        self.tree.children(dir)
    }

    fn folders(&self, dir: &Path) -> Vec<PathBuf> {
        self.tree.folders(dir)
    }

    fn show(&self, path: &Path) -> PathBuf {
        self.tree.show(path)
    }
}

impl Looks {
    /// Notes how a path below `root` looks now, unless it is known already.
    pub fn add(&mut self, root: &Path, path: PathBuf) {
        let look = look(root, &path);
        self.0.entry(path).or_insert(look);
    }

    /// Takes in what is known of other paths.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// How the same paths look now.
    #[must_use]
    pub fn again(&self, root: &Path) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), look(root, path))).collect())
    }
}

fn look(root: &Path, path: &Path) -> Option<(u64, SystemTime)> {
    let found = std::fs::metadata(root.join(path)).ok()?;
    Some((found.len(), found.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::tree::Disk;

    #[test]
    fn what_was_read_is_known_to_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
        put("k/kustomization.yaml", "resources: [../base, a.yaml]\n");
        put("k/a.yaml", &map("a"));
        put("base/kustomization.yml", "resources: [b.yaml]\n");
        put("base/b.yaml", &map("b"));
        put("d/deep/c.yaml", &map("c"));
        put("other.yaml", &map("o"));
        let disk = Disk::new(dir.path());
        let look = |source: serde_json::Value| {
            let traced = Traced::new(&disk, dir.path());
            let source = serde_json::from_value(source).expect("a source");
            let request = super::super::Request { source, ..Default::default() };
            super::super::render(&traced, &request, &super::super::Helm::default()).expect("rendered");
            let trace = traced.trace();
            (trace.looks, trace.read)
        };
        let (looks, read) = look(json!({"path": "k"}));
        let read: Vec<String> = read.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(read, ["base/b.yaml", "base/kustomization.yml", "k/a.yaml", "k/kustomization.yaml"]);
        put("other.yaml", "changed");
        assert_eq!(looks.again(dir.path()), looks);
        put("base/b.yaml", &map("longer"));
        assert_ne!(looks.again(dir.path()), looks);
        // A file that would be read instead of another, were it there.
        let (looks, _) = look(json!({"path": "k"}));
        put("base/kustomization.yaml", "resources: [b.yaml]\n");
        assert_ne!(looks.again(dir.path()), looks);
        // A folder of a listed tree that gets its first file.
        fs::create_dir(dir.path().join("d/empty")).expect("made");
        let (looks, _) = look(json!({"path": "d", "directory": {"recurse": true}}));
        put("d/empty/e.yaml", &map("e"));
        assert_ne!(looks.again(dir.path()), looks);
    }
}
