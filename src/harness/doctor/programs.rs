//! Programs that jobs or users need: Java, Python, kubectl, a container engine.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tinderbox_providers::embedded::machine::{self, Language};
use tokio::process::Command;

use super::{Finding, Need};

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

/// A container engine, which only clusters in Docker need.
pub(super) async fn docker() -> Finding {
    const WHAT: &str = "Docker engine";
    let mend =
        || Some("start it, as with `sudo systemctl start docker`; only clusters in Docker (kind) need it".to_owned());
    let asked = async {
        let docker = bollard::Docker::connect_with_local_defaults()?;
        docker.version().await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(version)) => Finding::good(WHAT, Need::Optional, version.version.unwrap_or_else(|| "answers".to_owned())),
        Ok(Err(error)) => Finding::lack(WHAT, Need::Optional, format!("does not answer: {error}"), mend()),
        Err(_) => Finding::lack(WHAT, Need::Optional, "does not answer", mend()),
    }
}
