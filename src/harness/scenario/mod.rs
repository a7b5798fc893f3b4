//! Scenario files: what to submit, what must become true, and what must be gone afterwards. `docs/scenarios.md` documents the
//! format for users. Here a file becomes a checked [`Scenario`]; nothing is run.

mod cel;
mod logs;
pub(crate) mod outputs;
mod pages;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::Error;
use crate::project::from_yaml;

pub use cel::Expression;
pub use outputs::Output;
pub use pages::Page;
pub use verify::{Check, PhaseReport, ScenarioReport, Verdict, verify};

/// A scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Its name; the file's name when absent.
    #[serde(default)]
    pub name: String,
    /// What it proves, in a sentence.
    #[serde(default)]
    pub description: String,
    /// What is submitted.
    pub submit: Submit,
    /// The namespace that it looks into.
    #[serde(default = "spark_jobs")]
    pub namespace: String,
    /// How long it may take until all is true, as in `90s` or `3m`.
    #[serde(deserialize_with = "duration")]
    pub budget: Duration,
    /// What must become true.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// The states that objects must go through.
    #[serde(default)]
    pub history: Vec<History>,
    /// What must be found in logs.
    #[serde(default)]
    pub logs: Vec<LogCheck>,
    /// What services must answer.
    #[serde(default)]
    pub pages: Vec<Page>,
    /// What must lie on volumes.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// What must no longer exist at the end of the run, before anything is taken away.
    #[serde(default)]
    pub gone: Vec<Selection>,
    /// The file that it comes from.
    #[serde(skip)]
    pub file: PathBuf,
}

fn spark_jobs() -> String {
    "spark-jobs".to_owned()
}

/// What is submitted: an app or files, with parameters set in them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submit {
    /// Name of a folder in `manifests/apps`.
    pub app: Option<String>,
    /// Manifest files or folders, relative to the scenario's file.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Values that are set in the submitted objects.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
}

/// A value in a submitted object.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameter {
    /// Kind of the object.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// JSON pointer of the field; `-` as its last part appends to a list.
    pub path: String,
    /// The value.
    pub value: Value,
}

/// Which objects are meant: one by name, or those that a selector finds.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// API version; `v1` when absent.
    #[serde(default = "v1")]
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: Option<String>,
    /// Label selector, as kubectl reads it.
    pub selector: Option<Selector>,
}

fn v1() -> String {
    "v1".to_owned()
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind.to_lowercase())?;
        match (&self.name, &self.selector) {
            (Some(name), _) => write!(f, "/{name}"),
            (None, Some(selector)) => write!(f, " with {}", selector.text),
            (None, None) => Ok(()),
        }
    }
}

/// A label selector that has been read.
#[derive(Debug, Clone)]
pub struct Selector {
    /// As it was written.
    pub text: String,
    /// As it is meant.
    pub selector: tinderbox_api::selector::LabelSelector,
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let selector = tinderbox_api::selector::LabelSelector::parse(&text).map_err(serde::de::Error::custom)?;
        Ok(Self { text, selector })
    }
}

/// A condition that must become true.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// Which objects.
    pub on: Selection,
    /// What must become true of them: `object` is the newest, `objects` those that are there, `seen` all there ever were.
    pub that: Expression,
    /// What must never be true of them.
    pub never: Option<Expression>,
}

/// The states that an object must go through, all of them and no others.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// Which objects; each of them must have this history.
    pub on: Selection,
    /// The state, of `object`; its phase when absent. Versions without a state (null) do not count.
    pub of: Option<Expression>,
    /// The states, in order.
    pub is: Vec<Value>,
}

/// What must be found in logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogCheck {
    /// Which pods.
    pub on: Selection,
    /// Only this container.
    pub container: Option<String>,
    /// A regular expression that some line of some of them must match.
    #[serde(default, deserialize_with = "pattern")]
    pub matches: Option<Regex>,
    /// A regular expression that no line of any of them may match.
    #[serde(default, deserialize_with = "pattern")]
    pub never: Option<Regex>,
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map(Some).map_err(serde::de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

/// Reads `90s`, `3m` or `1m 30s`.
///
/// # Errors
/// When it is none of these, or negative.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is not a duration such as 90s or 3m"))?;
    Duration::try_from(span).map_err(|_| format!("{text:?} is negative"))
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// When it cannot be read or is wrong; with line and column.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        let mut scenario: Self = from_yaml(path, &text)?;
        scenario.file = path.to_owned();
        if scenario.name.is_empty() {
            scenario.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        let wrong =
            |message: &str| Err(Error::Document { place: path.display().to_string(), message: message.to_owned() });
        if scenario.submit.app.is_none() && scenario.submit.files.is_empty() {
            return wrong("submit: names neither an app nor files");
        }
        let Self { expect, logs, pages, outputs, .. } = &scenario;
        if expect.is_empty() && logs.is_empty() && pages.is_empty() && outputs.is_empty() {
            return wrong("it proves nothing: there is none of expect, logs, pages and outputs");
        }
        if scenario.logs.iter().any(|check| check.on.kind != "Pod") {
            return wrong("logs: only pods have logs");
        }
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("written");
        let error = Scenario::load(file.path()).expect_err("wrong").to_string();
        error.replace(&file.path().display().to_string(), "FILE")
    }

    #[test]
    fn the_projects_own_are_right() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios");
        let mut count = 0;
        for entry in fs::read_dir(dir).expect("scenarios").flatten() {
            let scenario = Scenario::load(&entry.path()).expect("right");
            assert!(!scenario.description.is_empty(), "{}", scenario.name);
            count += 1;
        }
        assert!(count >= 2);
    }

    #[test]
    fn errors_name_the_place() {
        let head = "submit: {app: a}\nbudget: 10s\n";
        for (rest, expected) in [
            ("", "FILE: it proves nothing: there is none of expect, logs, pages and outputs"),
            ("expect:\n- on: {kind: Pod, selector: 'a in b'}\n  that: 'true'\n", "FILE:4:24: "),
            ("expect:\n- on: {kind: Pod, name: x}\n  that: 'object.'\n", "FILE:5:9: "),
            ("logs:\n- on: {kind: Pod, name: x}\n  matches: '('\n", "FILE:5:12: "),
            ("logs:\n- on: {kind: Job, name: x}\n  matches: x\n", "FILE: logs: only pods have logs"),
            ("epxect: []\n", "FILE:3:1: unknown field `epxect`"),
        ] {
            let said = error(&format!("{head}{rest}"));
            assert!(said.contains(expected.trim_start_matches("FILE:").split(": ").last().unwrap_or("")), "{said}");
            assert!(said.starts_with("FILE"), "{said}");
        }
        assert!(error("submit: {app: a}\nbudget: soon\n").contains("is not a duration"));
    }
}
