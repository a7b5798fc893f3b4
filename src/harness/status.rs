//! `status`: what there is of a cluster, and its health. It only looks.

use std::path::PathBuf;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, ObjectList};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tinderbox_api::spark::SparkApplication;
use tinderbox_providers::embedded::process;
use tinderbox_providers::{Folder, Found, Provider as _, ProviderName};

use crate::beside;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::explain;
use crate::gitops::{self, AppLine};
use crate::kin;
use crate::observe::Record;
use crate::project::Project;

/// The state of one cluster.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Its name.
    pub cluster: String,
    /// The place that it is in.
    pub provider: ProviderName,
    /// `nothing`, `stopped`, `starting` or `running`.
    pub state: &'static str,
    /// Its folder.
    pub folder: PathBuf,
    /// URL of the API.
    pub server: Option<String>,
    /// URL under which Ingresses are reached.
    pub ingress: Option<String>,
    /// The link that opens the console.
    pub console: Option<String>,
    /// Version of the API.
    pub version: Option<String>,
    /// The node process.
    pub pid: Option<i32>,
    /// The process that runs the platform beside the cluster.
    pub platform_pid: Option<i32>,
    /// Resident memory of the node process in bytes.
    pub resident: Option<u64>,
    /// The nodes.
    pub nodes: Vec<Line>,
    /// What is synced from the tree.
    pub synced: Vec<AppLine>,
    /// SparkApplications, in all namespaces.
    pub applications: Vec<Line>,
    /// Jobs, in all namespaces.
    pub jobs: Vec<Line>,
    /// Pods, in all namespaces.
    pub pods: Vec<Line>,
    /// Other clusters of this project.
    pub others: Vec<String>,
}

/// One object and how it is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its state in one word.
    pub state: String,
    /// What is not as it should be.
    pub problems: Vec<String>,
}

/// Looks at the cluster.
///
/// # Errors
/// When its state cannot be read, or it does not answer.
pub async fn status(project: &Project) -> Result<StatusReport, Error> {
    let place = project.provider("status")?;
    let others = Folder::names(project.home())?.into_iter().filter(|name| *name != project.cluster).collect();
    let mut report = StatusReport {
        cluster: project.cluster.clone(),
        provider: place.name(),
        state: "nothing",
        folder: place.folder().path().to_owned(),
        server: None,
        ingress: None,
        console: None,
        version: None,
        pid: None,
        platform_pid: None,
        resident: None,
        nodes: Vec::new(),
        synced: Vec::new(),
        applications: Vec::new(),
        jobs: Vec::new(),
        pods: Vec::new(),
        others,
    };
    let found = place.find().await?;
    report.state = found.as_str();
    let Found::Running(endpoint) = found else {
        return Ok(report);
    };
    report.pid = endpoint.pid;
    report.platform_pid = beside::of(&place).and_then(|platform| platform.find()).map(|process| process.pid);
    report.resident = endpoint.pid.and_then(process::resident);
    report.server = Some(endpoint.server);
    report.ingress = endpoint.ingress;
    report.console = endpoint.console;
    let cluster = Cluster::connect(&project.cluster, &endpoint.kubeconfig).await?;
    let version = cluster.client.apiserver_version().await.map_err(Error::api("ask for the version"))?;
    report.version = Some(version.git_version);
    let namespace = place.scope()?.namespace;
    // Nodes are nobody's who has rights in one namespace alone.
    if namespace.is_none() {
        let nodes: ObjectList<Node> =
            Api::all(cluster.client.clone()).list(&ListParams::default()).await.map_err(Error::api("list nodes"))?;
        report.nodes = nodes.iter().map(|node| line("Node", node)).collect();
        report.synced = gitops::all(&cluster).await?.iter().map(gitops::line).collect();
    }
    let namespace = namespace.as_deref();
    report.applications = applications(&cluster, namespace).await?;
    report.jobs = lines::<Job>(&cluster, namespace, "Job").await?;
    report.pods = lines::<Pod>(&cluster, namespace, "Pod").await?;
    Ok(report)
}

/// SparkApplications; none where their kind is not defined.
async fn applications(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Line>, Error> {
    let applications: Api<SparkApplication> = api(cluster, namespace);
    match applications.list(&ListParams::default()).await {
        Ok(found) => Ok(found.iter().map(|object| line("SparkApplication", object)).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(Error::api("list SparkApplications")(error)),
    }
}

async fn lines<K>(cluster: &Cluster, namespace: Option<&str>, kind: &str) -> Result<Vec<Line>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let objects: ObjectList<K> = api(cluster, namespace)
        .list(&ListParams::default())
        .await
        .map_err(Error::api(format!("list {}s", kind.to_lowercase())))?;
    Ok(objects.iter().map(|object| line(kind, object)).collect())
}

/// The objects of a kind, in the namespace that there are rights in.
fn api<K>(cluster: &Cluster, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    }
}

fn line<K: Resource + Serialize>(kind: &str, object: &K) -> Line {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["kind"] = Value::from(kind);
    let state = match kind {
        "Node" => {
            let conditions = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready =
                conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            if ready { "Ready" } else { "NotReady" }.to_owned()
        }
        _ => kin::phase(&value).unwrap_or_else(|| "Unknown".to_owned()),
    };
    let record = Record::of(kind, value);
    let finished = matches!(state.as_str(), "Succeeded" | "Complete" | "COMPLETED");
    Line {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        problems: match (kind, finished) {
            // Pressure and readiness of nodes are told by other conditions than those of pods.
            ("Node", _) | (_, true) => Vec::new(),
            _ => explain::conditions(&record),
        },
        state,
    }
}
