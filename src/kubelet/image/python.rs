//! Finding a Python of a fitting version on this machine, and how a container sees it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::RootEntry;

/// Where a Python from outside /usr stands in a container.
const ELSEWHERE: &str = "/opt/python";

/// A Python installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Python {
    /// The program on this machine.
    pub(super) program: PathBuf,
    /// Major and minor version.
    pub(super) version: (u32, u32),
    /// Its folder, without any virtual environment.
    prefix: PathBuf,
}

/// No Python fits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it needs Python 3.{lowest} to 3.{highest}, and {found}")]
pub struct PythonError {
    lowest: u32,
    highest: u32,
    found: String,
}

impl Python {
    /// The program in a container.
    pub(super) fn target(&self) -> PathBuf {
        match self.program.strip_prefix(&self.prefix) {
            Ok(within) if !self.program.starts_with("/usr") => Path::new(ELSEWHERE).join(within),
            _ => self.program.clone(),
        }
    }

    /// What a root view needs besides /usr, the names `python` and `python3` among it.
    pub(super) fn root(&self) -> Vec<RootEntry> {
        let mut root = Vec::new();
        if !self.program.starts_with("/usr") {
            root.push(RootEntry::bind(&self.prefix, ELSEWHERE));
        }
        for name in ["python", "python3"] {
            root.push(RootEntry::symlink(self.target(), Path::new(LINKS).join(name)));
        }
        root
    }

    /// The version as in `3.11`.
    pub(super) fn version_text(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }
}

/// A folder for the PATH, in which the names of the chosen Python stand.
pub(super) const LINKS: &str = "/opt/bin";

/// The first Python 3 with one of these minor versions: that of the system, another one in /usr/bin, the one on the PATH.
pub(super) fn find(minors: RangeInclusive<u32>) -> Result<Python, PythonError> {
    let newest_first = minors.clone().rev().map(|minor| format!("/usr/bin/python3.{minor}"));
    let mut programs: Vec<PathBuf> = vec!["/usr/bin/python3".into()];
    programs.extend(newest_first.map(PathBuf::from));
    programs.extend(which::which_all("python3").into_iter().flatten());
    choose(programs, minors)
}

fn choose(programs: Vec<PathBuf>, minors: RangeInclusive<u32>) -> Result<Python, PythonError> {
    let mut found: Vec<Python> = Vec::new();
    for program in programs {
        let Some(python) = look(&program) else { continue };
        if python.version.0 == 3 && minors.contains(&python.version.1) {
            return Ok(python);
        }
        if !found.contains(&python) {
            found.push(python);
        }
    }
    let describe = |python: &Python| format!("{} at {}", python.version_text(), python.program.display());
    let list: Vec<_> = found.iter().map(describe).collect();
    Err(PythonError {
        lowest: *minors.start(),
        highest: *minors.end(),
        found: if list.is_empty() { "there is none".to_owned() } else { format!("there is only {}", list.join(", ")) },
    })
}

/// Asks a Python what it is; a wrapper of a version manager answers for the one behind it.
fn look(program: &Path) -> Option<Python> {
    const QUESTION: &str = "import sys; print(sys.version_info[0], sys.version_info[1], sys.base_prefix, sep='\\n')";
    if !program.exists() {
        return None;
    }
    let output = Command::new(program).args(["-I", "-S", "-c", QUESTION]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines();
    let version = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
    let prefix = PathBuf::from(lines.next()?);
    let within_usr = program.starts_with("/usr") && prefix.starts_with("/usr");
    let program = if within_usr {
        program.to_owned()
    } else {
        prefix.join("bin").join(format!("python{}.{}", version.0, version.1))
    };
    Some(Python { program, version, prefix })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn pretend(path: &Path, minor: u32, prefix: &str) {
        fs::write(path, format!("#!/bin/sh\nprintf '3\\n{minor}\\n{prefix}\\n'\n")).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
    }

    #[test]
    fn a_python_in_a_range_is_chosen_and_the_others_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let (new, fit) = (dir.path().join("new"), dir.path().join("fit"));
        pretend(&new, 14, "/pythons/3.14");
        pretend(&fit, 12, "/pythons/3.12");
        let missing = dir.path().join("missing");
        let found = choose(vec![missing.clone(), new.clone(), fit], 9..=13).expect("found");
        assert_eq!((found.version, found.program.as_path()), ((3, 12), Path::new("/pythons/3.12/bin/python3.12")));
        assert_eq!(found.target(), Path::new("/opt/python/bin/python3.12"));
        assert!(found.root().contains(&RootEntry::bind("/pythons/3.12", "/opt/python")));
        let error = choose(vec![new], 9..=13).expect_err("too new").to_string();
        assert_eq!(error, "it needs Python 3.9 to 3.13, and there is only 3.14 at /pythons/3.14/bin/python3.14");
        let error = choose(vec![missing], 9..=13).expect_err("none").to_string();
        assert_eq!(error, "it needs Python 3.9 to 3.13, and there is none");
    }

    #[test]
    fn the_one_of_this_machine_is_found() {
        let python = find(6..=99).expect("this machine has one");
        assert_eq!(python.version.0, 3);
        assert!(python.program.exists());
    }
}
