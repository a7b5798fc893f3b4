//! Finding a Java of a fitting version on this machine. It runs no Java where the installation says itself what it is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::RootEntry;

/// A Java installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Java {
    /// Its folder on this machine, without links.
    pub(super) home: PathBuf,
    /// The whole version, as in `17.0.15`.
    pub(super) version: String,
    /// What it was built from, which differs between builds of one version.
    pub(super) build: String,
    /// Where a stripped runtime lacks it, Spark does not start.
    has_vector: bool,
}

/// No Java fits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it needs Java {wanted}, and {}", found_text(found))]
pub struct JavaError {
    wanted: String,
    found: Vec<String>,
}

fn found_text(found: &[String]) -> String {
    if found.is_empty() { "there is none".to_owned() } else { format!("there is only {}", found.join(", ")) }
}

impl Java {
    /// The feature release, as in 17.
    pub(super) fn major(&self) -> u32 {
        let mut parts = self.version.split(['.', '-', '+', '_']).map(|part| part.parse().unwrap_or(0));
        match parts.next() {
            Some(1) => parts.next().unwrap_or(0),
            first => first.unwrap_or(0),
        }
    }

    /// Where it stands in a container: at its own place within /usr, else below /opt/java.
    pub(super) fn target(&self) -> PathBuf {
        if self.home.starts_with("/usr") {
            self.home.clone()
        } else {
            Path::new("/opt/java").join(self.home.file_name().unwrap_or_default())
        }
    }

    /// What a root view needs besides /usr.
    pub(super) fn root(&self) -> Option<RootEntry> {
        (self.target() != self.home).then(|| RootEntry::bind(&self.home, self.target()))
    }
}

/// The first Java of one of the `wanted` feature releases: `$JAVA_HOME`, the one on the PATH, those in /usr/lib/jvm.
pub(super) fn find(wanted: &[u32], with_vector: bool) -> Result<Java, JavaError> {
    let jvms = Path::new("/usr/lib/jvm");
    choose(
        candidates(env::var_os("JAVA_HOME").map(PathBuf::from), which::which("java").ok(), jvms),
        wanted,
        with_vector,
    )
}

fn candidates(java_home: Option<PathBuf>, on_path: Option<PathBuf>, jvms: &Path) -> Vec<PathBuf> {
    let mut programs: Vec<PathBuf> = java_home.into_iter().map(|home| home.join("bin/java")).collect();
    programs.extend(on_path);
    let mut installed: Vec<PathBuf> = fs::read_dir(jvms)
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin/java")).collect())
        .unwrap_or_default();
    installed.sort();
    programs.extend(installed);
    programs.retain(|program| program.exists());
    programs
}

fn choose(programs: Vec<PathBuf>, wanted: &[u32], with_vector: bool) -> Result<Java, JavaError> {
    let mut found: Vec<Java> = Vec::new();
    for program in programs {
        let Some(java) = look(&program) else { continue };
        if wanted.contains(&java.major()) && (java.has_vector || !with_vector) {
            return Ok(java);
        }
        if !found.contains(&java) {
            found.push(java);
        }
    }
    let describe = |java: &Java| {
        let fits = wanted.contains(&java.major());
        let lack = if fits { " without the module jdk.incubator.vector" } else { "" };
        format!("{}{lack} in {}", java.version, java.home.display())
    };
    Err(JavaError {
        wanted: wanted.iter().map(u32::to_string).collect::<Vec<_>>().join(" or "),
        found: found.iter().map(describe).collect(),
    })
}

fn look(program: &Path) -> Option<Java> {
    let program = fs::canonicalize(program).ok()?;
    let home = program.parent()?.parent()?.to_owned();
    // Java 8 keeps a second `bin` in `jre`.
    let home = if home.ends_with("jre") { home.parent()?.to_owned() } else { home };
    match fs::read_to_string(home.join("release")) {
        Ok(release) => from_release(home, &release),
        Err(_) => ask(&program),
    }
}

fn from_release(home: PathBuf, release: &str) -> Option<Java> {
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let version = value("JAVA_VERSION")?;
    let build = value("JAVA_RUNTIME_VERSION").unwrap_or_else(|| version.clone());
    let has_vector =
        value("MODULES").is_none_or(|modules| modules.split(' ').any(|module| module == "jdk.incubator.vector"));
    Some(Java { home, version, build, has_vector })
}

/// A wrapper (of a version manager, say) is asked what it runs.
fn ask(program: &Path) -> Option<Java> {
    let output = Command::new(program).args(["-XshowSettings:properties", "-version"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix('='));
        lines.next().map(|value| value.trim().to_owned())
    };
    let home = fs::canonicalize(value("java.home")?).ok()?;
    if let Ok(release) = fs::read_to_string(home.join("release")) {
        return from_release(home, &release);
    }
    let version = value("java.version")?;
    let build = value("java.runtime.version").unwrap_or_else(|| version.clone());
    Some(Java { home, version, build, has_vector: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(jvms: &Path, name: &str, version: &str, modules: &str) -> PathBuf {
        let home = jvms.join(name);
        fs::create_dir_all(home.join("bin")).expect("made");
        fs::write(home.join("bin/java"), "").expect("made");
        let release =
            format!("JAVA_VERSION=\"{version}\"\nJAVA_RUNTIME_VERSION=\"{version}+6\"\nMODULES=\"{modules}\"\n");
        fs::write(home.join("release"), release).expect("made");
        home.join("bin/java")
    }

    const WHOLE: &str = "java.base jdk.incubator.vector";

    #[test]
    fn the_right_one_is_found_behind_a_wrong_default() {
        let dir = tempfile::tempdir().expect("a folder");
        let jvms = dir.path().join("jvm");
        let newest = install(&jvms, "java-25", "25.0.3", WHOLE);
        install(&jvms, "java-17", "17.0.15", WHOLE);
        let found = choose(candidates(None, Some(newest.clone()), &jvms), &[17, 21], true).expect("found");
        assert_eq!((found.major(), found.version.as_str(), found.build.as_str()), (17, "17.0.15", "17.0.15+6"));
        assert_eq!(found.target(), Path::new("/opt/java/java-17"));
        let chosen = install(dir.path(), "mine", "21", WHOLE);
        let home = chosen.parent().and_then(Path::parent).map(Path::to_owned);
        let found = choose(candidates(home, Some(newest), &jvms), &[17, 21], true).expect("found");
        assert_eq!(found.major(), 21);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let none = choose(candidates(None, None, dir.path()), &[17, 21], true).expect_err("none");
        assert_eq!(none.to_string(), "it needs Java 17 or 21, and there is none");
        install(dir.path(), "a", "25.0.3", WHOLE);
        install(dir.path(), "b", "17.0.1", "java.base");
        install(dir.path(), "c", "1.8.0_402", "java.base");
        let wrong = choose(candidates(None, None, dir.path()), &[17, 21], true).expect_err("none fits");
        let here = fs::canonicalize(dir.path()).expect("a path").display().to_string();
        let wanted = format!(
            "it needs Java 17 or 21, and there is only 25.0.3 in {here}/a, 17.0.1 without the module jdk.incubator.vector in \
             {here}/b, 1.8.0_402 in {here}/c"
        );
        assert_eq!(wrong.to_string(), wanted);
        assert_eq!(choose(candidates(None, None, dir.path()), &[8], false).expect("found").major(), 8);
    }
}
