//! Unpacking downloaded archives into a fresh folder. Names come from outside: a path never leaves the folder, and links are
//! not made at all.

mod zip;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;

use super::pip::FetchError;

pub(super) use zip::top_names;

/// Unpacks a source archive: what stands in its one top folder, or in `src` there if that exists.
pub(super) fn sdist(archive: &Path, into: &Path) -> Result<(), FetchError> {
    tar_gz(archive, into, &|path| Some(path.to_owned()))?;
    let src = into.join("src");
    if src.is_dir() {
        let aside = into.join("src.unpacked");
        fs::rename(&src, &aside).map_err(FetchError::io("rename", &src))?;
        merge(&aside, into)?;
    }
    Ok(())
}

/// Unpacks a wheel, and puts its separate library folders where an installation would.
pub(super) fn wheel(archive: &Path, into: &Path) -> Result<(), FetchError> {
    zip::unpack(archive, into)?;
    let entries = fs::read_dir(into).map_err(FetchError::io("read", into))?;
    let data: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "data"))
        .collect();
    for folder in data {
        for library in ["purelib", "platlib"] {
            let library = folder.join(library);
            if library.is_dir() {
                merge(&library, into)?;
            }
        }
    }
    Ok(())
}

fn merge(from: &Path, into: &Path) -> Result<(), FetchError> {
    let entries = fs::read_dir(from).map_err(FetchError::io("read", from))?;
    for entry in entries.flatten() {
        let (path, target) = (entry.path(), into.join(entry.file_name()));
        if path.is_dir() && target.is_dir() {
            merge(&path, &target)?;
        } else {
            fs::rename(&path, &target).map_err(FetchError::io("rename", &path))?;
        }
    }
    fs::remove_dir(from).map_err(FetchError::io("remove", from))
}

/// Unpacks the files of a tar archive. `place` says where a path (without the one top folder) goes, or that it is left out.
pub(super) fn tar_gz(archive: &Path, into: &Path, place: &dyn Fn(&Path) -> Option<PathBuf>) -> Result<(), FetchError> {
    let file = File::open(archive).map_err(FetchError::io("open", archive))?;
    let broken = |error: io::Error| FetchError::Archive { archive: archive.to_owned(), problem: error.to_string() };
    let mut tar = tar::Archive::new(GzDecoder::new(io::BufReader::with_capacity(256 << 10, file)));
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let within: PathBuf = safe(archive, &path)?.components().skip(1).collect();
        let Some(target) = place(&within) else { continue };
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let changed = entry.header().mtime().unwrap_or(0);
        let size = entry.size();
        let target = into.join(safe(archive, &target)?);
        write(&target, &mut entry, executable, size)?;
        // Kept for programs that compare times, as Python and Java do; without it they only work harder.
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
        let _ = File::options().write(true).open(&target).and_then(|file| file.set_modified(time));
    }
    Ok(())
}

/// A path that stays within.
fn safe(archive: &Path, path: &Path) -> Result<PathBuf, FetchError> {
    let mut safe = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => safe.push(name),
            Component::CurDir => {}
            _ => {
                let problem = format!("it holds the path {}", path.display());
                return Err(FetchError::Archive { archive: archive.to_owned(), problem });
            }
        }
    }
    Ok(safe)
}

/// Writes one file, readable by everybody, whatever the umask is.
fn write(target: &Path, content: &mut dyn Read, executable: bool, size: u64) -> Result<(), FetchError> {
    let mode = if executable { 0o755 } else { 0o644 };
    let mut attempt = || {
        directories(target.parent().unwrap_or(target))?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(target)?;
        io::copy(content, &mut file)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    };
    attempt().map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            FetchError::Full { path: target.to_owned(), needed: size }
        }
        _ => FetchError::io("write", target)(error),
    })
}

fn directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        directories(parent)?;
    }
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
