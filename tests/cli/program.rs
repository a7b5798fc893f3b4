//! The built program, run on a cluster of its own in a folder of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::machine::Running;

/// How long, in seconds, something may take that takes a few on an idle machine.
pub(crate) const PATIENCE: &str = "600";

/// A cluster of a test; dropping it takes it away.
pub(crate) struct Cluster {
    pub(crate) name: String,
    home: TempDir,
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
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// The project's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// The program, built first: `cargo test` alone does not build the binaries of other packages.
fn program() -> &'static Path {
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

impl Cluster {
    pub(crate) fn new(purpose: &str) -> Self {
        let home = TempDir::new().expect("a temporary folder");
        Self { name: format!("{purpose}-{}", std::process::id()), home }
    }

    /// Runs the program with these words.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        let mut command = Command::new(program());
        command.args(["--name", &self.name, "--project"]).arg(root()).args(words);
        command.env("TINDERBOX_HOME", self.home.path()).stdin(Stdio::null());
        command.output().expect("the program runs").into()
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
        command.args([PATIENCE, "kubectl", "--kubeconfig"]).arg(self.kubeconfig()).args(words).arg("--watch");
        let mut kubectl = Running(command.stdout(Stdio::piped()).spawn().expect("coreutils are there"));
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
        self.home.path().join(&self.name).join("kubeconfig")
    }

    fn state(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.home.path().join(&self.name).join("state.json"));
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

    /// Names of what still lies in the folder of the clusters.
    pub(crate) fn left(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.home.path()) else {
            return Vec::new();
        };
        entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}
