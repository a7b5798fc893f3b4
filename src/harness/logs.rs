//! `logs`: what a part of a cluster says: the node process, a pod, or all pods of a job or an app.

use std::fs;

use futures::stream::SelectAll;
use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Role, Talk};
use crate::project::Project;
use crate::suggest;

/// The name of the node process's own log.
pub const NODE: &str = "node";

/// Labels whose value names what a pod belongs to.
const LABELS: [&str; 4] = ["app.kubernetes.io/name", "batch.kubernetes.io/job-name", "spark-app-name", "app"];

/// Which log, and how much of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `node`, or the name of a pod, a job or an app.
    pub what: String,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Go on as lines come.
    pub follow: bool,
    /// Only this many of the last lines of each container.
    pub tail: Option<i64>,
}

/// Tells the lines of a log as [`Event::Line`].
///
/// # Errors
/// When there is nothing of that name; with the near one, if there is one.
pub async fn logs(project: &Project, options: &Options, talk: &Talk) -> Result<(), Error> {
    if options.what == NODE {
        return node(project, options, talk);
    }
    let cluster = Cluster::running(project).await?;
    let pods: Api<Pod> = match &options.namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let all = pods.list(&ListParams::default()).await.map_err(Error::api("list pods"))?;
    let mut found: Vec<&Pod> = all.iter().filter(|pod| is_meant(pod, &options.what)).collect();
    found.sort_by_key(|pod| pod.creation_timestamp());
    if found.is_empty() {
        let mut known: Vec<String> = all.iter().flat_map(names).collect();
        known.push(NODE.to_owned());
        let near = suggest::nearest(&options.what, known.iter().map(String::as_str));
        return Err(Error::Usage {
            message: format!("there is no pod, job or app called {:?}", options.what),
            hint: near.map(|near| format!("did you mean {near:?}?")),
        });
    }
    let mut lines = SelectAll::new();
    for pod in found {
        for container in containers(pod) {
            let collection: Api<Pod> = Api::namespaced(cluster.client.clone(), &pod.namespace().unwrap_or_default());
            let parameters = LogParams {
                container: Some(container.clone()),
                follow: options.follow,
                tail_lines: options.tail,
                ..LogParams::default()
            };
            let name = pod.name_any();
            let role = crate::kin::role(&serde_json::to_value(pod).unwrap_or_default());
            match collection.log_stream(&name, &parameters).await {
                Ok(stream) => {
                    let stream = stream.lines().map(move |line| (name.clone(), container.clone(), role, line));
                    if options.follow {
                        lines.push(stream.boxed());
                    } else {
                        tell(stream, talk).await;
                    }
                }
                Err(error) => talk.tell(Event::Note(format!("{name}: {container}: {error}"))),
            }
        }
    }
    tell(lines, talk).await;
    Ok(())
}

async fn tell(lines: impl futures::Stream<Item = (String, String, Role, std::io::Result<String>)>, talk: &Talk) {
    let mut lines = std::pin::pin!(lines);
    while let Some((pod, container, role, line)) = lines.next().await {
        match line {
            Ok(text) => talk.tell(Event::Line { pod, container, role, text }),
            Err(error) => talk.tell(Event::Note(format!("{pod}: {container}: {error}"))),
        }
    }
}

fn names(pod: &Pod) -> Vec<String> {
    let labels = LABELS.iter().filter_map(|label| pod.labels().get(*label).cloned());
    labels.chain([pod.name_any()]).collect()
}

fn is_meant(pod: &Pod, what: &str) -> bool {
    names(pod).iter().any(|name| name == what)
}

/// The containers that have something to say, in the order in which they run.
fn containers(pod: &Pod) -> Vec<String> {
    let status = pod.status.as_ref();
    let all = [
        status.and_then(|status| status.init_container_statuses.as_ref()),
        status.and_then(|status| status.container_statuses.as_ref()),
    ];
    all.into_iter()
        .flatten()
        .flatten()
        .filter(|container| {
            let state = container.state.as_ref();
            container.restart_count > 0
                || state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        })
        .map(|container| container.name.clone())
        .collect()
}

fn node(project: &Project, options: &Options, talk: &Talk) -> Result<(), Error> {
    let place = project.embedded("logs")?;
    let path = place.folder().log();
    if !path.exists() {
        return Err(Error::NotUp { name: project.cluster.clone() });
    }
    let text = fs::read(&path).map_err(Error::file("read", &path))?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let wanted = options.tail.and_then(|count| usize::try_from(count).ok()).unwrap_or(lines.len());
    for line in &lines[lines.len().saturating_sub(wanted)..] {
        talk.tell(Event::Line {
            pod: NODE.to_owned(),
            container: String::new(),
            role: Role::Plain,
            text: (*line).to_owned(),
        });
    }
    if options.follow {
        return Err(Error::Usage {
            message: "the node's own log cannot be followed".to_owned(),
            hint: Some(format!("tail -f {}", path.display())),
        });
    }
    Ok(())
}
