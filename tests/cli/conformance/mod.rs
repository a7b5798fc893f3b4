//! The scenarios of `fixtures/workflows` with real pods: the controllers over a cluster whose pods do what the scenarios' tables say.
//! What has to become of them is the same as when they are played.

mod actors;
mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::discovery::ApiResource;
use kube::{Client, Config, ResourceExt as _};
use serde_json::{Value, json};
use tinderbox_api::workflows::{NodePhase, NodeType, Workflow};
use tinderbox_client::Clock;
use tinderbox_workflows::names::node_id;
use tinderbox_workflows::runner::{Moment, Pace, Run, Scenario};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::program::{Cluster, root};
use actors::{Actors, Deed, Order, Play};
use witness::Witness;

/// Scenarios that are run at once.
const AT_ONCE: usize = 16;
/// How much longer than when it is played a scenario may take.
const LONGER: Duration = Duration::from_secs(60);

/// A cluster with the controllers of workflows, and what is seen of it.
struct Stage {
    client: Client,
    actors: Actors,
    witness: Witness,
    tracker: TaskTracker,
    /// The client of the controllers.
    theirs: Client,
    /// Ends the controllers that run now.
    controllers: Mutex<CancellationToken>,
}

#[test]
fn workflows_of_real_pods_come_out_as_their_scenarios_say() {
    let cluster = Cluster::new("conformance");
    cluster.run(&["up", "--platform", "none"]).succeeded();
    let platform = root().join("manifests/platform");
    for (how, part) in [("-k", "argo-workflows"), ("-f", "spark-operator/crds")] {
        cluster.kubectl(&["apply", "--server-side", how, &platform.join(part).display().to_string()]).succeeded();
    }
    let token = cluster.kubectl(&["-n", "argo", "create", "token", "workflow-controller", "--duration=2h"]).succeeded();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (failed, ran) = runtime.block_on(run_all(&cluster.kubeconfig(), token.trim()));
    assert!(failed.is_empty(), "{} of {ran} failed\n{}", failed.len(), failed.join("\n\n"));
    cluster.run(&["down"]).succeeded();
}

async fn run_all(kubeconfig: &Path, token: &str) -> (Vec<String>, usize) {
    let stage = Arc::new(Stage::new(kubeconfig, token).await);
    let mut scenarios = scenarios();
    scenarios.retain(|(_, scenario)| scenario.only_played.is_none());
    let ran = scenarios.len();
    let runs = scenarios.into_iter().enumerate().map(|(index, (name, scenario))| {
        let stage = stage.clone();
        async move { stage.play(index, &scenario).await.err().map(|why| format!("{name}: {why}")) }
    });
    let failed = stream::iter(runs).buffer_unordered(AT_ONCE).filter_map(|failed| async { failed }).collect().await;
    stage.stop();
    (failed, ran)
}

/// The scenarios; with `SCENARIO` set, those with that in their names.
fn scenarios() -> Vec<(String, Scenario)> {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let folder = root().join("fixtures/workflows");
    let mut paths: Vec<PathBuf> = folder.read_dir().expect("there").map(|entry| entry.expect("there").path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().expect("a file").to_string_lossy().into_owned();
    let wanted = paths.iter().filter(|path| name(path).contains(&only));
    let read = |path: &PathBuf| Scenario::read(&std::fs::read_to_string(path).expect("there")).expect("a scenario");
    wanted.map(|path| (name(path), read(path))).collect()
}

impl Stage {
    async fn new(kubeconfig: &Path, token: &str) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.expect("one");
        let client = Client::try_from(config.clone()).expect("a client");
        let mut theirs = config;
        theirs.auth_info = Default::default();
        theirs.auth_info.token = Some(token.to_owned().into());
        let (actors, witness) = (Actors::default(), Witness::new());
        let theirs = actors.client(Client::try_from(theirs).expect("a client"));
        let tracker = TaskTracker::new();
        tracker.spawn(witness.clone().watch_workflows(client.clone()));
        tracker.spawn(witness.clone().watch_pods(client.clone()));
        let stage = Self { client, actors, witness, tracker, theirs, controllers: Mutex::default() };
        stage.restart();
        stage
    }

    /// Ends the controllers, and starts others.
    fn restart(&self) {
        let token = CancellationToken::new();
        let config = tinderbox_workflows::Config::new(Clock::system());
        tinderbox_workflows::spawn(&self.theirs, config, &self.tracker, &token);
        std::mem::replace(&mut *self.controllers.lock().unwrap_or_else(PoisonError::into_inner), token).cancel();
    }

    fn stop(&self) {
        self.controllers.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    /// Runs a scenario in a namespace of its own.
    async fn play(&self, index: usize, scenario: &Scenario) -> Result<(), String> {
        let played = scenario.play()?;
        let namespace = format!("scenario-{index}");
        let (sender, orders) = unbounded_channel();
        let mut objects = scenario.objects()?;
        let entrypoints = objects.iter().filter_map(|object| {
            let name = object["metadata"]["name"].as_str()?;
            Some((name.to_owned(), object["spec"]["entrypoint"].as_str().unwrap_or_default().to_owned()))
        });
        let play = Play::new(scenario.table.clone(), entrypoints.collect(), sender);
        self.actors.all().insert(namespace.clone(), play);
        let first = objects[0]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        for (node, template) in templates(&played) {
            self.actors.is_node(&namespace, &node_id(&first, &node), &node, &template);
        }
        self.prepare(&namespace).await;
        // What workflows need is there before them.
        objects.sort_by_key(|object| object["kind"] == "Workflow");
        for object in objects {
            self.create(&namespace, object).await;
        }
        let began = Instant::now();
        let moments = self.act(&namespace, &scenario.moments, began);
        let orders = self.carry_out(&namespace, orders);
        let seconds = played.history.last().and_then(|line| line.split_once('s')?.0.parse().ok()).unwrap_or(0);
        let outcome = self.judge(&namespace, &first, scenario, began + Duration::from_secs(seconds) + LONGER);
        let outcome = tokio::select! {
            outcome = outcome => outcome,
            Err(error) = moments => Err(format!("what somebody does is refused: {error}")),
            Err(error) = orders => Err(format!("what becomes of an object is refused: {error}")),
        };
        self.actors.all().remove(&namespace);
        let namespaces: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource("v1", "Namespace"));
        namespaces.delete(&namespace, &DeleteParams::default()).await.map_err(|error| error.to_string())?;
        outcome
    }

    /// A namespace whose account may do there what workflows ask for.
    async fn prepare(&self, namespace: &str) {
        self.create("", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        let group = "rbac.authorization.k8s.io";
        let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
        let version = format!("{group}/v1");
        let role = json!({"apiVersion": version, "kind": "Role", "metadata": {"name": "all"}, "rules": all});
        self.create(namespace, role).await;
        let subjects = json!([{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]);
        let role = json!({"apiGroup": group, "kind": "Role", "name": "all"});
        let binding = json!({"apiVersion": version, "kind": "RoleBinding", "metadata": {"name": "all"},
            "roleRef": role, "subjects": subjects});
        self.create(namespace, binding).await;
    }

    async fn create(&self, namespace: &str, mut object: Value) {
        if object["apiVersion"].is_null() {
            let core = object["kind"] == "ConfigMap";
            object["apiVersion"] = json!(if core { "v1" } else { "argoproj.io/v1alpha1" });
        }
        let of =
            resource(object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
        let wide = ["ClusterWorkflowTemplate", "PriorityClass"].iter().any(|kind| object["kind"] == *kind);
        let whole = namespace.is_empty() || wide;
        let api: Api<DynamicObject> = if whole {
            Api::all_with(self.client.clone(), &of)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &of)
        };
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => (),
            // What belongs to the cluster may be there from another scenario.
            Err(kube::Error::Api(status)) if status.code == 409 && whole => (),
            Err(error) => panic!("{}: {error}", object.name_any()),
        }
    }

    /// Waits until everything is as it has to be.
    async fn judge(&self, namespace: &str, first: &str, scenario: &Scenario, end: Instant) -> Result<(), String> {
        let mut changes = self.witness.changes();
        loop {
            changes.mark_unchanged();
            let pods = self.actors.all().get(namespace).map(|play| play.pods.clone()).unwrap_or_default();
            let run = self.witness.run(namespace, first, &pods);
            let complaints = scenario.complaints(&run, Pace::Real);
            if complaints.is_empty() {
                return Ok(());
            }
            if timeout_at(end, changes.changed()).await.is_err() {
                let wrong: Vec<&str> = complaints.iter().map(|one| one.text.as_str()).collect();
                return Err(format!("{}\n{}", wrong.join("\n  "), described(&run)));
            }
        }
    }

    /// Does what somebody does, each at its second.
    async fn act(&self, namespace: &str, moments: &[Moment], began: Instant) -> kube::Result<()> {
        let api: Api<Workflow> = Api::namespaced(self.client.clone(), namespace);
        for moment in moments {
            sleep_until(began + Duration::from_secs(moment.at)).await;
            if moment.restart {
                self.restart();
            }
            for workflow in api.list(&ListParams::default()).await? {
                let mut patches: Vec<Value> = moment.patch.iter().cloned().collect();
                patches.extend(supply(&workflow, moment));
                if moment.resume {
                    patches.extend(workflow.resumed(Timestamp::now()).ok());
                }
                for patch in patches {
                    let patch = Patch::Merge(&patch);
                    api.patch(&workflow.name_any(), &PatchParams::default(), &patch).await?;
                }
            }
        }
        std::future::pending().await
    }

    /// Does to objects what is to be done to them.
    async fn carry_out(&self, namespace: &str, mut orders: UnboundedReceiver<Order>) -> kube::Result<()> {
        let mut waiting = stream::FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(order) = orders.recv() => waiting.push(self.obey(namespace, order)),
                Some(done) = waiting.next() => done?,
                else => std::future::pending().await,
            }
        }
    }

    async fn obey(&self, namespace: &str, order: Order) -> kube::Result<()> {
        tokio::time::sleep(Duration::from_secs(order.after)).await;
        let (version, kind, name) = order.object;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource(&version, &kind));
        let params = PatchParams::default();
        match order.deed {
            Deed::Delete => {
                api.delete(&name, &DeleteParams::default().grace_period(0)).await?;
            }
            Deed::Patch(patch) => {
                let spark = version.starts_with("sparkoperator.k8s.io");
                let patch = Patch::Merge(&patch);
                let patched = if spark {
                    api.patch_status(&name, &params, &patch).await
                } else {
                    api.patch(&name, &params, &patch).await
                };
                patched?;
            }
            Deed::Fail(message) => {
                let status = json!({"status": {"phase": "Failed", "reason": "NodeLost", "message": message}});
                api.patch_status(&name, &params, &Patch::Merge(&status)).await?;
            }
        }
        Ok(())
    }
}

/// A patch that supplies output parameters of the pauses that wait.
fn supply(workflow: &Workflow, moment: &Moment) -> Option<Value> {
    if moment.supply.is_empty() {
        return None;
    }
    let nodes = workflow.status.iter().flat_map(|status| &status.nodes);
    let waiting = nodes.filter(|(_, node)| node.r#type == NodeType::Suspend && node.phase == NodePhase::Running);
    let supplied = waiting.map(|(id, node)| {
        let mut outputs = json!(node.outputs);
        for parameter in outputs["parameters"].as_array_mut().into_iter().flatten() {
            if let Some(value) = parameter["name"].as_str().and_then(|name| moment.supply.get(name)) {
                parameter["value"] = json!(value);
            }
        }
        (id.clone(), json!({"outputs": outputs}))
    });
    Some(json!({"status": {"nodes": supplied.collect::<BTreeMap<_, _>>()}}))
}

/// Nodes of the played run with the names of their templates.
fn templates(played: &Run) -> Vec<(String, String)> {
    let nodes = played.workflows.iter().filter_map(|one| one.status.as_ref()).flat_map(|status| status.nodes.values());
    nodes.map(|node| (node.name.clone(), node.template_name.clone().unwrap_or_default())).collect()
}

fn described(run: &Run) -> String {
    let nodes = run.workflows.iter().filter_map(|one| one.status.as_ref()).flat_map(|status| status.nodes.values());
    let nodes: Vec<String> = nodes.map(|node| format!("    {} {} {:?}", node.name, node.phase, node.message)).collect();
    format!("  nodes:\n{}\n  history: {:?}", nodes.join("\n"), run.history)
}

/// How the API calls objects of a kind: by the plain plural.
fn resource(version: &str, kind: &str) -> ApiResource {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
