//! Repositories elsewhere: each is kept as a bare repository in a folder of downloads, and fetched again when what is kept may be too
//! old. One process at a time fetches a repository, and a fetch that is killed leaves what was there before.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::git::{Commit, GitTree, Repository, command};
use crate::error::{Error, Result};

/// How old branches and tags may be that are taken from what is kept; less than the time between two looks at an application.
const FRESH: Duration = Duration::from_secs(100);
/// Where the branch is kept that the other side has checked out.
const HEAD: &str = "refs/tinderbox/head";
/// What is fetched: everything that a revision can name.
const REFS: [&str; 3] = ["+HEAD:refs/tinderbox/head", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
/// The file whose age is that of what was fetched.
const STAMP: &str = "fetched";
/// Ways to a repository that are gone.
const PROTOCOLS: &str = "file:https:http:ssh";

/// The repositories of a folder of downloads.
#[derive(Debug, Clone)]
pub struct Remotes {
    dir: PathBuf,
}

/// A commit of a repository elsewhere.
#[derive(Debug)]
pub struct Found {
    repository: Repository,
    commit: String,
    url: String,
}

impl Found {
    /// Its id.
    #[must_use]
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Its tree, whose files are shown below the URL of the repository.
    ///
    /// # Errors
    /// When what was fetched is not there any more.
    pub fn tree(&self) -> Result<GitTree> {
        Ok(self.repository.tree(&self.commit)?.shown_below(&self.url))
    }
}

impl Remotes {
    /// Those in this folder, which need not be there yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// What a revision of a repository is: a branch, a tag, a range of versions, or a commit. It is fetched if that may have changed, or
    /// in any case when `again` says so.
    ///
    /// # Errors
    /// When the repository does not answer, or has no such revision.
    pub fn find(&self, url: &str, revision: &str, tag_prefix: &str, again: bool) -> Result<Found> {
        check(url)?;
        let found = |repository: Repository, commit: String| Found { repository, commit, url: url.to_owned() };
        if let Some(repository) = self.kept(url)
            && (is_commit(revision) || !again && is_fresh(repository.root()))
            && let Ok(commit) = commit(&repository, revision, tag_prefix)
        {
            return Ok(found(repository, commit));
        }
        let repository = self.fetch(url, revision)?;
        let commit = commit(&repository, revision, tag_prefix).map_err(|error| match error {
            Error::Git { act, message } => Error::Git { act: format!("{act} in the repository {url}"), message },
            other => other,
        })?;
        Ok(found(repository, commit))
    }

    /// Who made a commit of a repository, when and why, as far as it was fetched.
    ///
    /// # Errors
    /// When it was not.
    pub fn commit(&self, url: &str, id: &str) -> Result<Commit> {
        let kept = self.kept(url).ok_or_else(|| refused(url, "it was never fetched".to_owned()))?;
        kept.commit(id)
    }

    /// A repository as it was fetched last.
    fn kept(&self, url: &str) -> Option<Repository> {
        let dir = self.folder(url);
        dir.join("HEAD").is_file().then(|| Repository::bare(dir))
    }

    fn folder(&self, url: &str) -> PathBuf {
        let digest = Sha256::digest(super::home::plain(url).as_bytes());
        self.dir.join(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// Fetches a repository; where somebody else does so already, what they fetch will do.
    fn fetch(&self, url: &str, revision: &str) -> Result<Repository> {
        let asked = SystemTime::now();
        let dir = self.folder(url);
        fs::create_dir_all(&self.dir).map_err(Error::file("make", &self.dir))?;
        let lock = dir.with_extension("lock");
        let lock = File::create(&lock).map_err(Error::file("open", &lock))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| Error::file("lock", &dir)(error.into()))?;
        let repository = Repository::bare(dir.clone());
        let is_there = dir.join("HEAD").is_file();
        if is_there && fetched(&dir).is_some_and(|at| at >= asked) && commit(&repository, revision, "").is_ok() {
            return Ok(repository);
        }
        if is_there {
            sweep(&dir);
            bring(&dir, url, revision, &lock)?;
        } else {
            let new = dir.with_extension("new");
            // What is left of one that was killed is of no use.
            match fs::remove_dir_all(&new) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", new)(error));
                }
                _ => (),
            }
            fs::create_dir(&new).map_err(Error::file("make", &new))?;
            run(&new, &["init", "--quiet", "--bare", "."], url, &lock)?;
            bring(&new, url, revision, &lock)?;
            fs::rename(&new, &dir).map_err(Error::file("rename", new))?;
        }
        Ok(repository)
    }
}

/// Fetches everything that has a name, and a commit that has none.
fn bring(dir: &Path, url: &str, revision: &str, lock: &File) -> Result<()> {
    let fetch = |refs: &[&str]| {
        let words = ["fetch", "--quiet", "--prune", "--no-auto-maintenance", "--no-write-fetch-head", "--", url];
        run(dir, &[&words[..], refs].concat(), url, lock)
    };
    fetch(&REFS)?;
    if is_commit(revision) && Repository::bare(dir.to_owned()).resolve(revision).is_err() {
        fetch(&[&format!("{revision}:refs/tinderbox/commits/{revision}")])?;
    }
    let stamp = dir.join(STAMP);
    fs::write(&stamp, url).map_err(Error::file("write", stamp))
}

/// Runs git without a way to ask anybody anything. It holds the lock as long as it runs, even where we do not.
fn run(dir: &Path, words: &[&str], url: &str, lock: &File) -> Result<()> {
    let held = lock.try_clone().map_err(Error::file("hold the lock of", dir))?;
    let mut command = command(dir);
    command.args(["-c", "gc.auto=0", "-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30"]).args(words);
    command.stdin(Stdio::from(held)).env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("SSH_ASKPASS", "");
    command.env("SSH_ASKPASS_REQUIRE", "never").env("GIT_ALLOW_PROTOCOL", PROTOCOLS);
    let ssh = std::env::var("GIT_SSH_COMMAND").unwrap_or_else(|_| "ssh".to_owned());
    command.env("GIT_SSH_COMMAND", format!("{ssh} -o BatchMode=yes -o ConnectTimeout=15"));
    let output = command.output().map_err(|error| refused(url, error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(refused(url, String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn refused(url: &str, message: String) -> Error {
    Error::Git { act: format!("fetch the repository {url}"), message }
}

/// Takes away what a killed git has left: locks, and parts of packs.
fn sweep(dir: &Path) {
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else if name.ends_with(".lock") || name.starts_with("tmp_") {
                // One that cannot be removed is git's to tell of.
                fs::remove_file(entry.path()).ok();
            }
        }
    }
}

/// The commit that a revision means in what was fetched. Branches come before tags.
fn commit(repository: &Repository, revision: &str, tag_prefix: &str) -> Result<String> {
    if matches!(revision, "" | "HEAD") {
        return repository.resolve(HEAD);
    }
    if is_commit(revision) {
        return repository.resolve(revision);
    }
    let branch = repository.resolve(&format!("refs/heads/{revision}"));
    branch.or_else(|_| repository.find(revision, tag_prefix))
}

fn fetched(dir: &Path) -> Option<SystemTime> {
    fs::metadata(dir.join(STAMP)).ok()?.modified().ok()
}

fn is_fresh(dir: &Path) -> bool {
    // A stamp of the future is as good as none.
    fetched(dir).and_then(|at| at.elapsed().ok()).is_some_and(|age| age < FRESH)
}

/// Whether a revision is the whole id of a commit, which never means anything else.
fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What can be fetched: by URL, as ssh writes it, or by an absolute path.
fn check(url: &str) -> Result<()> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    let is_scp =
        scheme.is_none() && url.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
    let is_known = scheme.is_some_and(|scheme| PROTOCOLS.split(':').any(|known| known == scheme));
    if (is_known || is_scp || url.starts_with('/')) && !url.starts_with('-') {
        return Ok(());
    }
    let wrong = "this is no repository that can be fetched: name it by https://, ssh://, user@host:path, file:// or an absolute path";
    Err(Error::at(if url.is_empty() { "spec.source.repoURL" } else { url }, wrong))
}

#[cfg(test)]
mod tests;
