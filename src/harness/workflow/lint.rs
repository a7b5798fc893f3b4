//! `workflow lint`: what can be said of workflows in files before they are run. It needs no cluster.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tinderbox_api::workflows::{ClusterWorkflowTemplate, CronWorkflow, Workflow, WorkflowSpec, WorkflowTemplate};

use crate::error::Error;
use crate::manifest::{self, Object};

/// What was looked at.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LintReport {
    /// The objects, in the order of the files.
    pub objects: Vec<Linted>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Linted {
    /// Its kind.
    pub kind: String,
    /// Its name, or what its name begins with.
    pub name: String,
    /// Where it stands, as `FILE:LINE:COLUMN`.
    pub origin: String,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl LintReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.objects.iter().all(|one| one.problem.is_none())
    }
}

/// Looks at all workflows, templates and crons in these files and folders.
///
/// # Errors
/// When a file cannot be read, or there is none of these kinds in them.
pub fn lint(paths: &[PathBuf]) -> Result<LintReport, Error> {
    let mut objects = Vec::new();
    for path in paths {
        objects.extend(manifest::load(path)?.iter().filter_map(linted));
    }
    if objects.is_empty() {
        let all: Vec<String> = paths.iter().map(|path| Path::display(path).to_string()).collect();
        return Err(Error::Usage { message: format!("there is no workflow in {}", all.join(", ")), hint: None });
    }
    Ok(LintReport { objects })
}

/// What is to be said of an object, if it is of one of the kinds.
fn linted(object: &Object) -> Option<Linted> {
    let value = &object.value;
    let kind = value["kind"].as_str()?;
    if !value["apiVersion"].as_str()?.starts_with("argoproj.io/") {
        return None;
    }
    let spec = match kind {
        "Workflow" => read(value, |one: Workflow| one.spec),
        "WorkflowTemplate" => read(value, |one: WorkflowTemplate| one.spec),
        "ClusterWorkflowTemplate" => read(value, |one: ClusterWorkflowTemplate| one.spec),
        "CronWorkflow" => read(value, |one: CronWorkflow| one.spec.workflow_spec),
        _ => return None,
    };
    let is_template = kind.ends_with("Template");
    let problem = spec.and_then(|mut spec| {
        // What it refers to stands elsewhere.
        if spec.workflow_template_ref.is_some() {
            return Ok(());
        }
        // A library of templates is not run by itself.
        if is_template && spec.entrypoint.as_deref().unwrap_or_default().is_empty() {
            spec.entrypoint = spec.templates.first().map(|template| template.name.clone());
        }
        tinderbox_platform::workflows::lint::spec(&spec)
    });
    let meta = &value["metadata"];
    let name = meta["name"].as_str().or(meta["generateName"].as_str()).unwrap_or_default();
    Some(Linted {
        kind: kind.to_owned(),
        name: name.to_owned(),
        origin: object.place_of("spec"),
        problem: problem.err(),
    })
}

fn read<K: DeserializeOwned>(value: &Value, spec: impl FnOnce(K) -> WorkflowSpec) -> Result<WorkflowSpec, String> {
    serde_json::from_value(value.clone()).map(spec).map_err(|error| error.to_string())
}
