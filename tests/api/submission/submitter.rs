//! Spark's own submission, by its script or by one JVM that submits as often as it is asked. It must not know what is submitted.

use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tinderbox_providers::embedded::images::HostSpark;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// Startup is all that a submission does: a JVM that does not optimise is ready sooner.
const QUICK: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/api/submission/Submitter.java");

/// A JVM that submits.
pub(super) struct Submitter(Mutex<Ends>);

struct Ends {
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Submitter {
    pub(super) fn start(spark: &HostSpark, folder: &Path) -> Self {
        let mut command = Command::new(spark.java.join("bin/java"));
        command.args(QUICK).arg("-cp").arg(spark.home.join("jars/*")).arg(SOURCE);
        // What Spark logs is of no interest here: a failure comes with its causes.
        command.stdout(Stdio::piped()).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut process = environment(command, spark, folder).spawn().expect("java is there");
        let (requests, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self(Mutex::new(Ends { requests, answers: BufReader::new(answers).lines(), _process: process }))
    }

    /// Submits; what is said when it fails.
    pub(super) async fn submit(&self, words: &[String]) -> Result<(), String> {
        let mut ends = self.0.lock().await;
        let lines = words.iter().map(|word| BASE64_STANDARD.encode(word));
        let request: String = [words.len().to_string()].into_iter().chain(lines).map(|line| line + "\n").collect();
        ends.requests.write_all(request.as_bytes()).await.unwrap();
        ends.requests.flush().await.unwrap();
        let answer = ends.answers.next_line().await.unwrap().expect("the JVM has not ended");
        match answer.strip_prefix("failed ") {
            Some(why) => Err(String::from_utf8(BASE64_STANDARD.decode(why).unwrap()).unwrap()),
            None => {
                assert_eq!(answer, "done");
                Ok(())
            }
        }
    }
}

/// Submits by Spark's script; what it says when it fails.
pub(super) async fn script(spark: &HostSpark, folder: &Path, words: &[String]) -> Result<(), String> {
    let mut command = Command::new(spark.home.join("bin/spark-submit"));
    command.args(words).stdin(Stdio::null());
    let output = environment(command, spark, folder).output().await.unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn environment(mut command: Command, spark: &HostSpark, folder: &Path) -> Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("SPARK_HOME", &spark.home)
        .env("JAVA_HOME", &spark.java)
        .env("SPARK_SUBMIT_OPTS", QUICK.join(" "))
        .env("SPARK_LAUNCHER_OPTS", QUICK.join(" "))
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .current_dir(folder)
        .kill_on_drop(true);
    command
}
