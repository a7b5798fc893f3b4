//! `workflow test`: scenarios of workflows, played in virtual time. Neither a cluster nor a pod is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use tinderbox_api::workflows::NodeStatus;
use tinderbox_platform::workflows::runner::{Complaint, Pace, Run, Scenario};

use super::tree::in_order;
use crate::error::Error;
use crate::manifest;

/// What was played.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestReport {
    /// The scenarios, in the order of the files.
    pub scenarios: Vec<Tested>,
}

/// One scenario.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tested {
    /// Its file's name.
    pub name: String,
    /// The behaviour, in a sentence.
    pub about: String,
    /// The nodes of the workflow as they are at the end.
    pub nodes: Vec<Played>,
    /// What did not come out as it has to.
    pub complaints: Vec<Complaint>,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Played {
    /// Its whole name.
    pub name: String,
    /// Its phase.
    pub phase: String,
    /// How long it took, in virtual seconds.
    pub seconds: u64,
}

impl TestReport {
    /// Whether all came out as they have to.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.scenarios.iter().all(|one| one.complaints.is_empty())
    }

    /// Writes the report as JUnit XML: a suite for each scenario, a case for each node, and one for the workflow as a whole.
    ///
    /// # Errors
    /// When it cannot be encoded or written.
    pub fn write_junit(&self, file: &Path) -> Result<(), Error> {
        let mut whole = Report::new("tinderbox workflow test");
        whole.add_test_suites(self.scenarios.iter().map(suite));
        let text = whole.to_string().map_err(|error| Error::Internal(format!("the report is no XML: {error}")))?;
        fs::write(file, text).map_err(Error::file("write", file))
    }
}

/// Plays the scenarios in these files and folders; from folders all that is YAML.
///
/// # Errors
/// When there is none, or one cannot be read or played. What comes out otherwise than it has to is a result.
pub fn test(paths: &[PathBuf]) -> Result<TestReport, Error> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(manifest::files_in(path, &["yaml", "yml"]).map_err(Error::file("list", path))?);
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::Usage { message: format!("there is no scenario in {}", all.join(", ")), hint: None });
    }
    let scenarios = files.iter().map(|file| played(file)).collect::<Result<_, _>>()?;
    Ok(TestReport { scenarios })
}

fn played(file: &Path) -> Result<Tested, Error> {
    let scenario = read(file)?;
    let wrong = |message: String| Error::Document { place: file.display().to_string(), message };
    let run = scenario.play().map_err(wrong)?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let complaints = scenario.complaints(&run, Pace::Played);
    Ok(Tested { name, about: scenario.about, nodes: nodes(&run), complaints })
}

/// A scenario, with what is in the files that it names.
fn read(file: &Path) -> Result<Scenario, Error> {
    let text = fs::read_to_string(file).map_err(Error::file("read", file))?;
    let mut scenario =
        Scenario::read(&text).map_err(|message| Error::Document { place: file.display().to_string(), message })?;
    let folder = file.parent().unwrap_or(Path::new("."));
    for more in &scenario.files {
        let objects = manifest::load(&folder.join(more))?;
        scenario.with.extend(objects.into_iter().map(|object| object.value));
    }
    Ok(scenario)
}

fn nodes(run: &Run) -> Vec<Played> {
    let seconds = |node: &NodeStatus| {
        let (from, to) = (node.started_at.as_ref()?, node.finished_at.as_ref()?);
        u64::try_from(to.0.as_second() - from.0.as_second()).ok()
    };
    let of = |node: &NodeStatus| Played {
        name: node.name.clone(),
        phase: node.phase.to_string(),
        seconds: seconds(node).unwrap_or_default(),
    };
    run.workflows.first().map(in_order).unwrap_or_default().into_iter().map(of).collect()
}

fn suite(scenario: &Tested) -> TestSuite {
    let mut suite = TestSuite::new(scenario.name.as_str());
    suite.add_property(("about".to_owned(), scenario.about.clone()));
    let texts = |node: Option<&str>| {
        let about = scenario.complaints.iter().filter(|wrong| wrong.node.as_deref() == node);
        about.map(|wrong| wrong.text.as_str()).collect::<Vec<_>>().join("\n")
    };
    let case = |name: &str, seconds: u64, wrong: String| {
        let status = if wrong.is_empty() {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(wrong);
            status
        };
        let mut case = TestCase::new(name, status);
        case.set_time(Duration::from_secs(seconds));
        case
    };
    suite.add_test_case(case("workflow", scenario.nodes.first().map_or(0, |root| root.seconds), texts(None)));
    for node in &scenario.nodes {
        let mut case = case(&node.name, node.seconds, texts(Some(&node.name)));
        case.add_property(("phase".to_owned(), node.phase.clone()));
        suite.add_test_case(case);
    }
    // What is missed has no node that it could be told of.
    for wrong in &scenario.complaints {
        if let Some(node) = wrong.node.as_deref().filter(|name| !scenario.nodes.iter().any(|one| one.name == *name)) {
            suite.add_test_case(case(node, 0, wrong.text.clone()));
        }
    }
    suite
}
