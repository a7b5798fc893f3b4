//! The scenarios of `fixtures/workflows`: a workflow, what its pods do, and what has to become of it. Each file is a behaviour.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tinderbox_api::workflows::{NodePhase, NodeStatus, Phase};

use crate::jsonpath;
use crate::runner::{Moment, Run, Table, World};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scenario {
    /// The behaviour.
    #[serde(rename = "about")]
    _about: String,
    /// The metadata of the workflow.
    #[serde(default)]
    metadata: Option<Value>,
    /// The workflow's spec.
    spec: Value,
    /// Objects beside it.
    #[serde(default)]
    with: Vec<Value>,
    /// What pods and objects do.
    #[serde(default)]
    table: Table,
    /// What somebody does.
    #[serde(default)]
    moments: Vec<Moment>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expect {
    phase: Phase,
    message: Option<String>,
    /// Phases of nodes by their names without the workflow's; or more of them.
    #[serde(default)]
    nodes: BTreeMap<String, Wanted>,
    /// Nodes that must not be.
    #[serde(default)]
    absent: Vec<String>,
    /// Nodes in the order in which their pods were made.
    order: Option<Vec<String>>,
    /// Values in pods, by nodes and JSON paths.
    #[serde(default)]
    pods: BTreeMap<String, BTreeMap<String, Value>>,
    /// Parts of manifests, by nodes.
    #[serde(default)]
    objects: BTreeMap<String, String>,
    /// Values in the workflow, by JSON paths.
    #[serde(default)]
    values: BTreeMap<String, Value>,
    /// The whole history.
    history: Option<Vec<String>>,
    at_once: Option<usize>,
    deleted: Option<usize>,
    expired: Option<Vec<String>>,
    /// Phases of the other workflows.
    #[serde(default)]
    others: BTreeMap<String, Phase>,
    /// Lines that the history has, in this order.
    #[serde(default)]
    then: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Phase(NodePhase),
    More(BTreeMap<String, Value>),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/workflows")
}

fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let scenario: Scenario = serde_yaml::from_str(&text).map_err(|error| format!("cannot be read: {error}"))?;
    let start = "2026-03-04T05:06:07Z".parse().map_err(|error: jiff::Error| error.to_string())?;
    let mut world = World::new(start);
    let metadata = scenario.metadata.unwrap_or_else(|| json!({"name": "wf"}));
    world.add(json!({"kind": "Workflow", "metadata": metadata, "spec": scenario.spec}))?;
    for object in scenario.with {
        world.add(object)?;
    }
    let run = world.run(&scenario.table, &scenario.moments)?;
    let wrong = complaints(&scenario.expect, &run);
    if wrong.is_empty() {
        return Ok(());
    }
    let nodes = run.workflows[0].status.iter().flat_map(|status| status.nodes.values());
    let nodes: Vec<String> = nodes.map(|node| format!("    {} {} {:?}", node.name, node.phase, node.message)).collect();
    Err(format!("{}\n  nodes:\n{}\n  history: {:#?}", wrong.join("\n  "), nodes.join("\n"), run.history))
}

fn complaints(expect: &Expect, run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut differ = |what: String, have: Value, want: Value| {
        if have != want {
            wrong.push(format!("{what} is {have} and not {want}"));
        }
    };
    let workflow = &run.workflows[0];
    let status = workflow.status.clone().unwrap_or_default();
    let name = workflow.metadata.name.clone().unwrap_or_default();
    differ("the phase".to_owned(), json!(status.phase), json!(expect.phase));
    if let Some(message) = &expect.message {
        differ("the message".to_owned(), json!(status.message.unwrap_or_default()), json!(message));
    }
    let full = |node: &str| {
        if node == "." {
            name.clone()
        } else if node.starts_with('[') || node.starts_with('(') {
            format!("{name}{node}")
        } else {
            format!("{name}.{node}")
        }
    };
    let node = |named: &str| -> Option<&NodeStatus> {
        let status = workflow.status.as_ref()?;
        status.nodes.values().find(|node| node.name == full(named))
    };
    for (named, wanted) in &expect.nodes {
        let Some(node) = node(named) else {
            differ(format!("node {named}"), json!("absent"), json!("there"));
            continue;
        };
        match wanted {
            Wanted::Phase(phase) => differ(format!("node {named}"), json!(node.phase), json!(phase)),
            Wanted::More(fields) => {
                for (path, want) in fields {
                    let found = jsonpath::find(&json!(node), path).unwrap_or_default();
                    differ(format!("{path} of node {named}"), found.first().cloned().unwrap_or_default(), want.clone());
                }
            }
        }
    }
    for absent in expect.absent.iter().filter(|absent| node(absent).is_some()) {
        differ(format!("node {absent}"), json!("there"), json!("absent"));
    }
    if let Some(order) = &expect.order {
        let made: Vec<&str> =
            run.pods.iter().map(|(node, _)| node.strip_prefix(&name).unwrap_or(node).trim_start_matches('.')).collect();
        differ("the order of pods".to_owned(), json!(made), json!(order));
    }
    for (named, values) in &expect.pods {
        let pod = run.pods.iter().find(|(node, _)| *node == full(named)).map_or(Value::Null, |(_, pod)| json!(pod));
        for (path, want) in values {
            let found = jsonpath::find(&pod, path).unwrap_or_default();
            differ(format!("{path} of the pod of {named}"), found.first().cloned().unwrap_or_default(), want.clone());
        }
    }
    for (named, part) in &expect.objects {
        let made = run.objects.iter().find(|(node, _)| *node == full(named));
        let has = made.is_some_and(|(_, manifest)| manifest.contains(part.trim()));
        differ(format!("the manifest {made:?} of {named} with {part:?}"), json!(has), json!(true));
    }
    for (path, want) in &expect.values {
        let found = jsonpath::find(&json!(workflow), path).unwrap_or_default();
        differ(format!("{path} of the workflow"), found.first().cloned().unwrap_or_default(), want.clone());
    }
    if let Some(history) = &expect.history {
        differ("the history".to_owned(), json!(run.history), json!(history));
    }
    if let Some(most) = expect.at_once {
        differ("pods at once".to_owned(), json!(run.most_at_once), json!(most));
    }
    if let Some(deleted) = expect.deleted {
        differ("deleted pods".to_owned(), json!(run.deleted.len()), json!(deleted));
    }
    if let Some(expired) = &expect.expired {
        differ("deleted workflows".to_owned(), json!(run.expired), json!(expired));
    }
    for (other, phase) in &expect.others {
        let found = run.workflows.iter().find(|one| one.metadata.name.as_ref() == Some(other));
        differ(
            format!("workflow {other}"),
            json!(found.and_then(|one| one.status.as_ref()).map(|status| status.phase)),
            json!(phase),
        );
    }
    let mut history = run.history.iter();
    for line in &expect.then {
        if !history.any(|have| have == line) {
            differ(format!("{line:?} in the history"), json!("absent, or too early"), json!("there"));
        }
    }
    wrong
}

#[test]
fn every_scenario_comes_out_as_it_says() {
    let only = std::env::var("SCENARIO").ok();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failed = Vec::new();
    for path in &paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        if let Err(why) = check(path) {
            failed.push(format!("{name}: {why}"));
        }
    }
    assert!(failed.is_empty(), "{} of {} failed\n{}", failed.len(), paths.len(), failed.join("\n\n"));
}
