//! Programs that jobs or users need: Java, Python, kubectl, a container engine.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{Finding, Need};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);
/// The Java versions that Spark 4.0 runs on.
const JAVA: [u32; 2] = [17, 21];
/// The minor versions of Python 3 that Spark 4.0 runs on.
const PYTHON: std::ops::RangeInclusive<u32> = 9..=13;

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

fn from_home_or_path(variable: &str, inside: &str, name: &str) -> Option<PathBuf> {
    let home = std::env::var_os(variable).map(|home| PathBuf::from(home).join(inside)).filter(|path| path.is_file());
    home.or_else(|| which::which(name).ok())
}

/// Java 17 or 21, with the module that Spark asks for.
pub(super) async fn java() -> Finding {
    const WHAT: &str = "Java";
    let mend = || {
        Some(
            "install a full Java 17 or 21, as with `sudo apt install openjdk-17-jre-headless`, or set JAVA_HOME to one"
                .to_owned(),
        )
    };
    let Some(program) = from_home_or_path("JAVA_HOME", "bin/java", "java") else {
        return Finding::lack(WHAT, Need::Required, "there is none in JAVA_HOME or PATH", mend());
    };
    let said = match ask(&program, &["-version"]).await {
        Ok(said) => said,
        Err(why) => return Finding::lack(WHAT, Need::Required, why, mend()),
    };
    let found = format!("{} in {}", said.lines().next().unwrap_or_default(), program.display());
    match java_major(&said) {
        Some(major) if JAVA.contains(&major) => {}
        Some(major) => {
            let which = if major > JAVA[1] { "too new" } else { "not one that Spark 4.0 runs on" };
            return Finding::lack(WHAT, Need::Required, format!("{found}: {which}"), mend());
        }
        None => return Finding::lack(WHAT, Need::Required, format!("{found}: its version cannot be read"), mend()),
    }
    match ask(&program, &["--describe-module", "jdk.incubator.vector"]).await {
        Ok(_) => Finding::good(WHAT, Need::Required, found),
        Err(_) => Finding::lack(
            WHAT,
            Need::Required,
            format!("{found}: a stripped one, without the module jdk.incubator.vector"),
            mend(),
        ),
    }
}

/// The major version in what `java -version` says.
fn java_major(said: &str) -> Option<u32> {
    let version = said.split('"').nth(1)?;
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().ok());
    match parts.next()?? {
        // Java 8 and older called themselves 1.8.
        1 => parts.next()?,
        major => Some(major),
    }
}

/// Python 3 in a version that Spark runs on.
pub(super) async fn python() -> Finding {
    const WHAT: &str = "Python 3";
    let mend = || {
        let (first, last) = (PYTHON.start(), PYTHON.end());
        Some(format!("install Python 3.{first} to 3.{last} as python3, as with `sudo apt install python3`"))
    };
    let Ok(program) = which::which("python3") else {
        return Finding::lack(WHAT, Need::Required, "there is no python3 in PATH", mend());
    };
    match ask(&program, &["-c", "import sys; print(sys.version.split()[0], sys.executable)"]).await {
        Err(why) => Finding::lack(WHAT, Need::Required, why, mend()),
        Ok(said) => match said.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()) {
            Some(minor) if PYTHON.contains(&minor) => Finding::good(WHAT, Need::Required, said),
            Some(minor) if minor > *PYTHON.end() => {
                Finding::lack(WHAT, Need::Required, format!("{said}: too new for Spark 4.0"), mend())
            }
            _ => Finding::lack(WHAT, Need::Required, format!("{said}: too old for Spark 4.0"), mend()),
        },
    }
}

/// kubectl, which only the user needs.
pub(super) async fn kubectl() -> Finding {
    const WHAT: &str = "kubectl";
    let mend = || Some("install it from kubernetes.io/docs/tasks/tools; only `xtask kubectl` needs it".to_owned());
    let Ok(program) = which::which("kubectl") else {
        return Finding::lack(WHAT, Need::Optional, "there is none in PATH", mend());
    };
    match ask(&program, &["version", "--client"]).await {
        Ok(said) => Finding::good(WHAT, Need::Optional, said.lines().next().unwrap_or_default()),
        Err(why) => Finding::lack(WHAT, Need::Optional, why, mend()),
    }
}

/// A container engine, which only the provider kind needs.
pub(super) async fn docker() -> Finding {
    const WHAT: &str = "Docker engine";
    let mend = || Some("start it, as with `sudo systemctl start docker`; only `--provider kind` needs it".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_java_versions() {
        for (said, major) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK", Some(17)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("java version \"1.8.0_392\"", Some(8)),
            ("openjdk version \"26-ea\" 2026-03-17", Some(26)),
            ("no version", None),
        ] {
            assert_eq!(java_major(said), major, "{said}");
        }
    }
}
