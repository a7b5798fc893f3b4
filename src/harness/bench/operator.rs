//! Figures of the Spark operator: an application submitted without a JVM beside one by spark-submit, and a thousand at once. Pods are
//! only said to run; server, operator and clients share one process, and speak over the wire.

use std::ops::ControlFlow;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher;
use serde_json::json;
use tinderbox_api::spark::labels;
use tinderbox_client::wait;
use tinderbox_providers::embedded::images::{HostSpark, host_spark};
use tinderbox_providers::embedded::node::rehearsal::Rehearsal;
use tinderbox_providers::embedded::process;
use tokio::process::Command;

use super::{Figure, with_platform};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::project::Project;

const NAMESPACE: &str = "spark-jobs";
const IMAGE: &str = "apache/spark:4.0.1";
const PI: &str = "local:///opt/spark/examples/src/main/python/pi.py";
/// Applications one after the other, and calls of spark-submit.
const ONES: usize = 21;
const CALLS: usize = 3;
/// Applications at once, and who makes them.
const MANY: usize = 1000;
const WRITERS: usize = 16;
/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures on a cluster in this process, which is gone afterwards.
pub(super) async fn measure(project: &Project, talk: &Talk) -> Result<Vec<Figure>, Error> {
    talk.tell(Event::Step("fetching Spark".to_owned()));
    let spark = host_spark(IMAGE).await?;
    talk.tell(Event::Step("starting a cluster whose pods are only said to run".to_owned()));
    let rehearsal = Rehearsal::start(i64::try_from(MANY + ONES + CALLS).unwrap_or(i64::MAX) + 100).await?;
    let outcome = on(project, &rehearsal, &spark, talk).await;
    rehearsal.stop().await;
    outcome
}

async fn on(project: &Project, rehearsal: &Rehearsal, spark: &HostSpark, talk: &Talk) -> Result<Vec<Figure>, Error> {
    let cluster = with_platform(project, rehearsal).await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    // The operator has seen its kinds once this one is submitted.
    one(&cluster, &pods, "first").await?;
    talk.tell(Event::Step(format!("{ONES} applications, one after the other")));
    let mut times = Vec::with_capacity(ONES);
    for number in 0..ONES {
        times.push(one(&cluster, &pods, &format!("one-{number}")).await?);
    }
    times.sort();
    talk.tell(Event::Step(format!("{CALLS} calls of spark-submit")));
    let mut calls = Vec::with_capacity(CALLS);
    for number in 0..CALLS {
        calls.push(call(rehearsal, &pods, spark, &format!("call-{number}")).await?);
    }
    calls.sort();
    let before = memory();
    talk.tell(Event::Step(format!("{MANY} applications at once")));
    let many = together(rehearsal, &cluster).await?;
    let after = memory();
    Ok(vec![
        Figure::new(
            "operator-submit",
            "from an application created to its driver's pod (median)",
            millis(times[ONES / 2]),
            "ms",
            50.0,
        )
        .told(format!(
            "slowest of {ONES}: {:.0} ms; by spark-submit: {:.0} ms",
            millis(times[ONES - 1]),
            millis(calls[CALLS / 2])
        )),
        Figure::new(
            "operator-many",
            "1000 applications at once, until the last driver's pod is there",
            millis(many),
            "ms",
            20_000.0,
        )
        .told(format!("{:.0} a minute", MANY as f64 * 60.0 / many.as_secs_f64())),
        Figure::new(
            "operator-memory",
            "what server, operator and clients take for them",
            (after - before).max(0.0),
            "MiB",
            None,
        )
        .told(format!("from {before:.0} MiB to {after:.0} MiB")),
    ])
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn memory() -> f64 {
    process::resident(std::process::id().cast_signed()).unwrap_or_default() as f64 / f64::from(1 << 20)
}

fn applications(client: &kube::Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("sparkoperator.k8s.io", "v1beta2", "SparkApplication");
    Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind))
}

fn application(name: &str) -> Result<DynamicObject, Error> {
    serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
        "spec": {
            "type": "Python", "mode": "cluster", "sparkVersion": "4.0.1", "image": IMAGE, "mainApplicationFile": PI,
            "restartPolicy": {"type": "Never"},
            "driver": {"cores": 1, "coreRequest": "1m", "memory": "512m", "serviceAccount": "default"},
            "executor": {"instances": 1, "cores": 1, "coreRequest": "1m", "memory": "512m"},
        },
    }))
    .map_err(|error| Error::Internal(format!("the application has a wrong form: {error}")))
}

/// Makes an application, and takes it away again; how long it took until its driver's pod was there.
async fn one(cluster: &Cluster, pods: &Api<Pod>, name: &str) -> Result<Duration, Error> {
    let (all, wanted, driver) = (applications(&cluster.client), application(name)?, format!("{name}-driver"));
    let there = wait::object(pods.clone(), &driver, "the driver's pod", PATIENCE, |pod| pod.is_some());
    let since = Instant::now();
    let created = async {
        all.create(&PostParams::default(), &wanted).await.map(drop).map_err(Error::api("create an application"))
    };
    tokio::try_join!(created, async { there.await.map(drop).map_err(Error::from) })?;
    let took = since.elapsed();
    all.delete(name, &DeleteParams::default()).await.map_err(Error::api("delete an application"))?;
    Ok(took)
}

/// Calls spark-submit; how long it took from its start until the driver's pod was there.
async fn call(rehearsal: &Rehearsal, pods: &Api<Pod>, spark: &HostSpark, name: &str) -> Result<Duration, Error> {
    let program = spark.home.join("bin/spark-submit");
    let mut command = Command::new(&program);
    command.args(["--deploy-mode", "cluster", "--name", name, "--master"]).arg(format!("k8s://{}", rehearsal.server()));
    for setting in [
        format!("spark.kubernetes.namespace={NAMESPACE}"),
        format!("spark.kubernetes.container.image={IMAGE}"),
        format!("spark.kubernetes.driver.pod.name={name}-driver"),
        "spark.kubernetes.submission.waitAppCompletion=false".to_owned(),
    ] {
        command.args(["--conf", &setting]);
    }
    command.args([PI, "10"]).env("SPARK_HOME", &spark.home).env("JAVA_HOME", &spark.java);
    command.env("SPARK_LOCAL_IP", "127.0.0.1").env("KUBECONFIG", rehearsal.kubeconfig());
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).kill_on_drop(true);
    let driver = format!("{name}-driver");
    let there = wait::object(pods.clone(), &driver, "the driver's pod", PATIENCE, |pod| pod.is_some());
    let since = Instant::now();
    let seen = async {
        there.await?;
        Ok(since.elapsed())
    };
    let called = async {
        let fail = |source| Error::Program { program: program.display().to_string(), source, hint: None };
        let output = command.output().await.map_err(fail)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().take(5).collect::<Vec<_>>().join(" / ");
        Err(Error::Internal(format!("spark-submit failed: {last}")))
    };
    tokio::try_join!(seen, called).map(|(took, ())| took)
}

/// Makes many applications at once; how long it took until all drivers' pods were there.
async fn together(rehearsal: &Rehearsal, cluster: &Cluster) -> Result<Duration, Error> {
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        // Each has a connection of its own.
        clients.push(Cluster::connect("rehearsal", &rehearsal.kubeconfig()).await?);
    }
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let since = Instant::now();
    let made = (0..MANY).map(|number| {
        let all = applications(&clients[number % WRITERS].client);
        async move {
            let wanted = application(&format!("many-{number:04}"))?;
            all.create(&PostParams::default(), &wanted).await.map(drop).map_err(Error::api("create an application"))
        }
    });
    let made = stream::iter(made).buffer_unordered(WRITERS).try_collect::<()>();
    let drivers = watcher::Config::default().labels(&format!("{}=driver", labels::ROLE));
    let there = wait::until(pods, drivers, "all drivers' pods", PATIENCE, |known| {
        let count = known.values().filter(|pod| pod.name_any().starts_with("many-")).count();
        if count == MANY { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    tokio::try_join!(made, async { there.await.map(drop).map_err(Error::from) })?;
    Ok(since.elapsed())
}
