//! `workflow retry`: the pods of what is run again go, and then the workflow goes on.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::runtime::watcher;
use tinderbox_api::workflows::{Workflow, labels};
use tinderbox_client::cache::controller_uid;
use tinderbox_client::wait;
use tinderbox_platform::workflows::retry::{self, Wish};

use super::{WorkflowReport, change, find};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::project::Project;

/// How long pods may take to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs again what failed of a workflow that is over.
///
/// # Errors
/// When there is none of this name, it cannot be run again, or the API refuses.
pub async fn retry(
    project: &Project,
    name: &str,
    namespace: Option<&str>,
    wish: &Wish,
) -> Result<WorkflowReport, Error> {
    let cluster = Cluster::running(project).await?;
    let found: Workflow = find(&cluster, name, namespace).await?;
    let planned = retry::retry(&found, wish, Timestamp::now());
    let planned = planned.map_err(|message| Error::Usage { message, hint: None })?;
    remove(&cluster, &found, &planned.pods).await?;
    change(&cluster, &found, Ok(planned.patch), "retry").await
}

/// Deletes pods of a workflow, and waits until they are gone.
async fn remove(cluster: &Cluster, workflow: &Workflow, names: &[String]) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &workflow.namespace().unwrap_or_default());
    let uid = workflow.uid().unwrap_or_default();
    let selector = format!("{}={}", labels::WORKFLOW, workflow.name_any());
    let meant = |pod: &Pod| names.contains(&pod.name_any()) && controller_uid(pod) == Some(uid.as_str());
    let listed = pods.list(&ListParams::default().labels(&selector)).await.map_err(Error::api("list pods"))?;
    for pod in listed.iter().filter(|pod| meant(pod)) {
        let preconditions = Some(Preconditions { uid: pod.uid(), resource_version: None });
        match pods.delete(&pod.name_any(), &DeleteParams { preconditions, ..DeleteParams::default() }).await {
            Ok(_) => (),
            Err(kube::Error::Api(status)) if status.code == 404 => (),
            Err(error) => return Err(Error::api(format!("delete the pod {}", pod.name_any()))(error)),
        }
    }
    let selection = watcher::Config::default().labels(&selector);
    let gone = wait::until(pods, selection, "the pods of what is run again to be gone", PATIENCE, |known| {
        if known.values().any(meant) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    Ok(gone.await?)
}
