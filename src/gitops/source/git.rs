//! A repository on this machine: its working tree as it is, and its revisions through the `git` command, so that worktrees and
//! filters behave as the user's own git does. It only reads.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::range::Range;
use crate::error::{Error, Result};
use crate::tree::{Disk, Tree, below, has_folder};

/// What is put behind the commit of a working tree that differs from it.
pub const DIRTY: &str = "+dirty";

/// A repository with a working tree.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    /// The folder of git itself; absent where a plain folder stands for a repository.
    git_dir: Option<PathBuf>,
}

/// A commit in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// Its author, as in `Name <address>`.
    pub author: String,
    /// When it was made, as RFC 3339 has it.
    pub date: String,
    /// The first line of its message.
    pub subject: String,
}

impl Repository {
    /// The repository that a folder is part of.
    ///
    /// # Errors
    /// When there is none, or git is missing.
    pub fn around(dir: &Path) -> Result<Self> {
        let found = git(dir, &["rev-parse", "--show-toplevel"], &format!("find the repository of {}", dir.display()))?;
        let root = PathBuf::from(found.trim());
        let git_dir = git(&root, &["rev-parse", "--absolute-git-dir"], "find the folder of git itself")?;
        Ok(Self { root, git_dir: Some(PathBuf::from(git_dir.trim())) })
    }

    /// The repository that a folder is part of, or the folder alone where there is none: then it has a working tree, and no revisions.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self::around(dir).unwrap_or_else(|_| Self { root: dir.to_owned(), git_dir: None })
    }

    /// One without a working tree.
    pub(super) fn bare(dir: PathBuf) -> Self {
        Self { root: dir.clone(), git_dir: Some(dir) }
    }

    /// The URLs of the repositories that this one is a clone of.
    pub(super) fn remotes(&self) -> Vec<String> {
        // Where there are none git refuses.
        let words = ["config", "--get-regexp", r"^remote\..*\.url$"];
        let said =
            self.git_dir.as_ref().and_then(|_| git(&self.root, &words, "list its remotes").ok()).unwrap_or_default();
        said.lines().filter_map(|line| line.split_once(' ')).map(|(_, url)| url.to_owned()).collect()
    }

    /// The newest tag of a range of versions; nothing where the revision is no range.
    ///
    /// # Errors
    /// When no tag fits.
    pub(super) fn newest(&self, revision: &str, prefix: &str) -> Result<Option<String>> {
        let Some(range) = Range::read(revision) else { return Ok(None) };
        let act = format!("find the revision {revision}");
        let listed = git(&self.root, &["for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags"], &act)?;
        let tags: Vec<&str> = listed.lines().filter_map(|tag| tag.strip_prefix(prefix)).collect();
        match range.newest(tags.iter().copied()) {
            Some(tag) => Ok(Some(format!("refs/tags/{prefix}{tag}"))),
            None => Err(Error::Git {
                act,
                message: format!("version matching constraint not found in {} tags", tags.len()),
            }),
        }
    }

    /// Its root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Files of git's own of which one changes whenever the working tree gets another commit.
    #[must_use]
    pub fn heads(&self) -> Vec<PathBuf> {
        self.git_dir.iter().flat_map(|dir| ["HEAD", "logs/HEAD"].map(|file| dir.join(file))).collect()
    }

    /// The working tree, uncommitted changes included.
    #[must_use]
    pub fn working_tree(&self) -> Disk {
        Disk::new(&self.root)
    }

    /// The revision of the working tree: a commit's id, with `+dirty` where one of these paths differs from it; any, when none is named.
    ///
    /// # Errors
    /// When git refuses; where there are no commits it is `+dirty` alone.
    pub fn working_revision(&self, paths: &[PathBuf]) -> Result<String> {
        if self.git_dir.is_none() {
            return Ok(DIRTY.to_owned());
        }
        let asked = ["--literal-pathspecs", "status", "--porcelain=v2", "--branch", "--untracked-files=all", "--"];
        let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
        let arguments: Vec<String> = asked.map(str::to_owned).into_iter().chain(paths).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = git(&self.root, &arguments, "compare the working tree with the last commit")?;
        let commit = said.lines().find_map(|line| line.strip_prefix("# branch.oid ")).unwrap_or_default();
        let commit = if commit == "(initial)" { "" } else { commit };
        let is_changed = commit.is_empty() || said.lines().any(|line| !line.starts_with('#'));
        Ok(format!("{commit}{}", if is_changed { DIRTY } else { "" }))
    }

    /// The branch that the working tree is on, if it is on one.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        let head = std::fs::read_to_string(self.git_dir.as_ref()?.join("HEAD")).ok()?;
        head.trim().strip_prefix("ref: refs/heads/").map(str::to_owned)
    }

    /// The id of the commit that a branch, a tag or an id means.
    ///
    /// # Errors
    /// When there is none.
    pub fn resolve(&self, revision: &str) -> Result<String> {
        let commit = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let found =
            git(&self.root, &arguments, &format!("find the revision {revision}")).map_err(|error| match error {
                Error::Git { act, message } if message.is_empty() => Error::Git {
                    act,
                    message: format!("there is no such branch, tag or commit in {}", self.root.display()),
                },
                other => other,
            })?;
        Ok(found.trim().to_owned())
    }

    /// Who made a commit, when and why.
    ///
    /// # Errors
    /// When there is none.
    pub fn commit(&self, revision: &str) -> Result<Commit> {
        let id = self.resolve(revision)?;
        let shown = git(&self.root, &["show", "-s", "--format=%an <%ae>%n%aI%n%s", &id], &format!("show {id}"))?;
        let mut lines = shown.lines().map(str::to_owned);
        let mut line = || lines.next().unwrap_or_default();
        Ok(Commit { id, author: line(), date: line(), subject: line() })
    }

    /// The id of the commit that a branch, a tag, an id or a range of versions means. The tags of a range begin with `prefix`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, revision: &str, prefix: &str) -> Result<String> {
        let tag = self.newest(revision, prefix)?;
        self.resolve(tag.as_deref().unwrap_or(revision))
    }

    /// The tree of a revision, as [`Self::find`] reads it.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn tree(&self, revision: &str) -> Result<GitTree> {
        GitTree::new(&self.root, &self.find(revision, "")?)
    }
}

/// The tree of a commit.
pub struct GitTree {
    commit: String,
    shown: PathBuf,
    files: BTreeMap<PathBuf, String>,
    reader: Mutex<Blobs>,
}

struct Blobs {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // It ends with its input anyway; nothing is lost when it is ended at once.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl GitTree {
    fn new(root: &Path, commit: &str) -> Result<Self> {
        let listed = git(root, &["ls-tree", "-r", "-z", "--full-tree", commit], &format!("list {commit}"))?;
        let entries = listed.split('\0').filter_map(|line| {
            let (kind, path) = line.split_once('\t')?;
            let mut parts = kind.split(' ');
            let (mode, of, id) = (parts.next()?, parts.next()?, parts.next()?);
            // Links are not followed, as none leads out of the tree then.
            (of == "blob" && mode != "120000").then(|| (PathBuf::from(path), id.to_owned()))
        });
        let files = entries.collect();
        let failed = |source: std::io::Error| Error::Git { act: format!("read {commit}"), message: source.to_string() };
        let mut command = command(root);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        let reader = Mutex::new(Blobs { child, input, output: BufReader::new(output) });
        Ok(Self { commit: commit.to_owned(), shown: PathBuf::new(), files, reader })
    }

    /// The commit's id.
    #[must_use]
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The same tree, whose paths are shown below something.
    pub(super) fn shown_below(self, shown: &str) -> Self {
        Self { shown: shown.into(), ..self }
    }
}

impl Tree for GitTree {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let Some(id) = self.files.get(path) else { return Ok(None) };
        let mut blobs = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let content = blobs.read(id).map_err(|source| Error::Git {
            act: format!("read {} of {}", path.display(), self.commit),
            message: source.to_string(),
        })?;
        Ok(Some(content))
    }

    fn is_dir(&self, path: &Path) -> bool {
        has_folder(self.files.keys(), path)
    }

    fn files(&self, dir: &Path, recurse: bool) -> Result<Vec<PathBuf>> {
        Ok(below(self.files.keys(), dir, recurse))
    }

    fn show(&self, path: &Path) -> PathBuf {
        self.shown.join(path)
    }
}

impl Blobs {
    fn read(&mut self, id: &str) -> std::io::Result<Vec<u8>> {
        writeln!(self.input, "{id}")?;
        self.input.flush()?;
        let mut head = String::new();
        self.output.read_line(&mut head)?;
        let size = head.split_whitespace().nth(2).and_then(|size| size.parse::<usize>().ok());
        let size = size.ok_or_else(|| std::io::Error::other(format!("git answered {:?}", head.trim())))?;
        let mut content = vec![0; size + 1];
        self.output.read_exact(&mut content)?;
        content.pop();
        Ok(content)
    }
}

pub(super) fn command(root: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args([
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "safe.bareRepository=all",
    ]);
    command.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C").stdin(Stdio::null());
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    command
}

fn git(root: &Path, arguments: &[&str], act: &str) -> Result<String> {
    let failed = |message: String| Error::Git { act: act.to_owned(), message };
    let output = command(root).args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
