//! What unpacked packages put into a root view: folders that it does not have as a whole, other files one by one. Reads folders;
//! changes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::image::RootEntry;

/// What nobody reads in a container.
const LEFT_OUT: [&str; 6] = [
    "/usr/share/doc",
    "/usr/share/man",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/bug",
];

/// Puts the trees, each the root of a package, upon a root view. What a package has and the view too, is the package's.
pub(in crate::image) fn graft(trees: &[PathBuf], root: &mut Vec<RootEntry>) -> io::Result<()> {
    trees.iter().try_for_each(|tree| add(tree, Path::new("/"), root))
}

fn add(folder: &Path, at: &Path, root: &mut Vec<RootEntry>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let place = at.join(entry.file_name());
        if LEFT_OUT.iter().any(|left_out| place == Path::new(left_out)) {
            continue;
        }
        if kind.is_dir() {
            let place = followed(place, root);
            if has_folder(&place, root) {
                add(&path, &place, root)?;
            } else {
                root.push(RootEntry::bind(path, place));
            }
        } else if kind.is_symlink() {
            add_link(&path, place, root)?;
        } else {
            root.push(RootEntry::bind(path, place));
        }
    }
    Ok(())
}

fn add_link(path: &Path, place: PathBuf, root: &mut Vec<RootEntry>) -> io::Result<()> {
    let to = fs::read_link(path)?;
    let there = on_machine(&place, root).filter(|there| there.symlink_metadata().is_ok());
    match there {
        None => root.push(RootEntry::symlink(to, place)),
        Some(there) if fs::read_link(&there).is_ok_and(|known| known == to) => {}
        // Nothing can be linked where something is: its content is replaced by that of the file that is meant.
        Some(_) if path.is_file() => root.push(RootEntry::bind(fs::canonicalize(path)?, place)),
        Some(_) => {}
    }
    Ok(())
}

/// The folder that a link of the root view leads to, as `/lib` to `/usr/lib`.
fn followed(place: PathBuf, root: &[RootEntry]) -> PathBuf {
    let link = root.iter().find_map(|entry| match entry {
        RootEntry::Symlink { to, target } if *target == place => Some(Path::new("/").join(to)),
        _ => None,
    });
    link.unwrap_or(place)
}

/// Whether the view has a folder at a place.
fn has_folder(place: &Path, root: &[RootEntry]) -> bool {
    let below = root.iter().any(|entry| match entry {
        RootEntry::Bind { target, .. }
        | RootEntry::Symlink { target, .. }
        | RootEntry::Directory { target, .. }
        | RootEntry::File { target, .. } => target.starts_with(place),
    });
    below || on_machine(place, root).is_some_and(|there| there.is_dir())
}

/// The path on this machine that the view shows at a place.
fn on_machine(place: &Path, root: &[RootEntry]) -> Option<PathBuf> {
    root.iter().rev().find_map(|entry| match entry {
        RootEntry::Bind { source, target } => match place.strip_prefix(target) {
            Ok(rest) if rest.as_os_str().is_empty() => Some(source.clone()),
            Ok(rest) => Some(source.join(rest)),
            Err(_) => None,
        },
        _ => None,
    })
}
