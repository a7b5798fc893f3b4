//! Asking the machine's own apt and dpkg: what is installed, what is missing, and getting it. They verify what they download by
//! the signed lists of the machine's sources.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::PackageError;

/// An archive that apt would download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    /// Its name without `.deb`, as in `hello_2.10-3_amd64`.
    pub(super) folder: String,
    /// In bytes.
    pub(super) size: u64,
}

/// Where apt and dpkg keep what they know.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// dpkg's list of what is installed.
    pub(super) status: PathBuf,
    /// Options of `apt-get`.
    pub(super) options: Vec<String>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { status: PathBuf::from("/var/lib/dpkg/status"), options: Vec::new() }
    }
}

impl Machine {
    /// Whether all of the packages are installed, in the versions named.
    pub(super) fn has_all(&self, packages: &[String]) -> Result<bool, PackageError> {
        let names: Vec<&str> = packages.iter().map(|line| line.split('=').next().unwrap_or(line)).collect();
        let mut query = Command::new("dpkg-query");
        query.arg("--admindir").arg(self.status.parent().unwrap_or(Path::new("/")));
        query.args(["--show", "--showformat", "${db:Status-Status} ${Package}=${Version}\n", "--"]).args(&names);
        // It fails where one is unknown, and still tells of the others.
        let told = run(&mut query, "dpkg-query")?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let installed: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
        let has = |wanted: &String| match wanted.contains('=') {
            true => installed.contains(&wanted.as_str()),
            false => installed.iter().any(|known| known.split('=').next() == Some(wanted)),
        };
        Ok(packages.iter().all(has))
    }

    /// What apt would download to have the packages: themselves and what they depend on, without what is installed.
    pub(super) fn missing(&self, packages: &[String]) -> Result<Vec<Archive>, PackageError> {
        let empty = tempfile::tempdir().map_err(PackageError::io("make a folder in", &std::env::temp_dir()))?;
        let mut apt = self.apt(empty.path())?;
        apt.args(["install", "--print-uris", "--yes", "--no-install-recommends", "--no-upgrade", "--"]).args(packages);
        let told = succeeded(run(&mut apt, "apt-get")?, || format!("find the packages {}", packages.join(" ")))?;
        Ok(String::from_utf8_lossy(&told).lines().filter_map(archive).collect())
    }

    /// Downloads an archive and unpacks it into an empty folder.
    pub(super) fn unpack(&self, archive: &Archive, into: &Path) -> Result<(), PackageError> {
        let beside = into.parent().unwrap_or(into);
        let fetched = tempfile::Builder::new().prefix(".fetched-").tempdir_in(beside);
        let fetched = fetched.map_err(PackageError::io("make a folder in", beside))?;
        let mut apt = self.apt(fetched.path())?;
        apt.arg("download").arg(wanted(&archive.folder)).current_dir(fetched.path());
        succeeded(run(&mut apt, "apt-get")?, || format!("download the package {}", archive.folder))?;
        let entries = std::fs::read_dir(fetched.path()).map_err(PackageError::io("list", fetched.path()))?;
        let file = entries.flatten().map(|entry| entry.path()).find(|path| path.extension() == Some(OsStr::new("deb")));
        let file = file.ok_or_else(|| PackageError::Refused {
            act: format!("download the package {}", archive.folder),
            said: "apt-get brought no archive".to_owned(),
        })?;
        let mut dpkg = Command::new("dpkg-deb");
        dpkg.arg("--extract").arg(&file).arg(into);
        succeeded(run(&mut dpkg, "dpkg-deb")?, || format!("unpack the package {}", archive.folder)).map(drop)
    }

    /// `apt-get` as an ordinary user may call it, with its downloads in `archives`.
    fn apt(&self, archives: &Path) -> Result<Command, PackageError> {
        let partial = archives.join("partial");
        std::fs::create_dir_all(&partial).map_err(PackageError::io("make the folder", &partial))?;
        let mut apt = Command::new("apt-get");
        apt.args(["--quiet=2", "-o", "Debug::NoLocking=1", "-o"]);
        apt.arg(format!("Dir::Cache::archives={}/", archives.display()));
        if rustix::process::geteuid().is_root() {
            // The cache is not open to the user that apt would change to.
            apt.args(["-o", "APT::Sandbox::User=root"]);
        }
        apt.args(self.options.iter().flat_map(|option| ["-o", option]));
        Ok(apt)
    }
}

/// One line of `--print-uris`: the address in quotes, the file's name, its size, its sum.
fn archive(line: &str) -> Option<Archive> {
    let mut words = line.strip_prefix('\'')?.split_once("' ")?.1.split_whitespace();
    let folder = words.next()?.strip_suffix(".deb")?.to_owned();
    Some(Archive { folder, size: words.next()?.parse().ok()? })
}

/// The package of an archive's name as apt wants it: `name:architecture=version`.
fn wanted(folder: &str) -> String {
    let mut parts = folder.splitn(3, '_');
    let [name, version, architecture] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let version = version.replace("%3a", ":");
    match architecture {
        "all" | "" => format!("{name}={version}"),
        architecture => format!("{name}:{architecture}={version}"),
    }
}

fn run(command: &mut Command, program: &'static str) -> Result<Output, PackageError> {
    command.env("LC_ALL", "C").output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PackageError::NoProgram { program },
        _ => PackageError::io("run", Path::new(program))(error),
    })
}

fn succeeded(output: Output, act: impl FnOnce() -> String) -> Result<Vec<u8>, PackageError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<&str> = talk.lines().filter(|line| !line.starts_with("W:")).map(str::trim).collect();
    let said = if errors.is_empty() { output.status.to_string() } else { errors.join("; ") };
    Err(PackageError::Refused { act: act(), said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_apt() {
        let line =
            "'http://example.org/pool/main/v/vim/vim_2%3a9.0-1_amd64.deb' vim_2%3a9.0-1_amd64.deb 1567 SHA256:00";
        let found = archive(line).expect("an archive");
        assert_eq!(found, Archive { folder: "vim_2%3a9.0-1_amd64".to_owned(), size: 1567 });
        assert_eq!(wanted(&found.folder), "vim:amd64=2:9.0-1");
        assert_eq!(wanted("cowsay_3.03+dfsg2-8_all"), "cowsay=3.03+dfsg2-8");
        assert_eq!(archive("Reading package lists..."), None);
    }
}
