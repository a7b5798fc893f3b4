//! Programs that jobs or users need: Java, Python, kubectl, a container engine.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tinderbox_client::error::chain;
use tinderbox_providers::embedded::machine::{self, Language};
use tinderbox_providers::engine::Engine;
use tinderbox_providers::kind::{self, Orphans};
use tinderbox_providers::merged;
use tokio::process::Command;

use super::{Finding, Need};
use crate::project::Project;

/// The release of kubectl that fits the API that we serve.
const KUBECTL: &str = "v1.34.2";
/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a program; all that it says, or why it cannot be run.
async fn ask(program: &PathBuf, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(PATIENCE, output).await {
        Err(_) => Err(format!("{} did not answer within {} s", program.display(), PATIENCE.as_secs())),
        Ok(Err(error)) => Err(format!("{}: {error}", program.display())),
        Ok(Ok(output)) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            if output.status.success() { Ok(said) } else { Err(said) }
        }
    }
}

/// What Spark stands on: found as images find it, and then run.
async fn language(what: &'static str, found: Result<Language, String>, question: &str, mend: &str) -> Finding {
    let mend = || Some(mend.to_owned());
    let language = match found {
        Ok(language) => language,
        Err(why) => return Finding::lack(what, Need::Required, format!("Spark 4.0 cannot run: {why}"), mend()),
    };
    match ask(&language.program, &[question]).await {
        Ok(_) => {
            let found = format!("{} at {}", language.version, language.program.display());
            Finding::good(what, Need::Required, found)
        }
        Err(why) => Finding::lack(what, Need::Required, format!("it cannot be run: {why}"), mend()),
    }
}

/// Java 17 or 21, with the module that Spark asks for.
pub(super) async fn java() -> Finding {
    let mend = "sudo apt install openjdk-17-jre-headless, or set JAVA_HOME to a full Java 17 or 21";
    language("Java", machine::java().await, "-version", mend).await
}

/// Python 3 in a version that Spark runs on.
pub(super) async fn python() -> Finding {
    let mend = "sudo apt install python3, or put a python3 of a fitting version on the PATH";
    language("Python 3", machine::python().await, "--version", mend).await
}

/// kubectl, which only the user needs.
pub(super) async fn kubectl() -> Finding {
    const WHAT: &str = "kubectl";
    let mend = || {
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        Some(format!(
            "curl -LO https://dl.k8s.io/release/{KUBECTL}/bin/linux/{machine}/kubectl && sudo install kubectl /usr/local/bin; only \
             `cargo xtask kubectl` needs it"
        ))
    };
    let Ok(program) = which::which("kubectl") else {
        return Finding::lack(WHAT, Need::Optional, "there is none in PATH", mend());
    };
    match ask(&program, &["version", "--client"]).await {
        Ok(said) => Finding::good(WHAT, Need::Optional, said.lines().next().unwrap_or_default()),
        Err(why) => Finding::lack(WHAT, Need::Optional, why, mend()),
    }
}

/// Prometheus, which only `--with monitoring` runs, and which apt fetches where it is not installed.
pub(super) async fn prometheus() -> Finding {
    const WHAT: &str = "Prometheus";
    let mend = || {
        Some("sudo apt install prometheus; only `up --with monitoring` needs it, and fetches it otherwise".to_owned())
    };
    let Ok(program) = which::which("prometheus") else {
        return Finding::lack(WHAT, Need::Optional, "there is none in PATH", mend());
    };
    match ask(&program, &["--version"]).await {
        Ok(said) => Finding::good(WHAT, Need::Optional, said.lines().next().unwrap_or_default()),
        Err(why) => Finding::lack(WHAT, Need::Optional, why, mend()),
    }
}

/// A container engine, which only clusters in one need.
pub(super) async fn engine() -> Finding {
    const WHAT: &str = "container engine";
    match Engine::fit().await {
        Ok((_, found)) => {
            let rootless = if found.rootless { ", rootless" } else { "" };
            let (memory, processors) = (found.memory >> 20, found.processors);
            let disk = found.disk.map(|free| format!(", {} MiB of disk left", free >> 20)).unwrap_or_default();
            let said = format!(
                "{} {}{rootless}, {processors} processors, {memory} MiB{disk}, {} layers, control groups {} by {}",
                found.name, found.version, found.storage, found.cgroups, found.cgroup_driver
            );
            Finding::good(WHAT, Need::Optional, said)
        }
        Err(error) => Finding::lack(WHAT, Need::Optional, chain(&error).to_string(), only_kind(error.hint())),
    }
}

/// The command that makes clusters in the engine.
pub(super) async fn kind() -> Finding {
    const WHAT: &str = "kind";
    match kind::command_version().await {
        Ok(version) => Finding::good(WHAT, Need::Optional, version),
        Err(error) => Finding::lack(WHAT, Need::Optional, chain(&error).to_string(), only_kind(error.hint())),
    }
}

/// What is left in the engine of clusters whose folder is gone; nothing where there is no engine.
pub(super) async fn orphans(project: &Project) -> Option<Finding> {
    const WHAT: &str = "what is left in the engine";
    let Orphans { own, others } = kind::orphans(project.home()).await.ok()?;
    if own.is_empty() && others.is_empty() {
        return Some(Finding::good(WHAT, Need::Optional, "nothing without a folder"));
    }
    let mut mend = Vec::new();
    if !own.is_empty() {
        mend.push("`cargo xtask down --all` removes what is this project's".to_owned());
    }
    if !others.is_empty() {
        mend.push(format!("of projects that are gone: `docker rm --force --volumes {}`", others.join(" ")));
    }
    let found = format!("containers: {}", [own, others].concat().join(", "));
    Some(Finding::lack(WHAT, Need::Optional, found, Some(mend.join("; "))))
}

/// What is left in the user's kubeconfig of clusters that are gone.
pub(super) fn contexts() -> Finding {
    const WHAT: &str = "your kubeconfig";
    let mend = |text: &str| Some(text.to_owned());
    match merged::orphans() {
        Ok(left) if left.is_empty() => Finding::good(WHAT, Need::Optional, "no context of a cluster that is gone"),
        Ok(left) => {
            let names: Vec<String> = left.into_iter().map(|one| one.context).collect();
            let found = format!("contexts of clusters that are gone: {}", names.join(", "));
            Finding::lack(WHAT, Need::Optional, found, mend("`cargo xtask down --all` takes them out"))
        }
        Err(error) => Finding::lack(
            WHAT,
            Need::Optional,
            chain(&error).to_string(),
            mend("mend it, or name another in KUBECONFIG"),
        ),
    }
}

fn only_kind(hint: Option<String>) -> Option<String> {
    let only = "only `--provider kind` needs it";
    Some(hint.map_or_else(|| only.to_owned(), |hint| format!("{hint}; {only}")))
}
