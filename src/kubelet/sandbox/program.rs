//! Finding a container's program and becoming it, with the words that container runtimes use when that fails.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use super::error::Failure;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that is about to run.
#[derive(Debug)]
pub(super) struct Program<'a> {
    pub(super) argv: &'a [String],
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: &'a Path,
}

impl Program<'_> {
    /// Becomes the program. Returns only when that fails.
    pub(super) fn become_it(&self) -> Failure {
        self.attempt().unwrap_or_else(|message| Failure::Start { message })
    }

    fn attempt(&self) -> Result<Failure, String> {
        nix::unistd::chdir(self.cwd).map_err(|error| {
            format!("chdir to cwd ({:?}) set in config.json failed: {}", self.cwd, words(&error.into()))
        })?;
        let path =
            self.env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value.as_str());
        let name = self.argv.first().ok_or("no command specified")?;
        let file = find(name, path)?;
        let text = |value: &[u8]| CString::new(value).map_err(|_| format!("exec: {name:?}: invalid argument"));
        let argv = self.argv.iter().map(|word| text(word.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let env = self
            .env
            .iter()
            .map(|(name, value)| text(format!("{name}={value}").as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        match nix::unistd::execve(&text(file.as_os_str().as_bytes())?, &argv, &env) {
            Ok(never) => match never {},
            Err(error) => Err(format!("exec {}: {}", file.display(), words(&error.into()))),
        }
    }
}

/// Adds what runtimes add where the environment lacks it: a PATH, the user's home folder, the kind of terminal.
pub(super) fn complete(env: &mut Vec<(String, String)>, uid: u32, terminal: bool) {
    let mut add = |name: &str, value: &dyn Fn() -> String| {
        if !env.iter().any(|(known, _)| known == name) {
            env.push((name.to_owned(), value()));
        }
    };
    add("PATH", &|| DEFAULT_PATH.to_owned());
    add("HOME", &|| home(&fs::read_to_string("/etc/passwd").unwrap_or_default(), uid));
    if terminal {
        add("TERM", &|| "xterm".to_owned());
    }
}

fn home(passwd: &str, uid: u32) -> String {
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2).and_then(|field| field.parse::<u32>().ok()) == Some(uid));
    entry.and_then(|fields| fields.get(5).copied()).filter(|home| !home.is_empty()).unwrap_or("/").to_owned()
}

fn find(name: &str, path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return match check(Path::new(name)) {
            Ok(()) => Ok(PathBuf::from(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: {name:?}: stat {name}: no such file or directory"))
            }
            Err(error) => Err(format!("exec: {name:?}: {}", words(&error))),
        };
    }
    let mut refusal = None;
    for folder in path.split(':') {
        let folder = if folder.is_empty() { "." } else { folder };
        let file = Path::new(OsStr::new(folder)).join(name);
        match check(&file) {
            Ok(()) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refusal = Some(words(&error)),
            Err(_) => {}
        }
    }
    Err(format!("exec: {name:?}: {}", refusal.unwrap_or_else(|| "executable file not found in $PATH".to_owned())))
}

fn check(file: &Path) -> io::Result<()> {
    let found = fs::metadata(file)?;
    let kind = found.file_type();
    if kind.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if kind.is_fifo() || kind.is_socket() || found.mode() & 0o111 == 0 {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(rustix::fs::accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// The kernel's words as Go prints them.
pub(super) fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOEXEC) => "exec format error".to_owned(),
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_ascii_lowercase(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_worded_as_runtimes_do() {
        let missing = find("surely-missing", "/usr/bin:/bin");
        assert_eq!(missing, Err("exec: \"surely-missing\": executable file not found in $PATH".to_owned()));
        let absolute = find("/no/such", "");
        assert_eq!(absolute, Err("exec: \"/no/such\": stat /no/such: no such file or directory".to_owned()));
        assert_eq!(find("/etc/passwd", ""), Err("exec: \"/etc/passwd\": permission denied".to_owned()));
        assert_eq!(find("/etc", ""), Err("exec: \"/etc\": is a directory".to_owned()));
        assert!(find("sh", "/nowhere:/bin").is_ok_and(|file| file == Path::new("/bin/sh")));
    }

    #[test]
    fn the_home_folder_is_the_users() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nspark:x:185:0::/opt/spark:/bin/sh\n";
        assert_eq!(home(passwd, 185), "/opt/spark");
        assert_eq!(home(passwd, 7), "/");
    }

    #[test]
    fn only_what_is_lacking_is_added() {
        let mut env = vec![("PATH".to_owned(), "/x".to_owned()), ("HOME".to_owned(), "/h".to_owned())];
        complete(&mut env, 0, true);
        assert_eq!(env.len(), 3);
        assert_eq!(env[2], ("TERM".to_owned(), "xterm".to_owned()));
    }
}
