//! `conformance`: Kubernetes' own conformance specs against a cluster, by its `e2e.test`. What a spec proves is its own business;
//! here it is run, counted and told.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tinderbox_providers::{Found, Provider as _};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::error::Error;
use crate::event::{Event, Talk};
use crate::kin::millis;
use crate::project::Project;
use crate::scenario::Verdict;
use crate::{kubectl, up};

/// The verb that is remembered as the maker of a cluster of our own.
const VERB: &str = "conformance";
/// The program that holds the specs.
const PROGRAM: &str = "e2e.test";
/// The specs of the API server.
const FOCUS: &str = r"\[sig-api-machinery\].*\[Conformance\]";
/// Those of them whose pods come from images that only a registry has.
const SKIP: &str = "AdmissionWebhook|CustomResourceConversionWebhook|CustomResourceFieldSelectors|Aggregator";
/// The release whose specs fit.
const KUBERNETES: &str = "v1.34.2";
/// How long all specs together may take.
const TIMEOUT: &str = "3h";

/// Which specs to run, and with what.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `e2e.test`; that of the PATH when absent.
    pub e2e_test: Option<PathBuf>,
    /// Which specs, as a regular expression over their names; those of the API server that need no image from a registry
    /// when absent.
    pub focus: Option<String>,
}

/// One spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Its whole name.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why it failed, in its own words.
    pub message: Option<String>,
}

/// The score.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConformanceReport {
    /// The cluster.
    pub cluster: String,
    /// It was started for this run.
    pub own_cluster: bool,
    /// Specs that hold.
    pub passed: usize,
    /// Specs that do not.
    pub failed: usize,
    /// All together, in milliseconds.
    pub took_ms: u64,
    /// All that `e2e.test` said.
    pub log: PathBuf,
    /// The specs, in the order in which they ran.
    pub specs: Vec<Spec>,
}

/// Runs the specs, on the project's cluster or, where that is not running, on one that is started and taken away again.
///
/// # Errors
/// When there is no `e2e.test`, the cluster cannot be had, or no spec is meant. A spec that fails is a result and not an error.
pub async fn conformance(
    project: &Project,
    options: &Options,
    stop: impl Future<Output = ()>,
    talk: &Talk,
) -> Result<ConformanceReport, Error> {
    let began = Instant::now();
    let program = program(options)?;
    let place = project.provider(VERB)?;
    // What an earlier run left, killed half-way, is ours too.
    let left = place.made_by()?.is_some_and(|verb| verb == VERB);
    let own_cluster = left || !place.folder().exists();
    let work = async {
        if !matches!(place.find().await?, Found::Running(_)) {
            up::up(project, if own_cluster { VERB } else { "up" }, std::future::pending(), talk).await?;
        }
        judge(project, &program, options, talk).await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = stop => Err(Error::Interrupted),
    };
    if own_cluster {
        talk.tell(Event::Step(format!("taking cluster {} away", project.cluster)));
        let down = up::take_away(project, &place).await;
        // What failed first is what is told.
        if outcome.is_ok() {
            down?;
        }
    }
    let (specs, log) = outcome?;
    let passed = specs.iter().filter(|spec| spec.verdict == Verdict::Passed).count();
    Ok(ConformanceReport {
        cluster: project.cluster.clone(),
        own_cluster,
        passed,
        failed: specs.len() - passed,
        took_ms: millis(Instant::now(), began),
        log,
        specs,
    })
}

fn program(options: &Options) -> Result<PathBuf, Error> {
    let found = match &options.e2e_test {
        Some(path) => std::fs::metadata(path).map(|_| path.clone()),
        None => which::which(PROGRAM).map_err(|error| io::Error::new(io::ErrorKind::NotFound, error)),
    };
    found.map_err(|source| Error::Program {
        program: options.e2e_test.as_ref().map_or_else(|| PROGRAM.to_owned(), |path| path.display().to_string()),
        source,
        hint: Some(format!(
            "name it with --e2e-test or put it into the PATH; it is in the archive kubernetes-test-linux-amd64.tar.gz of Kubernetes {}, or made of its source by `go test -c -o e2e.test ./test/e2e`",
            KUBERNETES
        )),
    })
}

async fn judge(
    project: &Project,
    program: &Path,
    options: &Options,
    talk: &Talk,
) -> Result<(Vec<Spec>, PathBuf), Error> {
    let folder = project.reports().join("conformance");
    std::fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
    let (report, log) = (folder.join("report.json"), folder.join("log"));
    let _ = std::fs::remove_file(&report);
    let access = kubectl::access(project).await?;
    let mut command = Command::new(program);
    command
        .arg("--provider=skeleton")
        .arg(format!("--kubeconfig={}", access.kubeconfig.display()))
        .arg(format!("--ginkgo.focus={}", options.focus.as_deref().unwrap_or(FOCUS)))
        .arg(format!("--ginkgo.timeout={TIMEOUT}"))
        .arg(format!("--ginkgo.json-report={}", report.display()))
        // Our nodes come with no system pods to wait for.
        .args(["--minStartupPods=-1", "--allowed-not-ready-nodes=-1", "--ginkgo.no-color", "--ginkgo.v"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if options.focus.is_none() {
        command.arg(format!("--ginkgo.skip={SKIP}"));
    }
    let unusable = |source| Error::Program { program: program.display().to_string(), source, hint: None };
    let status = follow(&mut command, &log, talk).await.map_err(unusable)?;
    let text = std::fs::read(&report).map_err(|_| Error::Internal(ended_early(status, &log)))?;
    let report: Value = serde_json::from_slice(&text)
        .map_err(|error| Error::Internal(format!("the report of {PROGRAM} is not JSON: {error}")))?;
    let specs = specs(&report);
    if specs.is_empty() {
        let (focus, log) = (options.focus.as_deref().unwrap_or(FOCUS), log.display());
        let message = format!("no spec of {PROGRAM} ran for {focus:?}; {log} says more");
        return Err(Error::Usage { message, hint: None });
    }
    Ok((specs, log))
}

fn ended_early(status: ExitStatus, log: &Path) -> String {
    format!("{PROGRAM} ended with {status} before it had a report; {} says why", log.display())
}

/// Runs the program to its end, keeps what it says, and tells how far it is.
async fn follow(command: &mut Command, log: &Path, talk: &Talk) -> io::Result<ExitStatus> {
    let mut kept = File::create(log).await?;
    let mut child = command.spawn()?;
    let mut progress = Progress::default();
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).await? > 0 {
            kept.write_all(&line).await?;
            if let Some(event) = progress.read(String::from_utf8_lossy(&line).trim_end()) {
                talk.tell(event);
            }
            line.clear();
        }
    }
    kept.flush().await?;
    child.wait().await
}

/// How far a run is, as its lines tell.
#[derive(Debug, Default)]
struct Progress {
    of: usize,
    done: usize,
    name: String,
    /// The last line was one that stands between specs.
    between: bool,
}

impl Progress {
    fn read(&mut self, line: &str) -> Option<Event> {
        if let Some(rest) = line.strip_prefix("Will run ") {
            self.of = rest.split(' ').next()?.parse().ok()?;
            return None;
        }
        let between = std::mem::replace(&mut self.between, line.starts_with("-----"));
        if between && line.starts_with("[sig-") {
            line.clone_into(&mut self.name);
            return Some(Event::Step(format!("spec {} of {}: {line}", self.done + 1, self.of)));
        }
        let rest = line.strip_prefix('•')?;
        self.done += 1;
        let failed = rest.contains("[FAILED]") || rest.contains("[PANICKED]") || rest.contains("[TIMEDOUT]");
        let name = std::mem::take(&mut self.name);
        failed.then(|| Event::Judged { name, passed: false, took: seconds(rest) })
    }
}

/// The time at the end of `• [FAILED] [4.160 seconds]`.
fn seconds(text: &str) -> Duration {
    let number = text.rsplit('[').next().and_then(|last| last.split(' ').next()?.parse().ok());
    Duration::try_from_secs_f64(number.unwrap_or_default()).unwrap_or_default()
}

/// The specs of a report that ran.
fn specs(report: &Value) -> Vec<Spec> {
    let suites = report.as_array().into_iter().flatten();
    let all = suites.filter_map(|suite| suite["SpecReports"].as_array()).flatten();
    let ran = all.filter(|one| one["LeafNodeType"] == "It" && one["State"] != "skipped" && one["State"] != "pending");
    ran.map(spec).collect()
}

fn spec(one: &Value) -> Spec {
    let containers = one["ContainerHierarchyTexts"].as_array().into_iter().flatten();
    let words: Vec<&str> = containers.chain([&one["LeafNodeText"]]).filter_map(Value::as_str).collect();
    let passed = one["State"] == "passed";
    let message = one["Failure"]["Message"].as_str().or_else(|| one["State"].as_str());
    Spec {
        name: words.join(" "),
        verdict: if passed { Verdict::Passed } else { Verdict::Failed },
        took_ms: one["RunTime"].as_u64().unwrap_or(0) / 1_000_000,
        message: message.filter(|_| !passed).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_tell_how_far_it_is() {
        let mut progress = Progress::default();
        let lines = [
            "Will run 2 of 7137 specs",
            "------------------------------",
            "[ReportBeforeSuite]",
            "------------------------------",
            "[sig-a] One does [Conformance]",
            "• [0.100 seconds]",
            "------------------------------",
            "[sig-a] Two does [Conformance]",
            "  STEP: something",
            "• [FAILED] [4.160 seconds]",
            "[sig-a] Two does [It] more",
        ];
        let told: Vec<String> = lines
            .iter()
            .filter_map(|line| progress.read(line))
            .map(|event| match event {
                Event::Step(text) => text,
                Event::Judged { name, passed, took } => format!("{name} {passed} {took:?}"),
                other => format!("{other:?}"),
            })
            .collect();
        let wanted = [
            "spec 1 of 2: [sig-a] One does [Conformance]",
            "spec 2 of 2: [sig-a] Two does [Conformance]",
            "[sig-a] Two does [Conformance] false 4.16s",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_report_is_read() {
        let it = |state: &str, failure: Value| {
            json!({"LeafNodeType": "It", "ContainerHierarchyTexts": ["[sig-a] One"], "LeafNodeText": "does",
                "State": state, "RunTime": 1_500_000_000_u64, "Failure": failure})
        };
        let report = json!([{"SpecReports": [
            {"LeafNodeType": "BeforeSuite", "State": "passed"},
            it("passed", json!(null)),
            it("skipped", json!(null)),
            it("failed", json!({"Message": "why"})),
            it("timedout", json!(null)),
        ]}]);
        let spec = |verdict, message: Option<&str>| Spec {
            name: "[sig-a] One does".to_owned(),
            verdict,
            took_ms: 1500,
            message: message.map(str::to_owned),
        };
        let wanted =
            [spec(Verdict::Passed, None), spec(Verdict::Failed, Some("why")), spec(Verdict::Failed, Some("timedout"))];
        assert_eq!(specs(&report), wanted);
    }
}
