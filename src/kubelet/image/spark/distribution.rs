//! The distribution: the whole of the `pyspark` source package, laid out as a Spark home in the cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Python;
use crate::image::cache;
use crate::image::pip::{FetchError, Fetcher};
use crate::image::progress::Progress;
use crate::image::unpack;

/// What stands in a Spark home, besides its scripts.
pub(super) const PARTS: [&str; 6] = ["sbin", "jars", "python", "examples", "data", "licenses"];

/// Where the parts of the package go.
const PLACES: [(&str, &str); 8] = [
    ("deps/bin", "bin"),
    ("deps/sbin", "sbin"),
    ("deps/jars", "jars"),
    ("deps/data", "data"),
    ("deps/licenses", "licenses"),
    ("deps/examples", "examples/src/main/python"),
    ("pyspark", "python/pyspark"),
    ("lib", "python/lib"),
];

/// Compiles the modules in folders and archives, given as arguments.
const COMPILE: &str = include_str!("compile.py");

/// The Spark home of a version; downloads it if it is not there.
pub(super) async fn get(
    cache: &Path,
    version: &str,
    python: &Python,
    progress: &dyn Progress,
) -> Result<PathBuf, FetchError> {
    let target = cache.join("spark").join(version);
    let unpack = move |archive: &Path, into: &Path| {
        unpack::tar_gz(archive, into, &place)?;
        for part in PARTS.iter().chain(&["bin"]) {
            fs::create_dir_all(into.join(part)).map_err(FetchError::io("create", into))?;
        }
        Ok(())
    };
    Fetcher::new(cache, progress).source(("pyspark", version), &target, unpack).await?;
    let done = target.join(format!("compiled-for-{}", python.version_text()));
    if !done.exists() {
        let _lock = cache::lock(cache, &format!("pyspark-{version}")).await.map_err(FetchError::io("lock", cache))?;
        let (python, home) = (python.clone(), target.clone());
        let compiled = tokio::task::spawn_blocking(move || compile(&python, &home, &done));
        // It only saves time, and is tried again by the next one.
        if let Err(error) = compiled.await.map_err(io::Error::other).and_then(|result| result) {
            tracing::warn!(%error, "could not compile Spark's Python modules");
        }
    }
    Ok(target)
}

/// The scripts in `bin`, by name.
pub(super) fn scripts(home: &Path) -> Vec<String> {
    let mut names = names(&home.join("bin"));
    names.retain(|name| !name.ends_with(".cmd"));
    names
}

/// The archives of the libraries that Spark's Python modules need, by name.
pub(super) fn python_libraries(home: &Path) -> Vec<String> {
    let mut names = names(&home.join("python/lib"));
    names.retain(|name| name.starts_with("py4j-") && name.ends_with(".zip"));
    names
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn place(path: &Path) -> Option<PathBuf> {
    PLACES.iter().find_map(|(from, to)| Some(Path::new(to).join(path.strip_prefix(from).ok()?)))
}

/// Compiles the Python modules once: containers see them read-only, and would do it at every start of driver and workers.
fn compile(python: &Python, home: &Path, done: &Path) -> io::Result<()> {
    if done.exists() {
        return Ok(());
    }
    let output = Command::new(&python.program).args(["-I", "-c", COMPILE]).arg(home.join("python")).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    fs::write(done, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::python;

    #[test]
    fn the_package_becomes_a_spark_home() {
        for (from, to) in [
            ("deps/jars/a.jar", "jars/a.jar"),
            ("deps/examples/sql/b.py", "examples/src/main/python/sql/b.py"),
            ("pyspark/sql/__init__.py", "python/pyspark/sql/__init__.py"),
            ("lib/py4j-0.10.9.9-src.zip", "python/lib/py4j-0.10.9.9-src.zip"),
        ] {
            assert_eq!(place(Path::new(from)), Some(PathBuf::from(to)));
        }
        assert_eq!(place(Path::new("setup.py")), None);
        assert_eq!(place(Path::new("library/x")), None);
    }

    #[test]
    fn modules_are_compiled_in_folders_and_archives() {
        let python = python::find(6..=99).expect("this machine has one");
        let dir = tempfile::tempdir().expect("a folder");
        let lib = dir.path().join("python/lib");
        fs::create_dir_all(dir.path().join("python/thing")).expect("made");
        fs::create_dir_all(&lib).expect("made");
        fs::write(dir.path().join("python/thing/__init__.py"), "print('folder')").expect("written");
        fs::write(dir.path().join("python/thing/broken.py"), "def").expect("written");
        let pack = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z: z.writestr('other/__init__.py', 'print(__cached__)')";
        let packed = Command::new(&python.program).args(["-c", pack]).arg(lib.join("other.zip")).status();
        assert!(packed.expect("runs").success());
        let done = dir.path().join("done");
        for _ in 0..2 {
            compile(&python, dir.path(), &done).expect("compiles");
            fs::remove_file(&done).expect("says so");
        }
        let cached = fs::read_dir(dir.path().join("python/thing/__pycache__")).expect("is there").count();
        assert_eq!(cached, 1);
        let question = "import sys; sys.path[:0] = sys.argv[1:]; import other, thing; print(other.__file__)";
        let paths = [lib.join("other.zip"), dir.path().join("python")];
        let output = Command::new(&python.program).args(["-c", question]).args(paths).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("folder") && said.trim_end().ends_with("other.zip/other/__init__.pyc"), "{said}");
    }
}
