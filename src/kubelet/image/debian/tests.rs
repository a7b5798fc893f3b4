//! Packages from a small repository of our own, through the real apt and dpkg: missing, installed, unknown, and put upon a view.

use std::process::Command;

use super::*;
use crate::image::{Quiet, RootEntry};

/// A name, what it needs, and its files with their texts.
type Package<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A repository, and a machine that knows it and has nothing installed.
struct Repository {
    dir: tempfile::TempDir,
    machine: Machine,
}

impl Repository {
    fn new(packages: &[Package<'_>]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("state/lists/partial")).expect("made");
        fs::write(at("state/status"), "").expect("written");
        let mut index = String::new();
        for (name, needs, files) in packages {
            let tree = at(name);
            let mut control = format!("Package: {name}\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: A <a@b>\n");
            if !needs.is_empty() {
                control += &format!("Depends: {needs}\n");
            }
            control += "Description: x\n";
            for (path, text) in [&[("DEBIAN/control", control.as_str())], *files].concat() {
                let path = tree.join(path);
                fs::create_dir_all(path.parent().expect("below a folder")).expect("made");
                fs::write(path, text).expect("written");
            }
            let archive = at(&format!("{name}.deb"));
            let mut build = Command::new("dpkg-deb");
            assert!(
                build
                    .args(["--root-owner-group", "--build"])
                    .arg(&tree)
                    .arg(&archive)
                    .output()
                    .expect("it runs")
                    .status
                    .success()
            );
            let bytes = fs::read(&archive).expect("it was built");
            let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            index += &format!("{control}Filename: ./{name}.deb\nSize: {}\nSHA256: {sum}\n\n", bytes.len());
        }
        fs::write(at("Packages"), index).expect("written");
        fs::write(at("sources.list"), format!("deb [trusted=yes] copy:{} ./\n", dir.path().display()))
            .expect("written");
        let folder = dir.path().display();
        let options = [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            format!("Dir::Etc::sourceparts={folder}/none"),
            format!("Dir::Etc::preferencesparts={folder}/none"),
            format!("Dir::State={folder}/state"),
            format!("Dir::State::status={folder}/state/status"),
            format!("Dir::Cache={folder}/cache"),
        ];
        let machine = Machine { status: at("state/status"), options: options.to_vec() };
        let mut update = Command::new("apt-get");
        update.args(["--quiet=2", "-o", "APT::Sandbox::User=root"]);
        update.args(options.iter().flat_map(|option| ["-o", option])).arg("update");
        assert!(update.status().expect("it runs").success());
        Self { dir, machine }
    }

    fn fetch(&self, packages: &[&str]) -> Result<Vec<PathBuf>, PackageError> {
        let packages: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
        fetch(&self.dir.path().join("tinderbox"), &self.machine, &packages, &Quiet)
    }

    fn installs(&self, name: &str) {
        let text = format!(
            "Package: {name}\nStatus: install ok installed\nMaintainer: A <a@b>\nArchitecture: all\nVersion: 1:2.0-1\nDescription: x\n\n"
        );
        fs::write(&self.machine.status, text).expect("written");
    }
}

fn names(trees: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> =
        trees.iter().map(|tree| tree.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn packages_come_with_what_they_need_and_once() {
    let greet: &[(&str, &str)] = &[("usr/bin/greet", "greet"), ("usr/share/doc/greet/copyright", "x")];
    let repository =
        Repository::new(&[("greet", "words", greet), ("words", "", &[("usr/share/words/hello", "hello")])]);
    let trees = repository.fetch(&["greet"]).expect("it is there");
    assert_eq!(names(&trees), ["greet_1%3a2.0-1_all", "words_1%3a2.0-1_all"]);
    let greet = trees.iter().find(|tree| tree.join("usr/bin/greet").is_file()).expect("it is unpacked");
    assert_eq!(fs::read_to_string(greet.join("usr/bin/greet")).expect("read"), "greet");

    // Nothing is asked a second time: there is nobody left to ask.
    fs::remove_file(repository.dir.path().join("greet.deb")).expect("removed");
    fs::remove_dir_all(repository.dir.path().join("state/lists")).expect("removed");
    assert_eq!(names(&repository.fetch(&["greet"]).expect("in the cache")), names(&trees));

    repository.installs("greet");
    assert_eq!(repository.fetch(&["greet"]).expect("installed"), Vec::<PathBuf>::new());
    assert_eq!(repository.fetch(&["greet=1:2.0-1"]).expect("installed"), Vec::<PathBuf>::new());
}

#[test]
fn what_cannot_be_had_is_told() {
    let repository = Repository::new(&[("greet", "", &[("usr/bin/greet", "greet")])]);
    let error = repository.fetch(&["greet", "gret"]).expect_err("there is none");
    assert_eq!(error.to_string(), "could not find the packages greet gret: E: Unable to locate package gret");
    assert!(error.hint().contains("apt-get update"));
    for line in ["", "-o", "a b", "greet=", "greet=;"] {
        let error = repository.fetch(&[line]).expect_err("no name");
        assert!(matches!(error, PackageError::Name { .. }), "{error}");
    }
    // The archive is not what the lists promise.
    fs::write(repository.dir.path().join("greet.deb"), "other").expect("written");
    let error = repository.fetch(&["greet"]).expect_err("it was changed");
    assert!(error.to_string().starts_with("could not download the package greet_1%3a2.0-1_all: E: "), "{error}");
    let left = fs::read_dir(repository.dir.path().join("tinderbox/debian")).expect("made").count();
    assert_eq!(left, 0);
}

#[test]
fn a_package_stands_upon_the_machine() {
    let dir = tempfile::tempdir().expect("a folder");
    let put = |path: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("below a folder")).expect("made");
        fs::write(path, "x").expect("written");
    };
    for path in ["machine/bin/sh", "machine/lib/libz.so.1", "machine/share/doc/z/copyright"] {
        put(path);
    }
    for path in ["tree/usr/bin/psql", "tree/usr/lib/libz.so.2", "tree/usr/lib/pg/bin/postgres", "tree/lib/modules/m"] {
        put(path);
    }
    for path in ["tree/etc/pg/pg.conf", "tree/opt/x/y", "tree/usr/share/doc/pg/copyright"] {
        put(path);
    }
    std::os::unix::fs::symlink("libz.so.1", dir.path().join("machine/lib/libz.so")).expect("linked");
    std::os::unix::fs::symlink("libz.so.2", dir.path().join("tree/usr/lib/libz.so")).expect("linked");
    std::os::unix::fs::symlink("psql", dir.path().join("tree/usr/bin/sql")).expect("linked");
    let base = vec![
        RootEntry::bind(dir.path().join("machine"), "/usr"),
        RootEntry::symlink("usr/lib", "/lib"),
        RootEntry::directory("/etc", 0o755),
    ];
    let mut root = base.clone();
    let tree = dir.path().join("tree");
    graft(std::slice::from_ref(&tree), &mut root).expect("readable");
    let bind = |from: &str, to: &str| RootEntry::bind(tree.join(from), to);
    let put = [
        bind("etc/pg", "/etc/pg"),
        bind("lib/modules", "/usr/lib/modules"),
        bind("opt", "/opt"),
        bind("usr/bin/psql", "/usr/bin/psql"),
        RootEntry::symlink("psql", "/usr/bin/sql"),
        bind("usr/lib/libz.so.2", "/usr/lib/libz.so"),
        bind("usr/lib/libz.so.2", "/usr/lib/libz.so.2"),
        bind("usr/lib/pg", "/usr/lib/pg"),
    ];
    assert_eq!(root, [base, put.to_vec()].concat());
}
