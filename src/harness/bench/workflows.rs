//! Figures of workflows: a large graph by a table and with pods that are only said to run, the diamond on real pods, and what the platform's process
//! takes when many workflows are over.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt as _;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::{Value, json};
use tinderbox_api::workflows::{Phase, Workflow, labels};
use tinderbox_client::wait;
use tinderbox_platform::workflows::runner::{Table, World};
use tinderbox_providers::Folder;
use tinderbox_providers::aside::Aside;
use tinderbox_providers::embedded::node::rehearsal::Rehearsal;
use tinderbox_providers::embedded::process;

use super::{Figure, with_platform};
use crate::beside;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::gitops;
use crate::project::Project;
use crate::up;

/// Nodes of the graphs; the one in the middle is what the limit is for.
const NODES: [usize; 3] = [500, 1000, 2000];
/// Nodes of the graphs that become pods.
const PODS: [usize; 2] = [500, 1000];
/// Tasks of a graph that wait for each other, one after the other: with more nodes, more of them are run side by side.
const LAYERS: usize = 20;
/// Tasks side by side in a deep graph: with more nodes, more of them wait for each other.
const NARROW: usize = 2;
/// The app that is the diamond, and how often it is run.
const DIAMOND: &str = "hello-argo-workflows";
const TIMES: usize = 7;
/// Workflows that are over, and who makes them.
const OVER: usize = 5000;
const WRITERS: usize = 16;
/// How often it is looked whether a graph is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the process is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(10);
/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures the figure of this name, on a cluster of its own; that of the diamond stays for the caller to take away.
pub(super) async fn measure(project: &Project, figure: &str, talk: &Talk) -> Result<Figure, Error> {
    match figure {
        "workflow-dag" => return by_table(talk),
        "workflow-diamond" => return diamond(project, talk).await,
        _ => (),
    }
    talk.tell(Event::Step("starting a cluster whose pods are only said to run".to_owned()));
    let rehearsal = Rehearsal::start(i64::try_from(PODS.iter().sum::<usize>()).unwrap_or(i64::MAX) + 100).await?;
    let measured = async {
        let cluster = with_platform(project, &rehearsal).await?;
        let accounts: Api<ServiceAccount> = Api::default_namespaced(cluster.client.clone());
        wait::object(accounts, "default", "the default service account", PATIENCE, |found| found.is_some()).await?;
        match figure {
            "workflow-pods" => on_pods(&cluster, talk).await,
            _ => memory(&cluster, &rehearsal.kubeconfig(), talk).await,
        }
    };
    let outcome = measured.await;
    rehearsal.stop().await;
    outcome
}

/// Runs graphs by a table, in virtual time: what is decided is decided as in a cluster, and no pod is made.
fn by_table(talk: &Talk) -> Result<Figure, Error> {
    let mut times = Vec::with_capacity(NODES.len());
    for nodes in NODES {
        talk.tell(Event::Step(format!("a graph of {nodes} nodes, by a table")));
        times.push(played(nodes, nodes.div_ceil(LAYERS))?);
    }
    talk.tell(Event::Step("deep graphs, by a table".to_owned()));
    let deep = PODS.iter().map(|nodes| played(*nodes, NARROW)).collect::<Result<Vec<_>, Error>>()?;
    let what = "a graph of 1000 nodes that do nothing, on a runtime that is a table";
    let told = format!("{}; with {NARROW} side by side: {}", each(&NODES, &times), each(&PODS, &deep));
    Ok(Figure::new("workflow-dag", what, times[1], "ms", 5000.0).told(told))
}

/// Plays a graph to its end; how long it took, in milliseconds.
fn played(nodes: usize, width: usize) -> Result<f64, Error> {
    let since = Instant::now();
    let mut world = World::new(Timestamp::UNIX_EPOCH);
    world.add(graph(nodes, width)).map_err(Error::Internal)?;
    let run = world.run(&Table::default(), &[]).map_err(Error::Internal)?;
    let took = since.elapsed().as_secs_f64() * 1000.0;
    let phase = run.workflows.first().and_then(|one| one.status.as_ref()).map(|status| status.phase);
    if phase != Some(Phase::Succeeded) || run.pods.len() != nodes {
        return Err(Error::Internal(format!("a graph of {nodes} nodes did not do what it should")));
    }
    Ok(took)
}

async fn on_pods(cluster: &Cluster, talk: &Talk) -> Result<Figure, Error> {
    // The controller has seen its kinds once this one is over.
    through(cluster, 1).await?;
    let mut times = Vec::with_capacity(PODS.len());
    for nodes in PODS {
        talk.tell(Event::Step(format!("a graph of {nodes} nodes")));
        times.push(through(cluster, nodes).await?.as_secs_f64() * 1000.0);
    }
    let what = "the same graph in a cluster whose pods are only said to run";
    Ok(Figure::new("workflow-pods", what, times[1], "ms", None).told(each(&PODS, &times)))
}

fn each(nodes: &[usize], times: &[f64]) -> String {
    let each =
        nodes.iter().zip(times).map(|(nodes, time)| format!("{:.2} ms for each of {nodes}", time / *nodes as f64));
    each.collect::<Vec<_>>().join(", ")
}

/// A graph whose tasks wait for two of the layer before; `width` of them are one.
fn graph(nodes: usize, width: usize) -> Value {
    let task = |number: usize| {
        let (layer, place) = (number / width, number % width);
        let before = |next: usize| format!("t{}", (layer - 1) * width + (place + next) % width);
        let dependencies = if layer == 0 { Vec::new() } else { vec![before(0), before(1)] };
        json!({"name": format!("t{number}"), "template": "nothing", "dependencies": dependencies})
    };
    let tasks: Vec<Value> = (0..nodes).map(task).collect();
    let name = format!("graph-{nodes}");
    json!({"kind": "Workflow", "metadata": {"name": name}, "spec": {"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": tasks}},
        // A program by which a rehearsal ends at once.
        {"name": "nothing", "container": {"image": "busybox", "command": ["exit", "0"]}},
    ]}})
}

/// Runs a graph in a cluster; how long it took.
async fn through(cluster: &Cluster, nodes: usize) -> Result<Duration, Error> {
    let wanted = typed(graph(nodes, nodes.div_ceil(LAYERS)))?;
    let all: Api<Workflow> = Api::default_namespaced(cluster.client.clone());
    let since = Instant::now();
    let name = all.create(&PostParams::default(), &wanted).await.map_err(Error::api("make a workflow"))?.name_any();
    loop {
        // What it is labelled with is all that is asked for: the nodes of a large one are much to read.
        let seen = all.get_metadata(&name).await.map_err(Error::api("look at a workflow"))?;
        match seen.labels().get(labels::PHASE).map(String::as_str) {
            Some("Succeeded") => return Ok(since.elapsed()),
            Some("Failed" | "Error") => return Err(Error::Internal(format!("the workflow {name} failed"))),
            _ if since.elapsed() > PATIENCE => {
                return Err(Error::Internal(format!("the workflow {name} does not end")));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

async fn diamond(project: &Project, talk: &Talk) -> Result<Figure, Error> {
    talk.tell(Event::Step(format!("{DIAMOND} on a fresh cluster")));
    let (_, cluster) = up::up(project, "bench", std::future::pending(), &Talk::silent()).await?;
    let objects = gitops::expand(project, &project.target(DIAMOND)?)?.objects();
    let found = objects.into_iter().find(|object| object.value["kind"] == "Workflow");
    let found = found.ok_or_else(|| Error::Internal(format!("{DIAMOND} has no workflow")))?;
    let mut times = Vec::with_capacity(TIMES);
    for number in 0..=TIMES {
        let mut wanted: Workflow = typed(found.value.clone())?;
        wanted.metadata.name = Some(format!("{DIAMOND}-{number}"));
        let since = Instant::now();
        run(&cluster, &wanted).await?;
        times.push(since.elapsed().as_secs_f64() * 1000.0);
    }
    // The first one finds nothing prepared.
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(Figure::new(
        "workflow-diamond",
        "four pods in a diamond, from created to over (median)",
        times[TIMES / 2],
        "ms",
        1500.0,
    )
    .told(format!("the first: {first:.0} ms; slowest of {TIMES} after it: {:.0} ms", times[TIMES - 1])))
}

/// Runs a workflow; what became of it.
async fn run(cluster: &Cluster, wanted: &Workflow) -> Result<Workflow, Error> {
    let namespace = wanted.namespace().unwrap_or_else(|| "default".to_owned());
    let all: Api<Workflow> = Api::namespaced(cluster.client.clone(), &namespace);
    let name = wanted.name_any();
    let over = wait::object(all.clone(), &name, "the workflow to be over", PATIENCE, |workflow| {
        workflow.and_then(|one| one.status.as_ref()).is_some_and(|status| status.phase.is_completed())
    });
    let made =
        async { all.create(&PostParams::default(), wanted).await.map(drop).map_err(Error::api("make a workflow")) };
    let ((), over) = tokio::try_join!(made, async { over.await.map_err(Error::from) })?;
    let over = over.filter(|one| one.status.as_ref().is_some_and(|status| status.phase == Phase::Succeeded));
    over.ok_or_else(|| Error::Internal(format!("the workflow {name} failed")))
}

async fn memory(cluster: &Cluster, kubeconfig: &Path, talk: &Talk) -> Result<Figure, Error> {
    let step = |name: &str, after: &[&str]| json!({"name": name, "template": "nothing", "dependencies": after});
    let tasks = [step("A", &[]), step("B", &["A"]), step("C", &["A"]), step("D", &["B", "C"])];
    let wanted = typed(json!({"metadata": {"name": "diamond"}, "spec": {"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": tasks}},
        {"name": "nothing", "container": {"image": "busybox", "command": ["exit", "0"]}},
    ]}}))?;
    let over = run(cluster, &wanted).await?;
    talk.tell(Event::Step(format!("{OVER} workflows that are over")));
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        // Each has a connection of its own.
        clients.push(Cluster::connect("rehearsal", kubeconfig).await?);
    }
    let made = (0..OVER).map(|number| {
        let all: Api<Workflow> = Api::default_namespaced(clients[number % WRITERS].client.clone());
        let mut one = over.clone();
        one.metadata = ObjectMeta {
            name: Some(format!("over-{number:04}")),
            labels: over.metadata.labels.clone(),
            ..ObjectMeta::default()
        };
        async move { all.create(&PostParams::default(), &one).await.map(drop).map_err(Error::api("make a workflow")) }
    });
    stream::iter(made).buffer_unordered(WRITERS).try_collect::<()>().await?;
    let state = kubeconfig.parent().unwrap_or(Path::new("/"));
    let process = Aside::new(&Folder::new(state.parent().unwrap_or(state), "rehearsal")?, beside::PART);
    talk.tell(Event::Step("the platform in a process of its own".to_owned()));
    let pid = process.start(&[]).await?;
    tokio::time::sleep(IDLE).await;
    let memory = process::resident(pid).unwrap_or_default() as f64 / f64::from(1 << 20);
    process.stop().await?;
    Ok(Figure::new(
        "workflow-memory",
        "resident memory of the platform's own process beside 5000 workflows that are over",
        memory,
        "MiB",
        100.0,
    )
    .told("diamonds of four nodes; the Spark operator in it too".to_owned()))
}

fn typed(object: Value) -> Result<Workflow, Error> {
    serde_json::from_value(object).map_err(|error| Error::Internal(format!("the workflow has a wrong form: {error}")))
}
