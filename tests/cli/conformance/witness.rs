//! What is seen of workflows and pods: by one watch each, in the order in which it happens.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use regex::Regex;
use serde_json::json;
use tinderbox_api::workflows::{NodePhase, Workflow, labels};
use tinderbox_workflows::runner::Run;
use tokio::sync::watch;

/// What is seen of a namespace.
#[derive(Debug, Default)]
struct Seen {
    /// The workflows in their last versions, those that are gone too.
    workflows: BTreeMap<String, Workflow>,
    told: BTreeMap<String, NodePhase>,
    history: Vec<String>,
    /// Pods that are not over, by workflows.
    at_work: BTreeMap<String, BTreeSet<String>>,
    most_at_once: usize,
    deleted: BTreeSet<String>,
    expired: Vec<String>,
}

/// What is seen, by namespaces.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    seen: Arc<Mutex<HashMap<String, Seen>>>,
    changed: watch::Sender<()>,
}

impl Witness {
    pub(super) fn new() -> Self {
        Self { seen: Arc::default(), changed: watch::Sender::new(()) }
    }

    /// Is told whenever something new was seen.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn see(&self, namespace: Option<String>, look: impl FnOnce(&mut Seen)) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        look(all.entry(namespace.unwrap_or_default()).or_default());
        self.changed.send_replace(());
    }

    pub(super) async fn watch_workflows(self, client: Client) {
        let mut events = watcher(Api::<Workflow>::all(client), Config::default()).boxed();
        while let Some(event) = events.next().await {
            match event.expect("the watch goes on") {
                Event::Apply(workflow) | Event::InitApply(workflow) => {
                    self.see(workflow.namespace(), |seen| seen.workflow(workflow));
                }
                Event::Delete(workflow) => {
                    self.see(workflow.namespace(), |seen| seen.expired.push(workflow.name_any()));
                }
                Event::Init | Event::InitDone => (),
            }
        }
    }

    pub(super) async fn watch_pods(self, client: Client) {
        let mut events = watcher(Api::<Pod>::all(client), Config::default()).boxed();
        while let Some(event) = events.next().await {
            match event.expect("the watch goes on") {
                Event::Apply(pod) | Event::InitApply(pod) => self.see(pod.namespace(), |seen| seen.pod(&pod)),
                Event::Delete(pod) => self.see(pod.namespace(), |seen| {
                    seen.of(&pod).remove(&pod.name_any());
                    seen.deleted.insert(pod.name_any());
                }),
                Event::Init | Event::InitDone => (),
            }
        }
    }

    /// What was seen of a namespace as a run, with the names and addresses of the runner.
    pub(super) fn run(&self, namespace: &str, first: &str, pods: &[(String, Pod)]) -> Run {
        let all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.get(namespace) else { return Run::default() };
        let address = Regex::new(r"\b10\.244\.\d+\.\d+\b").expect("a pattern");
        let plain = |text: String| address.replace_all(&text.replace(namespace, "default"), "10.0.0.1").into_owned();
        let mut workflows: Vec<&Workflow> = seen.workflows.values().collect();
        workflows.sort_by_key(|workflow| workflow.name_any() != first);
        let workflows = workflows.iter().map(|one| serde_json::from_str(&plain(json!(one).to_string())).expect("one"));
        let pods = pods
            .iter()
            .map(|(node, pod)| (node.clone(), serde_json::from_str(&plain(json!(pod).to_string())).expect("one")));
        Run {
            workflows: workflows.collect(),
            history: seen.history.clone(),
            pods: pods.collect(),
            deleted: seen.deleted.iter().cloned().collect(),
            expired: seen.expired.clone(),
            most_at_once: seen.most_at_once,
            ..Run::default()
        }
    }
}

impl Seen {
    fn workflow(&mut self, workflow: Workflow) {
        let name = workflow.name_any();
        let old = self.workflows.get(&name).and_then(|old| old.status.as_ref()).map(|status| status.phase);
        for node in workflow.status.iter().flat_map(|status| status.nodes.values()) {
            if self.told.insert(node.name.clone(), node.phase) != Some(node.phase) {
                self.history.push(format!("0s {} {}", node.name, node.phase));
            }
            if node.daemoned == Some(true) {
                self.history.push(format!("0s {} Daemoned", node.name));
            }
        }
        if let Some(status) = workflow.status.as_ref().filter(|status| old != Some(status.phase)) {
            self.history.push(format!("0s {name}: {}", status.phase));
        }
        self.workflows.insert(name, workflow);
    }

    /// The pods at work of the workflow that a pod is of.
    fn of(&mut self, pod: &Pod) -> &mut BTreeSet<String> {
        self.at_work.entry(pod.labels().get(labels::WORKFLOW).cloned().unwrap_or_default()).or_default()
    }

    fn pod(&mut self, pod: &Pod) {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        let name = pod.name_any();
        let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut mains = containers.filter(|one| one.name == "main").peekable();
        let over = mains.peek().is_some()
            && mains.all(|one| one.state.as_ref().is_some_and(|state| state.terminated.is_some()));
        if over || matches!(phase, "Succeeded" | "Failed") {
            self.of(pod).remove(&name);
        } else {
            self.of(pod).insert(name);
        }
        self.most_at_once = self.most_at_once.max(self.of(pod).len());
    }
}
