//! The house's own rules, as tests: what every file must look like. It reads the working tree and runs nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// Lines after which a file must be split.
const LINES_MAX: usize = 500;

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn every_file(check: impl Fn(&str) -> Option<String>) {
    let mut files = Vec::new();
    for room in ["src", "xtask", "tests"] {
        rust_files(&root().join(room), &mut files);
    }
    assert!(files.len() > 20, "found only {} files", files.len());
    let complaint = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        check(&text).map(|why| format!("{}: {why}", file.strip_prefix(root()).unwrap().display()))
    };
    let complaints: Vec<String> = files.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    every_file(|text| (!text.starts_with("//!")).then(|| "does not begin with //!".to_owned()));
}

#[test]
fn no_file_is_longer_than_comfort() {
    every_file(|text| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{lines} lines, more than {LINES_MAX}"))
    });
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", concat!("TO", "DO"), concat!("FIX", "ME")];
    every_file(|text| {
        let allowed = |line: &&str| !line.contains("let words");
        let found = text.lines().filter(allowed).find(|line| words.iter().any(|word| line.contains(word)));
        found.map(|line| format!("unfinished: {}", line.trim()))
    });
}
