//! `workflow`: what there is of workflows in a cluster, one of them as a tree, and what is done to one. What becomes of it then is
//! the controller's affair.

mod lint;
mod logs;
mod retry;
mod test;
mod tree;

use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde_json::{Value, json};
use tinderbox_api::workflows::{Workflow, WorkflowTemplate, labels};
use tinderbox_providers::OWNER;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::project::Project;
use crate::suggest;
use crate::template;

pub use lint::{LintReport, Linted, lint};
pub use logs::{LogOptions, logs};
pub use retry::retry;
pub use test::{Played, TestReport, Tested, test};
pub use tinderbox_api::workflows::Shutdown;
pub use tinderbox_platform::workflows::retry::Wish;
pub use tinderbox_platform::workflows::runner::Complaint;
pub use tree::{NodeLine, WorkflowReport};

/// One workflow of a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowLine {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its phase; empty before anybody has looked at it.
    pub phase: String,
    /// What has been done of what is known, as in `1/3`.
    pub progress: String,
    /// How long it has taken, in seconds.
    pub seconds: Option<i64>,
    /// What is to be said of it.
    pub message: String,
}

/// All workflows of a cluster, or of a namespace.
///
/// # Errors
/// When the cluster is not up, or its API refuses.
pub async fn list(project: &Project, namespace: Option<&str>) -> Result<Vec<WorkflowLine>, Error> {
    let cluster = Cluster::running(project).await?;
    let mut lines: Vec<WorkflowLine> = all::<Workflow>(&cluster, namespace).await?.iter().map(tree::line).collect();
    lines.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(lines)
}

/// One workflow with its nodes.
///
/// # Errors
/// When there is none of this name, or several; with the near name, if there is one.
pub async fn get(project: &Project, name: &str, namespace: Option<&str>) -> Result<WorkflowReport, Error> {
    let cluster = Cluster::running(project).await?;
    Ok(tree::report(&find(&cluster, name, namespace).await?))
}

/// Makes a workflow of a WorkflowTemplate, with these parameters.
///
/// # Errors
/// When there is no such template, it has no such parameter, or the API rejects the workflow.
pub async fn submit(
    project: &Project,
    template: &str,
    parameters: &[(String, String)],
    namespace: Option<&str>,
) -> Result<WorkflowReport, Error> {
    let cluster = Cluster::running(project).await?;
    let found: WorkflowTemplate = find(&cluster, template, namespace).await?;
    let spec = template::spec(&found, parameters)?;
    let mut marks = json!({labels::WORKFLOW_TEMPLATE: template});
    if let Some(owner) = &cluster.owner {
        marks[OWNER] = json!(owner);
    }
    let wanted: Workflow = serde_json::from_value(json!({
        "metadata": {"generateName": format!("{template}-"), "labels": marks},
        "spec": spec,
    }))
    .map_err(|error| Error::Internal(format!("the workflow has a wrong form: {error}")))?;
    let api: Api<Workflow> = Api::namespaced(cluster.client.clone(), &found.namespace().unwrap_or_default());
    let made = api.create(&PostParams::default(), &wanted).await;
    Ok(tree::report(&made.map_err(Error::api(format!("make a workflow of {template}")))?))
}

/// Asks for the end of a workflow.
///
/// # Errors
/// When there is none of this name, it is over, or the API refuses.
pub async fn stop(
    project: &Project,
    name: &str,
    namespace: Option<&str>,
    how: Shutdown,
) -> Result<WorkflowReport, Error> {
    let cluster = Cluster::running(project).await?;
    let found: Workflow = find(&cluster, name, namespace).await?;
    change(&cluster, &found, found.shutdown(how), "stop").await
}

/// Lets a suspended workflow go on.
///
/// # Errors
/// When there is none of this name, it is not suspended, or the API refuses.
pub async fn resume(project: &Project, name: &str, namespace: Option<&str>) -> Result<WorkflowReport, Error> {
    let cluster = Cluster::running(project).await?;
    let found: Workflow = find(&cluster, name, namespace).await?;
    change(&cluster, &found, found.resumed(jiff::Timestamp::now()), "resume").await
}

async fn change(
    cluster: &Cluster,
    found: &Workflow,
    patch: Result<Value, String>,
    act: &str,
) -> Result<WorkflowReport, Error> {
    let patch = patch.map_err(|message| Error::Usage { message, hint: None })?;
    let api: Api<Workflow> = Api::namespaced(cluster.client.clone(), &found.namespace().unwrap_or_default());
    let name = found.name_any();
    let changed = api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    Ok(tree::report(&changed.map_err(Error::api(format!("{act} the workflow {name}")))?))
}

async fn all<K>(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<K>, Error>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let listed = api.list(&ListParams::default()).await;
    Ok(listed.map_err(Error::api(format!("list {}", K::plural(&()))))?.items)
}

/// The one object of a name.
async fn find<K>(cluster: &Cluster, name: &str, namespace: Option<&str>) -> Result<K, Error>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let all: Vec<K> = all(cluster, namespace).await?;
    let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
    let mut found = all.into_iter().filter(|one| one.name_any() == name);
    let kind = K::kind(&());
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Error::Usage {
            message: format!("there is a {kind} called {name:?} in several namespaces"),
            hint: Some("add `--namespace NAMESPACE`".to_owned()),
        }),
        (None, _) => Err(Error::Usage {
            message: format!("there is no {kind} called {name:?}"),
            hint: suggest::question(name, names.iter().map(String::as_str)),
        }),
    }
}
