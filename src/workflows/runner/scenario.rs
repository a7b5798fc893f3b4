//! A scenario: a workflow, what its pods do, and what has to become of it. It is read from YAML, played without pods in
//! milliseconds, and its expectations can be held against a run with real pods as well.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tinderbox_api::workflows::{NodePhase, NodeStatus, Phase, Workflow};

use super::table::{Moment, Table};
use super::world::{Run, World};
use crate::jsonpath;

/// The moment at which every scenario begins when it is played.
const START: Timestamp = Timestamp::constant(1_772_600_767, 0);
/// The name of the workflow, where it says none.
const NAME: &str = "wf";

/// What is run, and what has to become of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// The behaviour, in a sentence.
    pub about: String,
    /// Why it can be played only, and not be run with real pods.
    #[serde(default)]
    pub only_played: Option<String>,
    /// Files with more objects, relative to this one: the workflow, templates, ConfigMaps. Whoever reads them puts them into `with`.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The metadata of the workflow.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// The workflow's spec; without it the first Workflow of `with` is the one.
    #[serde(default)]
    pub spec: Option<Value>,
    /// Objects beside it.
    #[serde(default)]
    pub with: Vec<Value>,
    /// What pods and objects do.
    #[serde(default)]
    pub table: Table,
    /// What somebody does.
    #[serde(default)]
    pub moments: Vec<Moment>,
    /// What has to become of it.
    pub expect: Expect,
}

/// What has to become of a workflow. What is not said does not matter.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
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
    /// The most pods of one workflow that were under way at once.
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

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Wanted {
    Phase(NodePhase),
    More(BTreeMap<String, Value>),
}

/// How a run went: by the clock of the runner, where every second and every order can be told, or by that of the world, where pods take
/// the time that they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Played, in virtual time.
    Played,
    /// With real pods.
    Real,
}

/// What is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Complaint {
    /// The whole name of the node that it is about, when it is about one.
    pub node: Option<String>,
    /// What is not, in a sentence.
    pub text: String,
}

impl Scenario {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    /// The objects that are to be there, the workflow first.
    ///
    /// # Errors
    /// When there is no workflow.
    pub fn objects(&self) -> Result<Vec<Value>, String> {
        let mut with = self.with.clone();
        let workflow = match &self.spec {
            Some(spec) => {
                let mut metadata = self.metadata.clone().unwrap_or_else(|| json!({}));
                if metadata["name"].is_null() {
                    metadata["name"] = json!(NAME);
                }
                json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec})
            }
            None => match with.iter().position(|object| object["kind"] == "Workflow") {
                Some(place) => with.remove(place),
                None => {
                    return Err("there is no workflow in it: neither a `spec`, nor a Workflow in its files".to_owned());
                }
            },
        };
        Ok([vec![workflow], with].concat())
    }

    /// Plays it, in virtual time.
    ///
    /// # Errors
    /// When an object cannot be read, or it does not come to an end.
    pub fn play(&self) -> Result<Run, String> {
        let mut world = World::new(START);
        for object in self.objects()? {
            world.add(object)?;
        }
        world.run(&self.table, &self.moments)
    }

    /// What did not come out as it has to; empty when all is well.
    #[must_use]
    pub fn complaints(&self, run: &Run, pace: Pace) -> Vec<Complaint> {
        let none = Workflow::new(Default::default());
        let workflow = run.workflows.first().unwrap_or(&none);
        let mut judge = Judge { run, workflow, pace, complaints: Vec::new() };
        judge.workflow(&self.expect);
        judge.nodes(&self.expect);
        judge.pods(&self.expect);
        judge.course(&self.expect);
        judge.complaints
    }
}

static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap_or_else(|_| unreachable!("it is a pattern"))
});

struct Judge<'a> {
    run: &'a Run,
    workflow: &'a Workflow,
    pace: Pace,
    complaints: Vec<Complaint>,
}

impl<'a> Judge<'a> {
    fn differ(&mut self, node: Option<&str>, what: &str, have: &Value, want: &Value) {
        let same = match self.pace {
            Pace::Played => have == want,
            Pace::Real => timeless(have) == timeless(want),
        };
        if !same {
            let text = format!("{what} is {have} and not {want}");
            let node = node.map(|named| self.full(named));
            self.complaints.push(Complaint { node, text });
        }
    }

    /// The whole name of a node.
    fn full(&self, node: &str) -> String {
        let name = self.workflow.metadata.name.clone().unwrap_or_default();
        match node {
            "." => name,
            _ if node.starts_with('[') || node.starts_with('(') => format!("{name}{node}"),
            _ => format!("{name}.{node}"),
        }
    }

    fn node(&self, named: &str) -> Option<&'a NodeStatus> {
        let full = self.full(named);
        self.workflow.status.as_ref()?.nodes.values().find(|node| node.name == full)
    }

    fn workflow(&mut self, expect: &Expect) {
        let workflow = self.workflow;
        let status = workflow.status.clone().unwrap_or_default();
        self.differ(None, "the phase", &json!(status.phase), &json!(expect.phase));
        if let Some(message) = &expect.message {
            self.differ(None, "the message", &json!(status.message.unwrap_or_default()), &json!(message));
        }
        for (path, want) in &expect.values {
            let have = first(&json!(workflow), path);
            self.differ(None, &format!("{path} of the workflow"), &have, want);
        }
        for (other, phase) in &expect.others {
            let found = self.run.workflows.iter().find(|one| one.metadata.name.as_ref() == Some(other));
            let have = json!(found.and_then(|one| one.status.as_ref()).map(|status| status.phase));
            self.differ(None, &format!("workflow {other}"), &have, &json!(phase));
        }
    }

    fn nodes(&mut self, expect: &Expect) {
        for (named, wanted) in &expect.nodes {
            let Some(node) = self.node(named) else {
                self.differ(Some(named), &format!("node {named}"), &json!("absent"), &json!("there"));
                continue;
            };
            match wanted {
                Wanted::Phase(phase) => {
                    self.differ(Some(named), &format!("node {named}"), &json!(node.phase), &json!(phase));
                }
                Wanted::More(fields) => {
                    for (path, want) in fields {
                        let have = first(&json!(node), path);
                        self.differ(Some(named), &format!("{path} of node {named}"), &have, want);
                    }
                }
            }
        }
        for absent in expect.absent.iter().filter(|absent| self.node(absent).is_some()).collect::<Vec<_>>() {
            self.differ(Some(absent), &format!("node {absent}"), &json!("there"), &json!("absent"));
        }
    }

    fn pods(&mut self, expect: &Expect) {
        if let Some(order) = &expect.order {
            let name = self.full(".");
            let made = self.run.pods.iter().map(|(node, _)| node.strip_prefix(&name).unwrap_or(node));
            let mut made: Vec<&str> = made.map(|node| node.trim_start_matches('.')).collect();
            let mut order: Vec<&str> = order.iter().map(String::as_str).collect();
            if self.pace == Pace::Real {
                made.sort_unstable();
                order.sort_unstable();
            }
            self.differ(None, "the order of pods", &json!(made), &json!(order));
        }
        for (named, values) in &expect.pods {
            let full = self.full(named);
            let pod = self.run.pods.iter().find(|(node, _)| *node == full).map_or(Value::Null, |(_, pod)| json!(pod));
            for (path, want) in values {
                self.differ(Some(named), &format!("{path} of the pod of {named}"), &first(&pod, path), want);
            }
        }
        // What was really made is not what was written, but what the API made of it.
        let played = self.pace == Pace::Played;
        for (named, part) in expect.objects.iter().filter(|_| played) {
            let full = self.full(named);
            let made = self.run.objects.iter().find(|(node, _)| *node == full);
            let has = made.is_some_and(|(_, manifest)| manifest.contains(part.trim()));
            let what = format!("the manifest {made:?} of {named} with {part:?}");
            self.differ(Some(named), &what, &json!(has), &json!(true));
        }
    }

    fn course(&mut self, expect: &Expect) {
        if let Some(deleted) = expect.deleted {
            self.differ(None, "deleted pods", &json!(self.run.deleted.len()), &json!(deleted));
        }
        if let Some(expired) = &expect.expired {
            self.differ(None, "deleted workflows", &json!(self.run.expired), &json!(expired));
        }
        let most = self.run.most_at_once;
        match (expect.at_once, self.pace) {
            (Some(wanted), Pace::Played) => self.differ(None, "pods at once", &json!(most), &json!(wanted)),
            (Some(wanted), Pace::Real) if most > wanted => {
                self.differ(None, "pods at once", &json!(most), &json!(wanted));
            }
            _ => (),
        }
        match self.pace {
            Pace::Played => self.history(expect),
            Pace::Real => self.lasting(expect),
        }
    }

    fn history(&mut self, expect: &Expect) {
        let run = self.run;
        if let Some(history) = &expect.history {
            self.differ(None, "the history", &json!(run.history), &json!(history));
        }
        let mut history = run.history.iter();
        for line in &expect.then {
            if !history.any(|have| have == line) {
                let what = format!("{line:?} in the history");
                self.differ(None, &what, &json!("absent, or too early"), &json!("there"));
            }
        }
    }

    /// Of a history in real time: what was not passed through, whenever it was.
    fn lasting(&mut self, expect: &Expect) {
        let without_time = |line: &String| line.split_once(' ').map_or("", |(_, rest)| rest).to_owned();
        let seen: Vec<String> = self.run.history.iter().map(without_time).collect();
        for line in expect.history.iter().flatten().chain(&expect.then).map(without_time) {
            let passes = line.ends_with("Pending") || line.ends_with("Running");
            if !passes && !seen.contains(&line) {
                self.differ(None, &format!("{line:?} in the history"), &json!("absent"), &json!("there"));
            }
        }
    }
}

/// A value as text, without the times in it.
fn timeless(value: &Value) -> String {
    TIME.replace_all(&value.to_string(), "TIME").into_owned()
}

fn first(value: &Value, path: &str) -> Value {
    jsonpath::find(value, path).unwrap_or_default().first().cloned().unwrap_or_default()
}
