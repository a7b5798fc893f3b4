//! `explain`: what of a cluster waits or failed, and why. It only looks.

use std::collections::BTreeSet;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use serde::Serialize;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::diagnose::{self, Cause, Known};
use crate::error::Error;
use crate::event::{ObjectName, Role};
use crate::follow::{Text, Texts};
use crate::kin::{self, Kin};
use crate::observe::{Record, World};
use crate::project::Project;
use crate::suggest;

/// Kinds that are looked at: what can be asked about, and what shows why. Not every cluster has each of them.
const KINDS: [(&str, &str); 13] = [
    ("v1", "Pod"),
    ("v1", "Event"),
    ("v1", "Node"),
    ("v1", "PersistentVolumeClaim"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("sparkoperator.k8s.io/v1beta2", "SparkApplication"),
    ("sparkoperator.k8s.io/v1beta2", "ScheduledSparkApplication"),
];
/// Kinds that are only evidence.
const EVIDENCE: [&str; 3] = ["Event", "Node", "StorageClass"];
/// Most lines that are read of a log, from its end.
const LINES: i64 = 2000;

/// What was found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inquiry {
    /// Name of the cluster.
    pub cluster: String,
    /// What was asked about, or all that is not well.
    pub subjects: Vec<Told>,
}

/// One object and why it is as it is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Kind, namespace and name.
    #[serde(flatten)]
    pub name: ObjectName,
    /// Its state in one word, where it has one.
    pub state: Option<String>,
    /// Why it waits or failed, if it does.
    pub cause: Option<Cause>,
}

/// Looks for the cause of what waits or failed: of one object, as `NAME` or `KIND/NAME`, or of all.
///
/// # Errors
/// When the cluster is not up, or there is no such object; with the near name, if there is one.
pub async fn inquire(project: &Project, what: Option<&str>, namespace: Option<&str>) -> Result<Inquiry, Error> {
    inquire_of(&Cluster::running(project).await?, what, namespace).await
}

/// The same of a cluster that is at hand.
///
/// # Errors
/// When its API refuses, or there is no such object.
pub(crate) async fn inquire_of(
    cluster: &Cluster,
    what: Option<&str>,
    namespace: Option<&str>,
) -> Result<Inquiry, Error> {
    let world = look(cluster, namespace.unwrap_or_default()).await?;
    let subjects = match what {
        Some(what) => named(&world, what)?,
        None => heads(&world),
    };
    let concerned: Vec<BTreeSet<String>> = subjects.iter().map(|uid| kin(&world, uid)).collect();
    let pods: BTreeSet<&String> = concerned.iter().flatten().collect();
    let texts = listen(cluster, &world, &pods).await;
    let known = Known { world: &world, texts: &texts, now: Timestamp::now() };
    let told = subjects.iter().zip(&concerned).map(|(uid, concerned)| {
        let record = &world.records[uid];
        let (name, object) = (record.name.clone(), record.object());
        Told { name, state: kin::phase(object), cause: diagnose::diagnose(known, concerned) }
    });
    let subjects = told.filter(|told| what.is_some() || told.cause.is_some()).collect();
    Ok(Inquiry { cluster: cluster.name.clone(), subjects })
}

/// All objects of the kinds that are looked at.
async fn look(cluster: &Cluster, namespace: &str) -> Result<World, Error> {
    let lists = join_all(KINDS.map(async |(version, kind)| {
        let resource = match cluster.resource(version, kind).await {
            Ok(resource) => resource,
            Err(Error::UnknownKind { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let listed = cluster.collection(&resource, namespace).list(&ListParams::default()).await;
        let objects = listed.map_err(Error::api(format!("list objects of kind {kind}")))?;
        let values = objects.items.into_iter().map(|object| {
            let mut value = serde_json::to_value(object).unwrap_or_default();
            value["apiVersion"] = Value::from(version);
            value["kind"] = Value::from(kind);
            value
        });
        Ok(values.map(|value| Record::of(kind, value)).collect::<Vec<_>>())
    }))
    .await;
    let mut world = World::default();
    for list in lists {
        for record in list? {
            let uid = record.object()["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            world.records.insert(uid, record);
        }
    }
    Ok(world)
}

/// What nobody owns that is looked at: the rest is part of it.
fn heads(world: &World) -> Vec<String> {
    let owned = |record: &Record| {
        let owners = record.object()["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        owners.filter_map(|owner| owner["uid"].as_str()).any(|uid| world.records.contains_key(uid))
    };
    let mut found: Vec<(&ObjectName, &String)> = world
        .records
        .iter()
        .filter(|(_, record)| !EVIDENCE.contains(&record.name.kind.as_str()) && !owned(record))
        .map(|(uid, record)| (&record.name, uid))
        .collect();
    found.sort();
    found.into_iter().map(|(_, uid)| uid.clone()).collect()
}

/// The objects that are meant. Where several kinds share a name, those that nobody owns come first.
fn named(world: &World, what: &str) -> Result<Vec<String>, Error> {
    let (kind, name) = what.split_once('/').map_or((None, what), |(kind, name)| (Some(kind), name));
    let asked: Vec<(&String, &Record)> =
        world.records.iter().filter(|(_, record)| !EVIDENCE.contains(&record.name.kind.as_str())).collect();
    let is_kind = |record: &Record| kind.is_none_or(|kind| is_called(&record.name.kind, kind));
    let mut found: Vec<&String> =
        asked.iter().filter(|(_, record)| record.name.name == name && is_kind(record)).map(|(uid, _)| *uid).collect();
    if found.is_empty() {
        let known = asked.iter().filter(|(_, record)| is_kind(record)).map(|(_, record)| record.name.name.as_str());
        return Err(Error::Usage {
            message: format!("there is no object called {what:?} that could be explained"),
            hint: suggest::question(name, known),
        });
    }
    let heads = heads(world);
    if found.iter().any(|uid| heads.contains(uid)) {
        found.retain(|uid| heads.contains(uid));
    }
    Ok(found.into_iter().cloned().collect())
}

/// Whether a kind is called so: in any case, in the plural, or by its short name.
fn is_called(kind: &str, called: &str) -> bool {
    let (kind, called) = (kind.to_lowercase(), called.to_lowercase());
    let short = match kind.as_str() {
        "pod" => "po",
        "persistentvolumeclaim" => "pvc",
        "cronjob" => "cj",
        "deployment" => "deploy",
        "replicaset" => "rs",
        "statefulset" => "sts",
        "daemonset" => "ds",
        "sparkapplication" => "sparkapp",
        "scheduledsparkapplication" => "scheduledsparkapp",
        _ => "",
    };
    called == kind || called == format!("{kind}s") || called == short
}

/// An object with all that it made, the claims of its pods, and the applications that a schedule started last.
fn kin(world: &World, uid: &str) -> BTreeSet<String> {
    let mut all = Kin { uids: BTreeSet::from([uid.to_owned()]), ..Kin::default() }.all(world);
    let record = &world.records[uid];
    // Runs of a schedule that are kept are history, but for the last one.
    if record.name.kind == "ScheduledSparkApplication" {
        let last = record.object()["status"]["lastRunName"].as_str().unwrap_or_default();
        let runs = world.of_kind("SparkApplication").filter(|(uid, run)| all.contains(*uid) && run.name.name != last);
        let past: Vec<BTreeSet<String>> = runs.map(|(run, _)| kin(world, run)).collect();
        past.iter().flatten().for_each(|uid| {
            all.remove(uid);
        });
    }
    all
}

/// What the pods among these objects said, those that are well excepted.
async fn listen(cluster: &Cluster, world: &World, concerned: &BTreeSet<&String>) -> Texts {
    let pods = world.of_kind("Pod").filter(|(uid, _)| concerned.contains(*uid));
    let runs = pods.flat_map(|(uid, pod)| runs(pod).into_iter().map(move |(run, ended)| (uid, pod, run, ended)));
    let texts = join_all(runs.map(async |(uid, pod, (container, restarts), previous)| {
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &pod.name.namespace);
        let parameters =
            LogParams { container: Some(container.clone()), previous, tail_lines: Some(LINES), ..LogParams::default() };
        // A log that is gone says nothing.
        let said = pods.logs(&pod.name.name, &parameters).await.unwrap_or_default();
        let text = Text::of(pod, &container, &said);
        ((uid.clone(), container, restarts), text)
    }))
    .await;
    texts.into_iter().collect()
}

/// The runs of a pod's containers that may say why it is not well: container and restart, and whether it is the run before.
fn runs(pod: &Record) -> Vec<((String, i64), bool)> {
    let status = &pod.object()["status"];
    let driver = kin::role(pod.object()) == Role::Driver && status["phase"] == "Running";
    let containers = ["initContainerStatuses", "containerStatuses"].map(|field| status[field].as_array());
    let failed = |state: &Value| state["terminated"]["exitCode"].as_i64().is_some_and(|code| code != 0);
    let of = |container: &Value| {
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        let restarts = container["restartCount"].as_i64().unwrap_or(0);
        let before = container["state"]["waiting"].is_object() && failed(&container["lastState"]);
        (before || driver || failed(&container["state"])).then_some(((name, restarts), before))
    };
    containers.into_iter().flatten().flatten().filter_map(of).collect()
}
