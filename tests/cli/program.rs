//! The built program, run on a cluster of its own in a folder of its own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::machine::Timed;

/// How long, in seconds, something may take that takes a few on an idle machine.
pub(crate) const PATIENCE: &str = "600";

/// A cluster of a test; dropping it takes it away, with others in the same folder. Commands are called from a folder for files, beside that of the cluster.
pub(crate) struct Cluster {
    pub(crate) name: String,
    dir: TempDir,
    /// The project that commands work on.
    pub(crate) project: PathBuf,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Standard output, of a command that must have succeeded.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// Standard error, of a command that must have ended with this code and without a result.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        assert_eq!(self.out, "", "stderr: {}", self.err);
        self.err
    }

    /// Standard output as JSON, of a command that ended with this code.
    pub(crate) fn json(self, code: i32) -> serde_json::Value {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// The root of this repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// The program, built first: `cargo test` alone does not build the binaries of other packages.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").expect("run by cargo");
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--bin", "xtask"]).current_dir(root());
        // What cargo tells a test of its own package would make build scripts run again.
        let kept = ["CARGO_HOME", "CARGO_TARGET_DIR"];
        let told = |name: &str| name.starts_with("CARGO") && !kept.contains(&name);
        std::env::vars().filter(|(name, _)| told(name)).for_each(|(name, _)| {
            build.env_remove(name);
        });
        assert!(build.status().expect("cargo runs").success());
        let test = std::env::current_exe().expect("a test has a path");
        test.ancestors().nth(2).expect("in target/debug/deps").join("xtask")
    })
}

/// Words of kubectl's that ask for one object, as ones that ask for a list of it: of a single object kubectl does not show what changes
/// before its watch begins.
fn of_a_list(words: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let Some(mut kind) = words.iter().position(|word| word == "get").map(|get| get + 1) else { return words };
    // Each of these flags has a value behind it.
    while words[kind].starts_with('-') {
        kind += 2;
    }
    let name = match words[kind].clone().split_once('/') {
        Some((plain, name)) => {
            words[kind] = plain.to_owned();
            Some(name.to_owned())
        }
        None => words.get(kind + 1).is_some_and(|word| !word.starts_with('-')).then(|| words.remove(kind + 1)),
    };
    if let Some(name) = name {
        words.insert(kind + 1, format!("--field-selector=metadata.name={name}"));
    }
    words
}

impl Cluster {
    /// A cluster of this repository's project.
    pub(crate) fn new(purpose: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("files")).expect("made");
        Self { name: format!("{purpose}-{}", std::process::id()), dir, project: root().to_owned() }
    }

    /// A cluster of a project that lies in the folder for files.
    pub(crate) fn of_own_project(purpose: &str) -> Self {
        let mut cluster = Self::new(purpose);
        cluster.project = cluster.files();
        cluster
    }

    /// The folder that commands are called from.
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    /// The folder of this test's clusters.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The cluster's own folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home().join(&self.name)
    }

    /// The kubeconfig of the user who runs the commands.
    pub(crate) fn users_kubeconfig(&self) -> PathBuf {
        self.dir.path().join("users/config")
    }

    /// Writes a file into the folder that commands are called from.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.files().join(name);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// Says where the cluster is: the arguments and the environment of every command.
    pub(crate) fn aim(&self, command: &mut Command) {
        command.args(["--name", &self.name, "--project"]).arg(&self.project);
        command.env("TINDERBOX_HOME", self.home()).env("KUBECONFIG", self.users_kubeconfig());
        command.current_dir(self.files()).stdin(Stdio::null());
        command.env_remove("NO_COLOR").env_remove("JAVA_HOME");
    }

    /// The program with these words.
    pub(crate) fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = Command::new(program());
        self.aim(&mut command);
        command.args(words);
        command
    }

    /// Runs the program with these words.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().expect("the program runs").into()
    }

    /// Starts the program in a process group of its own, as a shell does for a terminal.
    pub(crate) fn start(&self, words: &[&str]) -> Begun {
        self.start_as(words, |_| ())
    }

    /// Starts it so, with what `aim` adds to the command.
    pub(crate) fn start_as(&self, words: &[&str], aim: impl FnOnce(&mut Command)) -> Begun {
        let mut command = self.command(words);
        aim(&mut command);
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut stdout = child.stdout.take().expect("piped");
        let out = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text).expect("it is text")
        });
        let err = BufReader::new(child.stderr.take().expect("piped"));
        Begun { child, out, err, said: String::new() }
    }

    /// Runs kubectl against the cluster.
    pub(crate) fn kubectl(&self, words: &[&str]) -> Said {
        self.kubectl_reads(words, "")
    }

    /// The command of kubectl with these words.
    pub(crate) fn kubectl_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(words);
        command
    }

    /// Runs kubectl with a text on standard input.
    pub(crate) fn kubectl_reads(&self, words: &[&str], input: &str) -> Said {
        let mut command = self.kubectl_command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl is on PATH");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).expect("kubectl reads");
        drop(stdin);
        child.wait_with_output().expect("kubectl ends").into()
    }

    /// Follows what `kubectl get` says of objects until a line is the wanted one.
    pub(crate) fn watch(&self, words: &[&str], mut wanted: impl FnMut(&str) -> bool) {
        let mut command = Command::new("timeout");
        command
            .args([PATIENCE, "kubectl", "--kubeconfig"])
            .arg(self.kubeconfig())
            .args(of_a_list(words))
            .arg("--watch");
        let mut kubectl = Timed(command.stdout(Stdio::piped()).spawn().expect("coreutils are there"));
        let lines = BufReader::new(kubectl.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut seen = Vec::new();
        for line in lines {
            if wanted(&line) {
                return;
            }
            seen.push(line);
        }
        let now = self.kubectl(&["get", "pods,events", "-A"]);
        panic!("{words:?} never showed what was wanted, but\n{}\n{}", seen.join("\n"), now.out);
    }

    /// Waits until a pod has ended; its phase.
    pub(crate) fn ended(&self, pod: &[&str]) -> String {
        let mut phase = String::new();
        let words = [&["get"], pod, &["-o", "jsonpath={.status.phase}{\"\\n\"}"]].concat();
        self.watch(&words, |line| {
            line.clone_into(&mut phase);
            matches!(line, "Succeeded" | "Failed")
        });
        phase
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// The file that says which process runs the cluster.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.folder().join("state.json")
    }

    /// What that file says.
    pub(crate) fn state(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.state_file());
        serde_json::from_str(&text.expect("the cluster has a state")).expect("it is JSON")
    }

    /// The port of the API on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.state()["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
    }

    /// The process id of the node.
    pub(crate) fn node(&self) -> u32 {
        self.state()["node"]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process")
    }

    /// The process id of a node whose command line names the cluster's folder.
    pub(crate) fn node_process(&self) -> Option<u32> {
        crate::machine::process_with(&format!("--state\0{}\0", self.folder().display()))
    }

    /// Names of what still lies in the folder of the clusters.
    pub(crate) fn left(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.home()) else {
            return Vec::new();
        };
        entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect()
    }

    /// Nothing of the cluster is on this machine, or will be in a moment.
    pub(crate) fn assert_gone(&self) {
        // What the kernel ends together with a killed node ends a moment later.
        self.node_process().into_iter().for_each(crate::machine::wait_for_end);
        assert_eq!(self.node_process(), None, "a node still runs");
        assert!(!self.home().exists(), "{:?} is left", self.left());
        let groups = tinderbox_kubelet::cgroups::folders(&self.folder());
        assert!(groups.iter().all(|group| !group.exists()), "of {groups:?} some are left");
    }

    /// A text without what differs from run to run.
    pub(crate) fn tidy(&self, text: &str) -> String {
        let folder = self.dir.path().display().to_string();
        text.replace(&folder, "DIR").replace(&self.name, "NAME").trim_end().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run(&["down", "--all"]);
    }
}

/// A command that was started.
pub(crate) struct Begun {
    child: Child,
    out: JoinHandle<String>,
    err: BufReader<ChildStderr>,
    said: String,
}

impl Begun {
    /// Reads standard error up to the line that holds this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        loop {
            let from = self.said.len();
            assert!(self.err.read_line(&mut self.said).expect("it is text") > 0, "no {text:?} in:\n{}", self.said);
            if self.said[from..].contains(text) {
                return;
            }
        }
    }

    /// Waits until the command has started the cluster's node process, ready or not.
    pub(crate) fn wait_for_node(&mut self, cluster: &Cluster) {
        while cluster.node_process().is_none() {
            assert_eq!(self.child.try_wait().expect("it can be asked"), None, "it ended without a node");
            std::thread::yield_now();
        }
    }

    /// What Ctrl-C does: asks the whole process group to end.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT", &format!("-{}", self.child.id()));
    }

    /// Ends this one process without a chance to clean up.
    pub(crate) fn kill(&self) {
        self.signal("-KILL", &self.child.id().to_string());
    }

    fn signal(&self, signal: &str, whom: &str) {
        assert!(Command::new("kill").args([signal, "--", whom]).status().expect("kill runs").success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Said {
        let mut err = self.said;
        self.err.read_to_string(&mut err).expect("it is text");
        let code = self.child.wait().expect("it ends").code();
        Said { code, out: self.out.join().expect("read"), err }
    }
}
