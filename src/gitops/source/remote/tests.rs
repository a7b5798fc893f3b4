//! Repositories elsewhere: what revisions mean, when they are fetched, and what becomes of them when somebody dies or disappears.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::tree::Tree;

/// A repository, and the folder that it is fetched into.
struct Stage {
    dir: TempDir,
    remotes: Remotes,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let stage = Self { remotes: Remotes::new(dir.path().join("cache")), dir };
        fs::create_dir(stage.origin()).expect("made");
        stage.git(&["init", "-q", "-b", "main"]);
        stage.commit("first");
        stage
    }

    fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    fn url(&self) -> String {
        format!("file://{}", self.origin().display())
    }

    fn git(&self, words: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.origin()).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        let output = git.args(words).output().expect("git runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes a commit with this text in its file.
    fn commit(&self, text: &str) -> String {
        fs::write(self.origin().join("file"), text).expect("written");
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn find(&self, revision: &str) -> Result<Found> {
        self.remotes.find(&self.url(), revision, "", false)
    }

    fn text(&self, revision: &str) -> String {
        let tree = self.find(revision).and_then(|found| found.tree()).expect("there");
        String::from_utf8(tree.read("file".as_ref()).expect("read").expect("there")).expect("text")
    }

    /// The folder of the repository among what was fetched.
    fn kept(&self) -> PathBuf {
        self.remotes.folder(&self.url())
    }

    /// Makes what was fetched too old.
    fn age(&self) {
        let stamp = File::options().write(true).open(self.kept().join(STAMP)).expect("a stamp");
        stamp.set_modified(SystemTime::now() - FRESH * 2).expect("aged");
    }

    /// What lies in the folder of downloads.
    fn listed(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path().join("cache")).expect("listed").flatten();
        let mut names: Vec<String> = names.map(|one| one.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A process that finds `main` in the same folder, and says what it is.
    fn other(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        command.args(["--exact", "source::remote::tests::another_process", "--nocapture", "--include-ignored"]);
        command.env("CACHE_OF_TEST", self.dir.path().join("cache")).env("URL_OF_TEST", self.url());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// What [`Stage::other`] runs.
#[test]
#[ignore = "a part of other tests, in a process of its own"]
#[allow(clippy::print_stdout, reason = "this is how it answers")]
fn another_process() {
    let of = |name: &str| std::env::var(name).expect("told by a test");
    let found = Remotes::new(of("CACHE_OF_TEST")).find(&of("URL_OF_TEST"), "main", "", true);
    println!("found {}", found.expect("there").commit());
}

#[test]
fn revisions_are_branches_tags_ranges_and_commits() {
    let stage = Stage::new();
    let first = stage.git(&["rev-parse", "HEAD"]);
    for (text, tag) in
        [("1.2.0", "v1.2.0"), ("1.2.9", "v1.2.9"), ("1.4", "v1.4.0"), ("2", "2.0.0"), ("app", "app/1.3.0")]
    {
        stage.commit(text);
        stage.git(&["tag", "-a", "-m", text, tag]);
    }
    stage.git(&["checkout", "-q", "-b", "both"]);
    stage.commit("branch");
    stage.git(&["tag", "both", "HEAD~1"]);
    stage.git(&["checkout", "-q", "main"]);
    stage.commit("newest");
    for (revision, expected) in [
        ("", "newest"),
        ("HEAD", "newest"),
        ("main", "newest"),
        ("refs/heads/main", "newest"),
        ("v1.2.0", "1.2.0"),
        ("1.2.*", "1.2.9"),
        (">=1.2.0 <2", "1.4"),
        ("^1.0", "1.4"),
        (">1", "2"),
        ("both", "branch"),
        ("refs/tags/both", "app"),
        (first.as_str(), "first"),
        (&first[..8], "first"),
    ] {
        assert_eq!(stage.text(revision), expected, "{revision}");
    }
    let app = stage.remotes.find(&stage.url(), "1.x", "app/", false).expect("there");
    assert_eq!(app.commit(), stage.git(&["rev-parse", "app/1.3.0^{commit}"]));
    let url = stage.url();
    for (revision, expected) in [
        ("none", format!("git cannot find the revision none in the repository {url}: there is no such branch")),
        (
            "3.x",
            format!(
                "git cannot find the revision 3.x in the repository {url}: version matching constraint not found in 6 tags"
            ),
        ),
        ("0123456789012345678901234567890123456789", format!("git cannot fetch the repository {url}: ")),
    ] {
        let error = stage.find(revision).expect_err(revision).to_string();
        assert!(error.starts_with(&expected), "{error}");
    }
    // Files are shown with the repository that they are of.
    let shown = stage.find("main").and_then(|found| found.tree()).expect("there").show("d/f.yaml".as_ref());
    assert_eq!(shown.display().to_string(), format!("{url}/d/f.yaml"));
}

#[test]
fn a_commit_that_no_branch_has_is_asked_for() {
    let stage = Stage::new();
    let lost = stage.commit("lost");
    stage.git(&["reset", "-q", "--hard", "HEAD~1"]);
    stage.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    assert_eq!(stage.text(&lost), "lost");
    assert_eq!(stage.text("main"), "first");
}

#[test]
fn it_is_fetched_again_only_when_needed() {
    let stage = Stage::new();
    assert_eq!(stage.text("main"), "first");
    let second = stage.commit("second");
    assert_eq!(stage.text("main"), "first", "what was just fetched is new enough");
    assert_eq!(stage.text(&second), "second", "a commit that is not there is fetched");
    let third = stage.commit("third");
    stage.age();
    assert_eq!(stage.text("main"), "third");
    stage.commit("fourth");
    let again = stage.remotes.find(&stage.url(), "main", "", true).expect("there");
    assert_eq!(again.commit(), stage.git(&["rev-parse", "HEAD"]), "who asks for a refresh gets it");
    // A repository that is gone is told of, but for the commits that are here.
    fs::rename(stage.origin(), stage.dir.path().join("gone")).expect("moved");
    assert_eq!(stage.text("main"), "fourth");
    stage.age();
    assert_eq!(stage.text(&third), "third");
    let error = stage.find("main").expect_err("gone").to_string();
    assert!(error.starts_with(&format!("git cannot fetch the repository {}: ", stage.url())), "{error}");
    fs::rename(stage.dir.path().join("gone"), stage.origin()).expect("moved");
    assert_eq!(stage.text("main"), "fourth");
}

#[test]
fn two_processes_fetch_one_repository() {
    let stage = Stage::new();
    for text in ["second", "third"] {
        let commit = stage.commit(text);
        let children: Vec<_> = (0..4).map(|_| stage.other().spawn().expect("started")).collect();
        for child in children {
            let output = child.wait_with_output().expect("ended");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains(&format!("found {commit}")), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let kept = stage.kept().file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(stage.listed(), [kept.clone(), format!("{kept}.lock")]);
}

/// A way to the repository that tells when git has come, and then lets it wait until it is let go.
struct Gate {
    dir: TempDir,
}

impl Gate {
    fn new() -> Self {
        let gate = Self { dir: tempfile::tempdir().expect("a folder") };
        for pipe in ["came", "go"] {
            assert!(Command::new("mkfifo").arg(gate.dir.path().join(pipe)).status().expect("mkfifo runs").success());
        }
        gate
    }

    /// A process that fetches through it.
    fn through(&self, stage: &Stage) -> Command {
        let dir = self.dir.path().display();
        let program = self.dir.path().join("ssh");
        // The last word is what git wants to be run on the other side.
        let script = format!(
            "#!/bin/sh\necho came > {dir}/came\ncat {dir}/go > /dev/null\nfor last; do :; done\nexec sh -c \"$last\"\n"
        );
        fs::write(&program, script).expect("written");
        assert!(Command::new("chmod").arg("+x").arg(&program).status().expect("chmod runs").success());
        let mut other = stage.other();
        other.env("GIT_SSH_COMMAND", &program).env("URL_OF_TEST", format!("ssh://host{}", stage.origin().display()));
        other
    }
}

#[test]
fn a_fetch_that_is_killed_leaves_nothing_broken() {
    let stage = Stage::new();
    let url = format!("ssh://host{}", stage.origin().display());
    let kept = stage.remotes.folder(&url);
    // In the first fetch there is nothing yet, in the second the repository of the first.
    for text in ["second", "third"] {
        let commit = stage.commit(text);
        let gate = Gate::new();
        let mut killed = gate.through(&stage).spawn().expect("started");
        fs::read(gate.dir.path().join("came")).expect("git has come");
        killed.kill().expect("killed");
        killed.wait().expect("ended");
        // What git itself leaves when it is killed as well.
        if kept.is_dir() {
            for left in ["packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x"] {
                fs::write(kept.join(left), "").expect("written");
            }
        }
        // The killed one's git still holds the lock: the next one waits for it, and begins anew.
        let other = Gate::new();
        let next = other.through(&stage).spawn().expect("started");
        fs::write(gate.dir.path().join("go"), "").expect("let go");
        fs::read(other.dir.path().join("came")).expect("git has come");
        fs::write(other.dir.path().join("go"), "").expect("let go");
        let output = next.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("found {commit}")), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let checked = Command::new("git").arg("-C").arg(&kept).args(["fsck", "--strict"]).output().expect("git runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    let name = kept.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(stage.listed(), [name.clone(), format!("{name}.lock")]);
}

#[test]
fn nobody_is_asked_for_a_password() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/repo.git", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a client");
        let mut head = [0; 4096];
        let read = connection.read(&mut head).expect("a request");
        let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        connection.write_all(answer.as_bytes()).expect("answered");
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let dir = tempfile::tempdir().expect("a folder");
    let error = Remotes::new(dir.path()).find(&url, "main", "", false).expect_err("no password").to_string();
    assert!(server.join().expect("served").starts_with("GET /repo.git/info/refs"));
    assert!(error.starts_with(&format!("git cannot fetch the repository {url}: ")), "{error}");
    assert!(error.contains("terminal prompts disabled"), "{error}");
}

#[test]
fn only_ways_that_can_be_trusted_are_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    for url in ["ext::sh -c touch% x", "-u", "relative/path", "host:path", "ftp://host/x", "fd::3", ""] {
        let error = Remotes::new(dir.path()).find(url, "main", "", false).expect_err(url).to_string();
        assert!(error.contains("this is no repository that can be fetched"), "{error}");
    }
    for url in ["https://host/x", "ssh://host/x", "git@host:x/y.git", "file:///x", "/srv/x.git"] {
        check(url).expect(url);
    }
}
