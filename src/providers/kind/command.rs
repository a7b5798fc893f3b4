//! The `kind` command: finding it, and having it make a cluster. What it says goes to a log in the cluster's folder; what it is
//! about to do is told.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::embedded::process::end_with_us;
use crate::engine::{Engine, full};
use crate::folder::Folder;
use crate::{Class, Error, Talk};

/// The oldest release whose clusters are known to do.
const OLDEST: (u64, u64) = (0, 24);
/// How long kind waits for the node.
const WAIT: &str = "180s";
/// What it says when the API answers: a step that is done.
const SERVES: &str = "✓ Starting control-plane";
/// Lines of its log that explain why it failed.
const TAIL: usize = 8;

/// The command.
#[derive(Debug, Clone)]
pub(super) struct KindCommand {
    program: PathBuf,
    /// As `v0.30.0`.
    pub(super) version: String,
}

impl KindCommand {
    /// Finds it, and sees that it is new enough.
    pub(super) async fn find() -> Result<Self, Error> {
        let install = || {
            let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
            Some(format!(
                "go install sigs.k8s.io/kind@v0.30.0, or curl -Lo kind https://kind.sigs.k8s.io/dl/v0.30.0/kind-linux-{machine} \
                 && sudo install kind /usr/local/bin"
            ))
        };
        let program = which::which("kind").map_err(|_| Error::Lack {
            message: "there is no `kind` command in PATH, which makes clusters in a container engine".to_owned(),
            hint: install(),
        })?;
        let asked = Command::new(&program).arg("version").stdin(Stdio::null()).output().await;
        let output = asked.map_err(|source| Error::Spawn { program: program.clone(), source })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.split_whitespace().find(|word| word.starts_with('v')).unwrap_or_default().to_owned();
        if numbers(&version).is_none_or(|found| found < OLDEST) {
            return Err(Error::Lack {
                message: format!(
                    "{} is of version {:?}, and v{}.{} is the oldest that does",
                    program.display(),
                    if version.is_empty() { said.trim() } else { &version },
                    OLDEST.0,
                    OLDEST.1
                ),
                hint: install(),
            });
        }
        Ok(Self { program, version })
    }

    /// Has it make a cluster, until its API answers; [`Making::done`] waits for the rest.
    pub(super) async fn create(
        &self,
        engine: &Engine,
        folder: &Folder,
        name: &str,
        image: &str,
        config: &str,
        talk: &Talk,
    ) -> Result<Making, Error> {
        let fail = |source| Error::Spawn { program: self.program.clone(), source };
        let scratch = scratch(folder);
        let mut command = self.against(engine);
        // Without us it would go on to make what nobody waits for.
        end_with_us(&mut command);
        let mut child = command
            .args(["create", "cluster", "--name", name, "--image", image, "--wait", WAIT, "--config", "-"])
            .arg("--kubeconfig")
            .arg(&scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that ended says so itself.
            let _ = stdin.write_all(config.as_bytes()).await;
        }
        let mut making = Making {
            program: self.program.clone(),
            name: name.to_owned(),
            lines: child.stderr.take().map(|errors| BufReader::new(errors).lines()),
            child,
            said: vec![format!("kind {}", self.version)],
            log: log(folder),
            scratch,
        };
        while let Some(line) = making.line(talk).await {
            if line.contains(SERVES) {
                return Ok(making);
            }
        }
        // It ended before, or does not say so: then all is done, or nothing.
        making.ended().await?;
        Ok(making)
    }

    /// The credentials of a cluster's administrator, as soon as its API answers.
    pub(super) async fn kubeconfig(&self, engine: &Engine, name: &str) -> Result<Vec<u8>, Error> {
        let asked =
            self.against(engine).args(["get", "kubeconfig", "--name", name]).stdin(Stdio::null()).output().await;
        let output = asked.map_err(|source| Error::Spawn { program: self.program.clone(), source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::Compose {
            act: format!("get the credentials of {name} by `kind get kubeconfig`"),
            source: format!("{}: {}", output.status, said.trim()).into(),
            hint: None,
            class: Class::Failed,
        })
    }

    fn against(&self, engine: &Engine) -> Command {
        let mut command = Command::new(&self.program);
        command.env("DOCKER_HOST", format!("unix://{}", engine.socket().display()));
        command
    }
}

/// A cluster that the command is making.
pub(super) struct Making {
    program: PathBuf,
    name: String,
    child: Child,
    lines: Option<Lines<BufReader<ChildStderr>>>,
    said: Vec<String>,
    log: PathBuf,
    scratch: PathBuf,
}

impl Making {
    /// Waits until its nodes are ready.
    pub(super) async fn done(mut self, talk: &Talk) -> Result<(), Error> {
        while self.line(talk).await.is_some() {}
        self.ended().await
    }

    /// What it says next; the step that it begins is told.
    async fn line(&mut self, talk: &Talk) -> Option<String> {
        let line = self.lines.as_mut()?.next_line().await.ok()??;
        if let Some(step) = step(&line) {
            talk.say(&step);
        }
        self.said.push(line.clone());
        Some(line)
    }

    async fn ended(&mut self) -> Result<(), Error> {
        let fail = |source| Error::Spawn { program: self.program.clone(), source };
        let status = self.child.wait().await.map_err(fail)?;
        // The log is for people alone, and the same credentials are where they belong.
        let _ = std::fs::write(&self.log, self.said.join("\n") + "\n");
        let _ = std::fs::remove_file(&self.scratch);
        if status.success() {
            return Ok(());
        }
        let tail = self.said[self.said.len().saturating_sub(TAIL)..].join("\n  ");
        let hint = if tail.contains("port is already allocated") || tail.contains("address already in use") {
            Some("a port of the section `kind` or `port` in tinderbox.yaml is taken: choose another".to_owned())
        } else {
            full(&tail)
        };
        Err(Error::Compose {
            act: format!("make the cluster {} by `kind create cluster`", self.name),
            source: format!("{status}; its last words:\n  {tail}").into(),
            hint,
            class: Class::Failed,
        })
    }
}

/// Where the command puts credentials at its end: it would take the user's own file otherwise.
fn scratch(folder: &Folder) -> PathBuf {
    folder.path().join("kind.kubeconfig")
}

/// What the command said when it made the cluster.
pub(super) fn log(folder: &Folder) -> PathBuf {
    folder.path().join("kind.log")
}

fn numbers(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.strip_prefix('v')?.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What a line says that it is about to do: kind begins these with a bullet, and repeats them with a mark when they are done.
fn step(line: &str) -> Option<String> {
    let text = line.trim().strip_prefix('•')?.trim();
    let plain: String = text.chars().filter(char::is_ascii).collect();
    let plain = plain.trim().trim_end_matches('.').trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(numbers("v0.30.0"), Some((0, 30)));
        assert_eq!(numbers("v0.31.0-alpha+abc"), Some((0, 31)));
        assert_eq!(numbers("unknown"), None);
    }

    #[test]
    fn steps_are_told_when_they_begin() {
        assert_eq!(step(" • Preparing nodes 📦  ..."), Some("Preparing nodes".to_owned()));
        assert_eq!(step(" ✓ Preparing nodes 📦"), None);
        assert_eq!(step("Creating cluster \"x\" ..."), None);
    }
}
