//! The world of a run: workflows, pods that do what the table says, and a clock that jumps to whatever comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Value, json};
use tinderbox_api::workflows::{
    ClusterWorkflowTemplate, NodePhase, NodeStatus, NodeType, Outputs, Parameter, Workflow, WorkflowTemplate, labels,
};

use super::table::{Moment, Outcome, Table};
use crate::durations::after;
use crate::locks::Locks;
use crate::operate;
use crate::tags::{Scope, Unknown, fill};
use crate::view::{Observed, PodView, ResourceView, Turn, restore_locks};

/// Steps of a run, at most: a workflow that never ends is told, not waited for.
const MOST: usize = 20_000;

/// A run that has come to its end.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The workflows as they are at the end, in the order in which they were added.
    pub workflows: Vec<Workflow>,
    /// What changed, and when: `3s wf.A Running`, with the workflow's own phases.
    pub history: Vec<String>,
    /// Pods that were made, in order, each with the name of its node.
    pub pods: Vec<(String, Pod)>,
    /// Manifests of objects that were asked for, each with the name of its node.
    pub objects: Vec<(String, String)>,
    /// Names of pods that were deleted.
    pub deleted: Vec<String>,
    /// Names of workflows that were deleted.
    pub expired: Vec<String>,
    /// The most pods of one workflow that were under way at once.
    pub most_at_once: usize,
    /// ConfigMaps at the end.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Events: reason and message.
    pub events: Vec<(String, String)>,
}

struct Member {
    workflow: Workflow,
    pods: BTreeMap<String, Running>,
    resources: BTreeMap<String, ResourceView>,
    resource_ends: BTreeMap<String, (Timestamp, Outcome)>,
    /// Phases of nodes as they were told last, with what runs in the background.
    told: BTreeMap<String, (NodePhase, bool)>,
    gone: bool,
}

struct Running {
    outcome: Outcome,
    /// Ends then, or never.
    end: Option<Timestamp>,
    stopped: bool,
    inputs: Scope,
    labels: BTreeMap<String, String>,
    daemon: bool,
}

/// Workflows and what is beside them.
#[derive(Default)]
pub struct World {
    members: Vec<Member>,
    templates: BTreeMap<String, Arc<WorkflowTemplate>>,
    cluster_templates: BTreeMap<String, Arc<ClusterWorkflowTemplate>>,
    config_maps: BTreeMap<String, BTreeMap<String, String>>,
    locks: Locks,
    now: Timestamp,
    start: Timestamp,
    times: BTreeMap<String, usize>,
    looks: usize,
    crashes: BTreeSet<usize>,
    run: Run,
}

impl World {
    /// Nothing, at a moment.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { now: start, start, ..Self::default() }
    }

    /// Adds an object: Workflow, WorkflowTemplate, ClusterWorkflowTemplate or ConfigMap. Anything else that is not of Argo Workflows is
    /// there for pods, of which a run has none.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn add(&mut self, object: Value) -> Result<(), String> {
        let wrong = |error: serde_json::Error| format!("cannot read {}: {error}", object["kind"]);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match object["kind"].as_str() {
            Some("WorkflowTemplate") => {
                self.templates.insert(name, Arc::new(serde_json::from_value(object.clone()).map_err(wrong)?));
            }
            Some("ClusterWorkflowTemplate") => {
                self.cluster_templates.insert(name, Arc::new(serde_json::from_value(object.clone()).map_err(wrong)?));
            }
            Some("ConfigMap") => {
                self.config_maps.insert(name, serde_json::from_value(object["data"].clone()).map_err(wrong)?);
            }
            Some("CronWorkflow") => (),
            Some(kind) if kind != "Workflow" => {
                if object["apiVersion"].as_str().is_none_or(|version| version.starts_with("argoproj.io/")) {
                    return Err(format!("{kind} is no kind of Argo Workflows"));
                }
            }
            _ => {
                let mut workflow: Workflow = serde_json::from_value(object.clone()).map_err(wrong)?;
                let meta = &mut workflow.metadata;
                let number = self.members.len();
                meta.name.get_or_insert_with(|| "wf".to_owned());
                meta.namespace.get_or_insert_with(|| "default".to_owned());
                meta.uid.get_or_insert_with(|| format!("uid-{number}"));
                let created = after(self.start, SignedDuration::from_secs(number as i64));
                meta.creation_timestamp.get_or_insert(Time(created));
                let (pods, resources, resource_ends, told) = Default::default();
                self.members.push(Member { workflow, pods, resources, resource_ends, told, gone: false });
            }
        }
        Ok(())
    }

    /// Ends the controller at these looks, counted from one: what it asked for is made, what it decided is not written down, and
    /// another one begins with what is.
    pub fn crash_at(&mut self, looks: impl IntoIterator<Item = usize>) {
        self.crashes.extend(looks);
    }

    /// Runs until nothing more happens.
    ///
    /// # Errors
    /// That it does not come to an end.
    pub fn run(mut self, table: &Table, moments: &[Moment]) -> Result<Run, String> {
        let mut moments: Vec<Moment> = moments.to_vec();
        moments.sort_by_key(|moment| moment.at);
        for _ in 0..MOST {
            let mut next: Option<Timestamp> = None;
            let mut changed = true;
            while changed {
                changed = false;
                next = None;
                for index in 0..self.members.len() {
                    let (again, new) = self.look(index, table);
                    changed |= new;
                    next = [next, again].into_iter().flatten().min();
                }
            }
            let ends = self.members.iter().flat_map(|member| {
                let pods = member.pods.values().filter_map(|pod| pod.end);
                pods.chain(member.resource_ends.values().map(|(end, _)| *end))
            });
            next = ends.chain(next).filter(|at| *at > self.now).min();
            let moment = moments.first().map(|moment| after(self.start, SignedDuration::from_secs(moment.at as i64)));
            match (next, moment) {
                (None, None) => return Ok(self.into_run()),
                (next, Some(moment)) if next.is_none_or(|next| moment <= next) => {
                    self.now = moment;
                    let moment = moments.remove(0);
                    self.act(&moment)?;
                }
                (Some(next), _) => self.now = next,
                (None, Some(_)) => (),
            }
            self.end_resources();
        }
        Err(format!("it does not come to an end: {} steps", MOST))
    }

    fn into_run(mut self) -> Run {
        self.run.workflows = self.members.into_iter().map(|member| member.workflow).collect();
        self.run.config_maps = self.config_maps;
        self.run
    }

    fn act(&mut self, moment: &Moment) -> Result<(), String> {
        if moment.restart {
            self.restart();
        }
        for member in &mut self.members {
            if let Some(patch) = &moment.patch {
                let mut value = json!(member.workflow);
                json_patch::merge(&mut value, patch);
                member.workflow = serde_json::from_value(value).map_err(|error| error.to_string())?;
            }
            let Some(status) = &mut member.workflow.status else { continue };
            let pauses = status
                .nodes
                .values_mut()
                .filter(|node| node.r#type == NodeType::Suspend && node.phase == NodePhase::Running);
            for node in pauses {
                for parameter in node.outputs.iter_mut().flat_map(|outputs| &mut outputs.parameters) {
                    if let Some(text) = moment.supply.get(&parameter.name) {
                        parameter.value = Some(text.as_str().into());
                    }
                }
                if moment.resume {
                    node.phase = NodePhase::Succeeded;
                    node.finished_at = Some(Time(self.now));
                }
            }
        }
        Ok(())
    }

    fn end_resources(&mut self) {
        for member in &mut self.members {
            let due: Vec<String> = member
                .resource_ends
                .iter()
                .filter(|(_, (end, _))| *end <= self.now)
                .map(|(id, _)| id.clone())
                .collect();
            for id in due {
                let Some((_, outcome)) = member.resource_ends.remove(&id) else { continue };
                let Some(view) = member.resources.get_mut(&id) else { continue };
                if outcome.lost {
                    view.object = None;
                } else if let (Some(object), Some(over)) = (&mut view.object, &outcome.object) {
                    json_patch::merge(object, over);
                }
            }
        }
    }

    /// Looks at one workflow; when to look again, and whether it changed.
    fn look(&mut self, index: usize, table: &Table) -> (Option<Timestamp>, bool) {
        let now = self.now;
        let member = &self.members[index];
        if member.gone {
            return (None, false);
        }
        let observed = Observed {
            pods: member
                .pods
                .iter()
                .filter(|(_, pod)| !(pod.outcome.lost && pod.end.is_some_and(|end| end <= now)))
                .map(|(name, pod)| (name.clone(), pod.view(now)))
                .collect(),
            resources: member.resources.clone(),
            templates: self.templates.clone(),
            cluster_templates: self.cluster_templates.clone(),
            config_maps: self.config_maps.clone(),
        };
        let turn = operate(&member.workflow, &observed, &mut self.locks, now);
        let before = member.workflow.status.clone().unwrap_or_default();
        let changed = before != turn.status
            || !turn.pods.is_empty()
            || !turn.requests.is_empty()
            || !turn.delete.is_empty()
            || turn.expired;
        self.looks += 1;
        if self.crashes.remove(&self.looks) {
            self.make(index, &turn, table);
            self.restart();
            return (None, true);
        }
        self.tell(index, &turn);
        self.make(index, &turn, table);
        self.apply(index, turn, changed)
    }

    /// Locks are known by statuses alone.
    fn restart(&mut self) {
        self.locks = Locks::default();
        for member in &self.members {
            restore_locks(&mut self.locks, &member.workflow);
        }
    }

    fn tell(&mut self, index: usize, turn: &Turn) {
        let seconds = self.now.duration_since(self.start).as_secs();
        let Some(member) = self.members.get_mut(index) else { return };
        let mut lines: Vec<(i64, String)> = Vec::new();
        for (id, node) in &turn.status.nodes {
            let now = (node.phase, node.daemoned == Some(true));
            let old = member.told.insert(id.clone(), now);
            if old == Some(now) || (old == Some((node.phase, true)) && !now.1) {
                continue;
            }
            let word = if now.1 { "Daemoned".to_owned() } else { node.phase.to_string() };
            let began = node.started_at.as_ref().map_or(0, |time| time.0.as_second());
            lines.push((began, format!("{seconds}s {} {word}", node.name)));
        }
        lines.sort();
        self.run.history.extend(lines.into_iter().map(|(_, line)| line));
        let phase = member.workflow.status.as_ref().map(|status| status.phase).unwrap_or_default();
        let name = member.workflow.name_any();
        if phase != turn.status.phase {
            self.run.history.push(format!("{seconds}s {name}: {}", turn.status.phase));
        }
        self.run.events.extend(turn.events.iter().map(|(_, reason, message)| ((*reason).to_owned(), message.clone())));
    }

    /// Makes the pods and objects that are asked for, and that are not there.
    fn make(&mut self, index: usize, turn: &Turn, table: &Table) {
        let now = self.now;
        let member = &mut self.members[index];
        for pod in
            turn.pods.iter().filter(|pod| !member.pods.contains_key(&pod.name_any())).cloned().collect::<Vec<_>>()
        {
            let node_id = pod.annotations().get(labels::NODE_ID).cloned().unwrap_or_default();
            let Some(node) = turn.status.nodes.get(&node_id) else { continue };
            let outcome = table.outcome_of(node, &mut self.times);
            let end = after(now, SignedDuration::from_secs(outcome.takes.unwrap_or(1) as i64));
            let daemon = outcome.forever;
            let end = Some(end).filter(|_| !outcome.forever && outcome.unschedulable.is_none());
            // A pod that has no place yet has no start either, from which its time would count.
            let limit = pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds);
            let limit = limit.filter(|_| outcome.unschedulable.is_none());
            let deadline = limit.map(|limit| after(now, SignedDuration::from_secs(limit)));
            let (end, stopped) = match (end, deadline) {
                (end, Some(deadline)) if end.is_none_or(|end| end > deadline) => (Some(deadline), true),
                (end, _) => (end, false),
            };
            let inputs = inputs_of(node);
            let labels = pod.labels().clone();
            self.run.pods.push((node.name.clone(), pod.clone()));
            member.pods.insert(pod.name_any(), Running { outcome, end, stopped, inputs, labels, daemon });
        }
        for request in
            turn.requests.iter().filter(|request| !member.resources.contains_key(&request.node_id)).collect::<Vec<_>>()
        {
            let Some(node) = turn.status.nodes.get(&request.node_id) else { continue };
            let outcome = table.outcome_of(node, &mut self.times);
            let manifest = request.resource.manifest.clone().unwrap_or_default();
            self.run.objects.push((node.name.clone(), manifest.clone()));
            let object = serde_yaml::from_str::<Value>(&manifest).ok().filter(|_| request.resource.action != "delete");
            let object = object.map(|object| with_name(object, self.run.objects.len()));
            let view = ResourceView { refused: outcome.refused.clone(), object };
            member.resources.insert(request.node_id.clone(), view);
            let end = after(now, SignedDuration::from_secs(outcome.takes.unwrap_or(1) as i64));
            member.resource_ends.insert(request.node_id.clone(), (end, outcome));
        }
    }

    fn apply(&mut self, index: usize, turn: Turn, changed: bool) -> (Option<Timestamp>, bool) {
        let now = self.now;
        let member = &mut self.members[index];
        for name in turn.stop {
            if let Some(pod) = member.pods.get_mut(&name) {
                (pod.end, pod.stopped) = (Some(now), true);
            }
        }
        for name in turn.delete {
            member.pods.remove(&name);
            self.run.deleted.push(name);
        }
        for remembered in turn.remember {
            self.config_maps.entry(remembered.config_map).or_default().insert(remembered.key, remembered.entry);
        }
        let at_once = member.pods.values().filter(|pod| pod.end.is_none_or(|end| end > now)).count();
        self.run.most_at_once = self.run.most_at_once.max(at_once);
        member.workflow.status = Some(turn.status);
        for (map, new) in [
            (&mut member.workflow.metadata.labels, turn.labels),
            (&mut member.workflow.metadata.annotations, turn.annotations),
        ] {
            if !new.is_empty() {
                map.get_or_insert_default().extend(new);
            }
        }
        if turn.expired {
            member.gone = true;
            self.run.expired.push(member.workflow.name_any());
        }
        (turn.again, changed)
    }
}

/// An object as the API takes it: with a name.
fn with_name(mut object: Value, number: usize) -> Value {
    let prefix = object["metadata"]["generateName"].as_str().map(str::to_owned);
    if let Some(prefix) = prefix.filter(|_| object["metadata"]["name"].is_null()) {
        object["metadata"]["name"] = json!(format!("{prefix}{number}"));
    }
    object
}

fn inputs_of(node: &NodeStatus) -> Scope {
    let inputs = node.inputs.iter().flat_map(|inputs| &inputs.parameters);
    inputs.map(|one| (format!("inputs.parameters.{}", one.name), one.value.clone().unwrap_or_default().0)).collect()
}

impl Running {
    fn view(&self, now: Timestamp) -> PodView {
        PodView { labels: self.labels.clone(), ..self.state(now) }
    }

    fn state(&self, now: Timestamp) -> PodView {
        let outcome = &self.outcome;
        if let Some(why) = &outcome.unschedulable
            && self.end.is_none()
        {
            return PodView {
                phase: NodePhase::Pending,
                message: Some(format!("Unschedulable: {why}")),
                ..PodView::default()
            };
        }
        let text = |text: &String| fill(text, &self.inputs, Unknown::Kept).unwrap_or_else(|why| why);
        let ip = Some("10.0.0.1".to_owned());
        if self.end.is_none_or(|end| end > now) {
            return PodView {
                phase: NodePhase::Running,
                ready: self.daemon,
                ip,
                host: Some("node-0".to_owned()),
                ..PodView::default()
            };
        }
        let (phase, message) = if self.stopped {
            let late = "Pod was active on the node longer than the specified deadline";
            (NodePhase::Failed, Some(late.to_owned()))
        } else if let Some(error) = &outcome.error {
            (NodePhase::Error, Some(error.clone()))
        } else if outcome.exit != 0 {
            (NodePhase::Failed, Some(format!("main: Error (exit code {})", outcome.exit)))
        } else {
            (NodePhase::Succeeded, None)
        };
        let parameter = |(name, value): (&String, &String)| Parameter {
            name: name.clone(),
            value: Some(text(value).into()),
            ..Parameter::default()
        };
        let containers = outcome.containers.iter().map(|(name, code)| {
            let phase = if *code == 0 { NodePhase::Succeeded } else { NodePhase::Failed };
            (name.clone(), (phase, Some(*code)))
        });
        PodView {
            phase,
            message,
            ip,
            host: Some("node-0".to_owned()),
            exit_code: Some(outcome.exit).filter(|_| outcome.error.is_none() && !self.stopped),
            outputs: Outputs {
                result: outcome.result.as_ref().map(text),
                parameters: outcome.outputs.iter().map(parameter).collect(),
                ..Outputs::default()
            },
            containers: containers.collect(),
            ..PodView::default()
        }
    }
}
