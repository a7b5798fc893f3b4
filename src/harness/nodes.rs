//! `node list`, `node kill` and `node start`: the virtual nodes of a cluster, and their power. What follows from a loss is Kubernetes'
//! own business.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::watcher;
use serde::Serialize;
use serde_json::{Value, json};
use tinderbox_api::pools::{OFF, POOL, POWER, POWER_STATE};
use tinderbox_client::wait;
use tinderbox_providers::Provider as _;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::project::Project;
use crate::suggest;
use crate::up::whole_millis;

/// How long a node may take to lose its power or to be ready again.
const PATIENCE: Duration = Duration::from_secs(60);

/// One node.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeLine {
    /// Its name.
    pub name: String,
    /// The pool that it belongs to.
    pub pool: String,
    /// It runs; `false` once it was killed.
    pub power: bool,
    /// What Kubernetes knows of it: `Ready`, `NotReady` or `Unknown`.
    pub state: &'static str,
    /// It takes no new pods.
    pub cordoned: bool,
    /// Its taints, as `key=value:effect`.
    pub taints: Vec<String>,
    /// Its address.
    pub address: String,
    /// CPUs that it offers.
    pub cpu: String,
    /// Memory that it offers.
    pub memory: String,
    /// Pods on it that have not ended.
    pub pods: usize,
}

/// What killing or starting a node came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PowerReport {
    /// The node.
    pub node: String,
    /// It has power now.
    pub power: bool,
    /// It was so before.
    pub already: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What will happen next.
    pub next: String,
}

/// The nodes of the cluster.
///
/// # Errors
/// When it is not up or does not answer.
pub async fn list(project: &Project) -> Result<Vec<NodeLine>, Error> {
    let cluster = Cluster::running(project).await?;
    let pods: Api<Pod> = Api::all(cluster.client.clone());
    let pods = pods.list(&ListParams::default()).await.map_err(Error::api("list pods"))?;
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for pod in &pods {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        if let Some(node) = node.filter(|_| !matches!(phase, Some("Succeeded" | "Failed"))) {
            *count.entry(node).or_default() += 1;
        }
    }
    let nodes = nodes(&cluster).await?;
    Ok(nodes.iter().map(|node| line(node, count.get(&node.name_any()).copied().unwrap_or_default())).collect())
}

async fn nodes(cluster: &Cluster) -> Result<Vec<Node>, Error> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    Ok(nodes.list(&ListParams::default()).await.map_err(Error::api("list nodes"))?.items)
}

fn line(node: &Node, pods: usize) -> NodeLine {
    let (spec, status) = (node.spec.clone().unwrap_or_default(), node.status.clone().unwrap_or_default());
    let offers = |name: &str| status.allocatable.as_ref().and_then(|all| Some(all.get(name)?.0.clone()));
    let taints = spec.taints.into_iter().flatten().map(|taint| {
        let value = taint.value.map(|value| format!("={value}")).unwrap_or_default();
        format!("{}{value}:{}", taint.key, taint.effect)
    });
    let address = status.addresses.iter().flatten().find(|one| one.type_ == "InternalIP");
    NodeLine {
        name: node.name_any(),
        pool: node.labels().get(POOL).cloned().unwrap_or_default(),
        power: has_power(node),
        state: state(node),
        cordoned: spec.unschedulable == Some(true),
        taints: taints.collect(),
        address: address.map(|one| one.address.clone()).unwrap_or_default(),
        cpu: offers("cpu").unwrap_or_default(),
        memory: offers("memory").unwrap_or_default(),
        pods,
    }
}

fn state(node: &Node) -> &'static str {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    match conditions.into_iter().flatten().find(|one| one.type_ == "Ready").map(|one| one.status.as_str()) {
        Some("True") => "Ready",
        Some("False") => "NotReady",
        _ => "Unknown",
    }
}

fn has_power(node: &Node) -> bool {
    node.annotations().get(POWER_STATE).is_none_or(|word| word != OFF)
}

/// Takes a node's power away: its processes die at once, and nothing is told to the API.
///
/// # Errors
/// When the cluster is not up or has no such node.
pub async fn kill(project: &Project, name: &str) -> Result<PowerReport, Error> {
    let timing = project.config.nodes.timing;
    let next = format!(
        "it counts as not ready about {} s after it is missed, and pods that say nothing else leave it {} s later; \
         `nodes.timing` in tinderbox.yaml sets both",
        timing.grace_seconds, timing.eviction_seconds
    );
    switch(project, name, json!(OFF), next, |node| !has_power(node)).await
}

/// Gives a node its power again.
///
/// # Errors
/// When the cluster is not up or has no such node.
pub async fn start(project: &Project, name: &str) -> Result<PowerReport, Error> {
    let next = "its pods that were not replaced run again".to_owned();
    switch(project, name, Value::Null, next, |node| has_power(node) && state(node) == "Ready").await
}

async fn switch(
    project: &Project,
    name: &str,
    power: Value,
    next: String,
    done: impl Fn(&Node) -> bool,
) -> Result<PowerReport, Error> {
    let began = Instant::now();
    let place = project.provider("node")?;
    if !place.abilities().node_power {
        return Err(Error::Usage {
            message: format!("nodes of the place {} have no power that could be switched", place.name()),
            hint: Some("take them out of service by `cargo xtask kubectl drain`".to_owned()),
        });
    }
    let cluster = Cluster::running(project).await?;
    let known = nodes(&cluster).await?;
    let node = known.iter().find(|node| node.name_any() == name).ok_or_else(|| unknown(name, &known))?;
    let already = done(node);
    let api: Api<Node> = Api::all(cluster.client.clone());
    let on = power.is_null();
    let patch = json!({"metadata": {"annotations": {POWER: power}}});
    let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map_err(Error::api(format!("switch the node {name}")))?;
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let what = if on { format!("node {name} to be ready") } else { format!("node {name} to lose its power") };
    wait::until(api, only, &what, PATIENCE, |nodes| match nodes.values().next() {
        Some(node) if !done(node) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    })
    .await?;
    Ok(PowerReport { node: name.to_owned(), power: on, already, took_ms: whole_millis(began.elapsed()), next })
}

fn unknown(name: &str, known: &[Node]) -> Error {
    let names: Vec<String> = known.iter().map(ResourceExt::name_any).collect();
    let near = suggest::question(name, names.iter().map(String::as_str));
    let near = near.map(|near| format!("{near} ")).unwrap_or_default();
    Error::Usage {
        message: format!("there is no node called {name:?}"),
        hint: Some(format!("{near}nodes: {}", names.join(", "))),
    }
}
