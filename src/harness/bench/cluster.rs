//! Figures of the cluster itself: how fast it is up, a pod runs, and all is gone, and how much memory it takes when idle.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tinderbox_client::wait;
use tinderbox_providers::Provider as _;
use tinderbox_providers::embedded::process;

use super::Figure;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::project::Project;

/// How many pods are made, one after the other.
const PODS: usize = 11;
/// How long nothing is asked of the cluster before its memory is looked at.
const IDLE: Duration = Duration::from_secs(4);
/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures on a cluster that is not there yet, and is not there afterwards.
pub(super) async fn measure(project: &Project, talk: &Talk) -> Result<Vec<Figure>, Error> {
    let place = project.embedded("bench")?;
    let silent = tinderbox_providers::Talk::silent();
    talk.tell(Event::Step("starting a cluster for the first time".to_owned()));
    let first = place.up(&silent).await?;
    place.stop().await?;
    talk.tell(Event::Step("starting it again".to_owned()));
    let again = place.up(&silent).await?;
    let cluster = Cluster::connect(&project.cluster, &again.endpoint.kubeconfig).await?;
    talk.tell(Event::Step(format!("making {PODS} pods")));
    let mut pods = pods(&cluster).await?;
    talk.tell(Event::Step("looking at the idle node".to_owned()));
    tokio::time::sleep(IDLE).await;
    let pid = again.endpoint.pid.unwrap_or_default();
    let mebibytes = |pid: i32| process::resident(pid).map_or(0.0, |bytes| bytes as f64 / f64::from(1 << 20));
    let node = mebibytes(pid);
    let held: f64 = process::children(pid).into_iter().map(mebibytes).sum();
    let down = place.down().await?;
    pods.sort();
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    Ok(vec![
        Figure::new(
            "up-first",
            "from nothing to a ready API and node, keys included",
            millis(first.took),
            "ms",
            1000.0,
        ),
        Figure::new("up-again", "from a stopped cluster to a ready API and node", millis(again.took), "ms", 500.0),
        Figure::new(
            "pod-running",
            "a trivial pod from created to Running (median)",
            millis(pods[pods.len() / 2]),
            "ms",
            100.0,
        )
        .told(format!(
            "fastest {:.0} ms, slowest {:.0} ms of {PODS}",
            millis(pods[0]),
            millis(pods[pods.len() - 1])
        )),
        Figure::new("node-memory", "resident memory of the idle node process", node, "MiB", 60.0),
        Figure::new("place-memory", "resident memory of the process that holds the pods", held, "MiB", None),
        Figure::new("down", "from asked to gone", millis(down.took), "ms", 1000.0),
    ])
}

/// Makes pods one after the other; how long each took to run.
async fn pods(cluster: &Cluster) -> Result<Vec<Duration>, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "default");
    wait::object(accounts, "default", "the default service account", PATIENCE, |found| found.is_some()).await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), "default");
    let mut times = Vec::with_capacity(PODS);
    for number in 0..PODS {
        let name = format!("bench-{number}");
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "busybox:1.37", "command": ["sleep", "3600"]}]},
        }))
        .map_err(|error| Error::Internal(format!("the pod has a wrong form: {error}")))?;
        let running = wait::object(pods.clone(), &name, "the pod to run", PATIENCE, |pod| {
            pod.and_then(|pod| pod.status.as_ref()).and_then(|status| status.phase.as_deref()) == Some("Running")
        });
        let since = Instant::now();
        let created = async { pods.create(&PostParams::default(), &pod).await.map_err(Error::api("create a pod")) };
        let running = async { running.await.map_err(Error::from) };
        let (made, _) = tokio::try_join!(created, running)?;
        times.push(since.elapsed());
        pods.delete(&name, &DeleteParams::default()).await.map_err(Error::api("delete a pod"))?;
        wait::gone(pods.clone(), &name, &made.uid().unwrap_or_default(), PATIENCE).await?;
    }
    Ok(times)
}
