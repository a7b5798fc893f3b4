//! `logs`: what a part of a cluster says: the node process, a pod, or all pods of a job or an app.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll};
use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt};
use tinderbox_providers::{AnyProvider, Found, Provider as _};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::beside;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Role, Talk};
use crate::project::Project;
use crate::suggest;

/// The name of the node process's own log.
pub const NODE: &str = "node";

/// How often the node's own log is looked at while it is followed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Labels whose value names what a pod belongs to.
const LABELS: [&str; 5] = [
    "app.kubernetes.io/name",
    "batch.kubernetes.io/job-name",
    "sparkoperator.k8s.io/app-name",
    "spark-app-name",
    "app",
];

/// Which log, and how much of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `node`, `platform`, or the name of a pod, a job or an app.
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
        return own(project, options, |place| place.logs().into_iter().next(), talk).await;
    }
    if options.what == beside::PART {
        return own(project, options, |place| Some(beside::of(place)?.log()), talk).await;
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
        return Err(Error::Usage {
            message: format!("there is no pod, job or app called {:?}", options.what),
            hint: suggest::question(&options.what, known.iter().map(String::as_str)),
        });
    }
    let mut lines = SelectAll::new();
    for pod in found {
        for container in containers(pod) {
            let opened = open(&cluster.client, pod, &container, options.follow, options.tail, talk).await;
            match opened {
                Some(stream) if options.follow => lines.push(stream),
                Some(stream) => tell(stream, talk).await,
                None => {}
            }
        }
    }
    tell(lines, talk).await;
    Ok(())
}

/// A line of a container's log, or why it cannot be read.
pub(crate) struct Said {
    pod: String,
    container: String,
    role: Role,
    line: io::Result<String>,
}

/// The lines of a container's log; none, and a note of why, when it cannot be read.
pub(crate) async fn open(
    client: &Client,
    pod: &Pod,
    container: &str,
    follow: bool,
    tail: Option<i64>,
    talk: &Talk,
) -> Option<BoxStream<'static, Said>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let (name, container) = (pod.name_any(), container.to_owned());
    let parameters = LogParams { container: Some(container.clone()), follow, tail_lines: tail, ..LogParams::default() };
    let role = crate::kin::role(&serde_json::to_value(pod).unwrap_or_default());
    match pods.log_stream(&name, &parameters).await {
        Ok(stream) => {
            let said = move |line| Said { pod: name.clone(), container: container.clone(), role, line };
            Some(stream.lines().map(said).boxed())
        }
        Err(error) => {
            talk.tell(Event::Note(format!("{name}: {container}: {error}")));
            None
        }
    }
}

/// Tells every line.
pub(crate) async fn tell(lines: impl futures::Stream<Item = Said>, talk: &Talk) {
    let mut lines = std::pin::pin!(lines);
    while let Some(said) = lines.next().await {
        said.tell(talk);
    }
}

impl Said {
    pub(crate) fn tell(self, talk: &Talk) {
        let Self { pod, container, role, line } = self;
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
pub(crate) fn containers(pod: &Pod) -> Vec<String> {
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

/// The log of a process of the cluster's own, which is there as long as the cluster is.
async fn own(
    project: &Project,
    options: &Options,
    log: impl Fn(&AnyProvider) -> Option<PathBuf>,
    talk: &Talk,
) -> Result<(), Error> {
    let place = project.provider("logs")?;
    let Some(path) = log(&place) else {
        return Err(Error::Usage {
            message: format!("there is no such log in the place {}", place.name()),
            hint: Some(
                "where the platform is part of the node process, its words are in the log of the `node`".to_owned(),
            ),
        });
    };
    let mut file = match File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NotUp { name: project.cluster.clone() });
        }
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    let mut text = Vec::new();
    let mut tail = options.tail.and_then(|count| usize::try_from(count).ok());
    loop {
        // Asked before the log is read, so that the node's last words are not missed.
        let last = !options.follow || !matches!(place.find().await, Ok(Found::Running(_) | Found::Starting));
        file.read_to_end(&mut text).await.map_err(Error::file("read", &path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = text.drain(..if last { text.len() } else { whole }).collect();
        let lines = String::from_utf8_lossy(&lines);
        let lines: Vec<&str> = lines.lines().collect();
        let skipped = tail.take().map_or(0, |tail| lines.len().saturating_sub(tail));
        for line in &lines[skipped..] {
            let (pod, text) = (options.what.clone(), (*line).to_owned());
            talk.tell(Event::Line { pod, container: String::new(), role: Role::Plain, text });
        }
        if last {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
