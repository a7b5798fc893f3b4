//! Figures of many objects: config maps written by many and watched by many, lists, and a thousand pods that are only said to
//! run. Server and clients share one process, and speak over the wire.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::Resource as _;
use kube::api::{Api, ListParams, PostParams, Request, WatchParams};
use kube::runtime::watcher;
use serde_json::{Value, json};
use tinderbox_client::wait;
use tinderbox_providers::embedded::node::rehearsal::Rehearsal;
use tinderbox_providers::embedded::process;

use super::Figure;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};

/// Who writes, and who watches, at once.
const WRITERS: usize = 16;
const WATCHERS: usize = 50;
/// How many config maps are written while all watch, and how many there are in the end.
const WATCHED: usize = 2000;
const MAPS: usize = 10_000;
const PODS: usize = 1000;
/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// What kube-apiserver 1.34 with etcd 3.6 gave on 2 cores, with as many writers and watchers, in other processes.
const CREATE: f64 = 1000.0 / 415.0;
const WATCH_MEDIAN: f64 = 45.0;
const WATCH_LATE: f64 = 119.0;
const LIST: f64 = 50.0;
const MEMORY: f64 = 418.0;

/// Measures on a cluster in this process, which is gone afterwards.
pub(super) async fn measure(talk: &Talk) -> Result<Vec<Figure>, Error> {
    talk.tell(Event::Step("starting a cluster whose pods are only said to run".to_owned()));
    let rehearsal = Rehearsal::start(i64::try_from(PODS).unwrap_or(i64::MAX) + 100).await?;
    let outcome = on(&rehearsal, talk).await;
    rehearsal.stop().await;
    outcome
}

async fn on(rehearsal: &Rehearsal, talk: &Talk) -> Result<Vec<Figure>, Error> {
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        // Each has a connection of its own.
        clients.push(Cluster::connect("rehearsal", &rehearsal.kubeconfig()).await?);
    }
    let client = clients[0].client.clone();
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    wait::object(accounts, "default", "the default service account", PATIENCE, |found| found.is_some()).await?;
    let clock = Arc::new(Instant::now());

    talk.tell(Event::Step(format!("writing {WATCHED} config maps, {WRITERS} at once, while {WATCHERS} watch")));
    let first = Api::<ConfigMap>::default_namespaced(client.clone()).list(&ListParams::default().limit(1)).await;
    let from = first.map_err(Error::api("list config maps"))?.metadata.resource_version.unwrap_or_default();
    let mut watching = Vec::new();
    for number in 0..WATCHERS {
        let client = clients[number % WRITERS].client.clone();
        watching.push(tokio::spawn(watch(client, from.clone(), clock.clone())));
    }
    let busy = write(&clients, 0..WATCHED, |api, number| map(api, number, clock.clone())).await?;
    let mut late = Vec::with_capacity(WATCHED * WATCHERS);
    for watcher in watching {
        let seen = watcher.await.map_err(|error| Error::Internal(format!("a watcher broke off: {error}")))??;
        late.extend(seen);
    }
    late.sort_unstable();

    talk.tell(Event::Step(format!("writing config maps until there are {MAPS}")));
    let calm = write(&clients, WATCHED..MAPS, |api, number| map(api, number, clock.clone())).await?;
    let [page, all] = lists(&client).await?.map(millis);

    talk.tell(Event::Step(format!("making {PODS} pods")));
    let began = Instant::now();
    write(&clients, 0..PODS, pod).await?;
    let created = began.elapsed();
    running(&client).await?;
    let ran = began.elapsed();
    let memory = process::resident(std::process::id().cast_signed()).unwrap_or_default() as f64 / f64::from(1 << 20);
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    let share = |part: usize| millis(late[(late.len() - 1) * part / 100]);
    let many = format!("{WRITERS} writers, {WATCHERS} watchers of all");
    Ok(vec![
        Figure::new(
            "scale-create",
            "a config map created, of many at once",
            millis(busy) / WATCHED as f64,
            "ms",
            CREATE,
        )
        .told(format!(
            "{:.0}/s with {many}; {:.0}/s up to {MAPS} without watchers",
            rate(WATCHED, busy),
            rate(MAPS - WATCHED, calm)
        )),
        Figure::new("scale-watch", "from asked to seen by a watcher (median)", share(50), "ms", WATCH_MEDIAN)
            .told(many.clone()),
        Figure::new("scale-watch-late", "the same, 99 of 100", share(99), "ms", WATCH_LATE).told(many),
        Figure::new("scale-list", "a list of 2000 config maps", page, "ms", LIST)
            .told(format!("all {MAPS}: {all:.0} ms")),
        Figure::new("scale-pods", "1000 pods from the first created to the last Running", millis(ran), "ms", None)
            .told(format!("created after {:.0} ms", millis(created))),
        Figure::new("scale-memory", "resident memory with all of them, clients included", memory, "MiB", MEMORY),
    ])
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Writes one object for each number, as many at once as there are clients; how long it took.
async fn write<F>(
    clients: &[Cluster],
    numbers: std::ops::Range<usize>,
    one: impl Fn(kube::Client, usize) -> F,
) -> Result<Duration, Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let began = Instant::now();
    let all = numbers.map(|number| one(clients[number % clients.len()].client.clone(), number));
    stream::iter(all).buffer_unordered(clients.len()).try_collect::<()>().await?;
    Ok(began.elapsed())
}

async fn map(client: kube::Client, number: usize, clock: Arc<Instant>) -> Result<(), Error> {
    let at = clock.elapsed().as_micros().to_string();
    let object = json!({"metadata": {"name": format!("map-{number:05}")}, "data": {"at": at, "text": "x".repeat(200)}});
    Api::<ConfigMap>::default_namespaced(client)
        .create(&PostParams::default(), &typed(object)?)
        .await
        .map(drop)
        .map_err(Error::api("create a config map"))
}

async fn pod(client: kube::Client, number: usize) -> Result<(), Error> {
    let container = json!({"name": "main", "image": "busybox", "command": ["sleep"]});
    let object = json!({"metadata": {"name": format!("pod-{number:04}")}, "spec": {"containers": [container]}});
    Api::<Pod>::default_namespaced(client)
        .create(&PostParams::default(), &typed(object)?)
        .await
        .map(drop)
        .map_err(Error::api("create a pod"))
}

fn typed<K: serde::de::DeserializeOwned>(object: Value) -> Result<K, Error> {
    serde_json::from_value(object).map_err(|error| Error::Internal(format!("the object has a wrong form: {error}")))
}

/// How long each of the config maps took until a watcher had its line. Lines are not read further: the server is measured.
async fn watch(client: kube::Client, from: String, clock: Arc<Instant>) -> Result<Vec<Duration>, Error> {
    let request = requests().watch(&WatchParams::default().timeout(290), &from);
    let request = request.map_err(|error| Error::Internal(format!("cannot ask for a watch: {error}")))?;
    let stream = client.request_stream(request).await.map_err(Error::api("watch config maps"))?;
    let mut lines = std::pin::pin!(stream.lines());
    let mut seen = Vec::with_capacity(WATCHED);
    while seen.len() < WATCHED {
        let Some(Ok(line)) = lines.next().await else { break };
        let at = line.split_once("\"at\":\"").and_then(|(_, rest)| rest.split('"').next()?.parse().ok());
        seen.extend(at.map(|at| clock.elapsed().saturating_sub(Duration::from_micros(at))));
    }
    if seen.len() < WATCHED {
        return Err(Error::Internal(format!("a watcher saw {} of {WATCHED} config maps", seen.len())));
    }
    Ok(seen)
}

fn requests() -> Request {
    Request::new(ConfigMap::url_path(&(), Some("default")))
}

/// How long a list of 2000 takes until all of its text is there, and one of all: the medians of several.
async fn lists(client: &kube::Client) -> Result<[Duration; 2], Error> {
    let mut medians = [Duration::ZERO; 2];
    for (median, params) in medians.iter_mut().zip([ListParams::default().limit(2000), ListParams::default()]) {
        let mut times = Vec::new();
        for _ in 0..5 {
            let request = requests().list(&params);
            let request = request.map_err(|error| Error::Internal(format!("cannot ask for a list: {error}")))?;
            let began = Instant::now();
            client.request_text(request).await.map_err(Error::api("list config maps"))?;
            times.push(began.elapsed());
        }
        times.sort();
        *median = times[2];
    }
    Ok(medians)
}

/// Waits until every pod runs.
async fn running(client: &kube::Client) -> Result<(), Error> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let is_running = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    wait::until(pods, watcher::Config::default(), "all pods to run", PATIENCE, |known| {
        let count = known.values().filter(|pod| is_running(pod)).count();
        if count == PODS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    Ok(())
}
