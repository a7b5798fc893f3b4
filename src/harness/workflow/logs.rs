//! `workflow logs`: what the pods of a workflow say, in the order in which they began.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::SelectAll;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde::Deserialize;
use tinderbox_api::workflows::{GROUP, NodePhase, NodeStatus, VERSION, Workflow};
use tinderbox_client::cache::controller_uid;
use tinderbox_platform::workflows::names::pod_of;

use super::find;
use super::tree::in_order;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Talk};
use crate::logs::{containers, open, tell};
use crate::observe::{Observer, World};
use crate::project::Project;
use crate::suggest;

/// Which logs, and how much of them.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Name of the workflow.
    pub workflow: String,
    /// A node, by its name, its display name, its id or its pod: it, and what is within it.
    pub node: Option<String>,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Go on as lines come and pods begin, until the workflow is over.
    pub follow: bool,
    /// Only this many of the last lines of each container.
    pub tail: Option<i64>,
}

/// Tells the lines of a workflow's pods as [`Event::Line`], and which pods are gone.
///
/// # Errors
/// When there is no such workflow or node, or the API refuses.
pub async fn logs(project: &Project, options: &LogOptions, talk: &Talk) -> Result<(), Error> {
    let cluster = Cluster::running(project).await?;
    let found: Workflow = find(&cluster, &options.workflow, options.namespace.as_deref()).await?;
    if let Some(wanted) = &options.node
        && !in_order(&found).iter().any(|node| is_meant(&found, node, wanted))
    {
        let known = in_order(&found);
        return Err(Error::Usage {
            message: format!("the workflow {} has no node called {wanted:?}", options.workflow),
            hint: suggest::question(wanted, known.iter().map(|node| node.display_name.as_str())),
        });
    }
    let namespace = found.namespace().unwrap_or_default();
    let watched = vec![
        (cluster.resource("v1", "Pod").await?, namespace.clone()),
        (cluster.resource(&format!("{GROUP}/{VERSION}"), "Workflow").await?, namespace),
    ];
    let observer = Observer::start(&cluster, watched).await?;
    let mut view = observer.view();
    let mut told = BTreeSet::new();
    let mut lines = SelectAll::new();
    loop {
        let seen = view.look(|world| Seen::of(world, &found, options.node.as_deref()));
        for pod in &seen.pods {
            for container in containers(pod) {
                if !told.insert((pod.uid(), container.clone())) {
                    continue;
                }
                let goes_on = options.follow && !has_ended(pod, &container);
                match open(&cluster.client, pod, &container, goes_on, options.tail, talk).await {
                    Some(stream) if goes_on => lines.push(stream),
                    Some(stream) => tell(stream, talk).await,
                    None => (),
                }
            }
        }
        if !options.follow || (seen.over && lines.is_empty()) {
            for pod in seen.gone {
                talk.tell(Event::Note(format!("{pod}: the pod is gone, and its log with it")));
            }
            return Ok(());
        }
        loop {
            tokio::select! {
                said = lines.next(), if !lines.is_empty() => match said {
                    Some(said) => said.tell(talk),
                    None => break,
                },
                goes_on = view.change() => {
                    if !goes_on {
                        return Err(Error::Internal("the watch of the workflow ended".to_owned()));
                    }
                    break;
                }
            }
        }
    }
}

/// What there is of a workflow at a moment.
struct Seen {
    /// It is over, or gone.
    over: bool,
    /// Its pods, in the order in which their nodes began.
    pods: Vec<Pod>,
    /// Names of pods that were there and are not.
    gone: Vec<String>,
}

impl Seen {
    fn of(world: &World, found: &Workflow, wanted: Option<&str>) -> Self {
        let uid = found.uid().unwrap_or_default();
        let record = world.records.get(&uid);
        let newest = record.and_then(|record| Workflow::deserialize(record.object()).ok());
        let workflow = newest.as_ref().unwrap_or(found);
        let completed = workflow.status.as_ref().is_some_and(|status| status.phase.is_completed());
        let over = completed || record.is_none_or(|record| record.gone.is_some());
        let (mut pods, mut gone) = (Vec::new(), Vec::new());
        for node in in_order(workflow) {
            if wanted.is_some_and(|wanted| !is_meant(workflow, node, wanted)) {
                continue;
            }
            let Some(name) = pod_of(workflow, node) else { continue };
            let mut records = world.of_kind("Pod").map(|(_, record)| record);
            let own = records.find(|record| record.name.name == name && record.gone.is_none());
            let pod = own.and_then(|record| Pod::deserialize(record.object()).ok());
            match pod.filter(|pod| controller_uid(pod) == Some(uid.as_str())) {
                Some(pod) => pods.push(pod),
                None if node.phase != NodePhase::Pending && !is_object(workflow, node) => gone.push(name),
                None => (),
            }
        }
        Self { over, pods, gone }
    }
}

/// Whether a node, or one around it, is the one that is wanted.
fn is_meant(workflow: &Workflow, node: &NodeStatus, wanted: &str) -> bool {
    let is_it = |node: &NodeStatus| [&node.name, &node.display_name, &node.id].contains(&&wanted.to_owned());
    let within = |around: &NodeStatus| {
        let rest = node.name.strip_prefix(&around.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '(', '[']))
    };
    let pod = pod_of(workflow, node);
    let mut all = workflow.status.iter().flat_map(|status| status.nodes.values());
    pod.as_deref() == Some(wanted) || all.any(|around| is_it(around) && within(around))
}

/// Whether a node made an object of the API, which has no log.
fn is_object(workflow: &Workflow, node: &NodeStatus) -> bool {
    let name = node.template_ref.as_ref().map(|of| &of.template).or(node.template_name.as_ref());
    let status = workflow.status.iter();
    let stored = status.clone().flat_map(|status| status.stored_templates.values());
    let whole = status.filter_map(|status| status.stored_workflow_template_spec.as_ref());
    let all = workflow.spec.templates.iter().chain(stored).chain(whole.flat_map(|spec| &spec.templates));
    all.filter(|template| Some(&template.name) == name).any(|template| template.resource.is_some())
}

/// Whether a container of a pod has ended.
fn has_ended(pod: &Pod, container: &str) -> bool {
    let statuses = pod.status.iter().flat_map(|status| [&status.init_container_statuses, &status.container_statuses]);
    let of = statuses.flatten().flatten().find(|status| status.name == container);
    of.is_some_and(|status| status.state.as_ref().is_some_and(|state| state.terminated.is_some()))
}
