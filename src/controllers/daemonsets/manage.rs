//! The pods of a DaemonSet node by node: which are missing, which are too many, which have ended. Pure.
//! Upstream rule: `podsShouldBeOnNode` in `pkg/controller/daemon/daemon_controller.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use tinderbox_client::Note;

use super::plan::View;
use super::pod;
use crate::meta::is_deleting;
use crate::pods::{created, is_ready, phase};

/// The pods of a set by the node that they are on or for, those first that count for the status.
pub(super) type OnNodes = BTreeMap<String, Vec<Arc<Pod>>>;

/// Sorts pods by their nodes.
pub(super) fn by_node(pods: &[Arc<Pod>]) -> OnNodes {
    let mut nodes = OnNodes::new();
    for one in pods {
        if let Some(node) = pod::target(one) {
            nodes.entry(node.to_owned()).or_default().push(one.clone());
        }
    }
    for pods in nodes.values_mut() {
        pods.sort_by_key(|pod| {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
            (node.is_none(), created(&**pod), pod.name_any())
        });
    }
    nodes
}

/// What is to be done on the nodes.
#[derive(Default)]
pub(super) struct Acts {
    /// Nodes that want a pod.
    pub(super) create: Vec<String>,
    pub(super) delete: Vec<Arc<Pod>>,
    pub(super) notes: Vec<Note>,
    /// Nodes whose failed pod is deleted now.
    pub(super) failed: Vec<String>,
}

/// Looks at every node.
pub(super) fn manage(view: &View<'_>, pods: &OnNodes) -> Acts {
    let mut acts = Acts::default();
    for node in view.nodes {
        on_node(view, node, pods.get(&node.name_any()), &mut acts);
    }
    // Pods that wait for a node which is gone.
    let known = |name: &str| view.nodes.iter().any(|node| node.name_any() == name);
    let waiting = |pod: &&Arc<Pod>| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none());
    let homeless = pods.iter().filter(|(node, _)| !known(node)).flat_map(|(_, pods)| pods);
    acts.delete.extend(homeless.filter(waiting).filter(|pod| !is_deleting(&***pod)).cloned());
    acts
}

fn on_node(view: &View<'_>, node: &Node, pods: Option<&Vec<Arc<Pod>>>, acts: &mut Acts) {
    let (wanted, may_stay) = pod::fits(&view.template, node);
    let Some(pods) = pods else {
        if wanted {
            acts.create.push(node.name_any());
        }
        return;
    };
    let present = pods.iter().filter(|pod| !is_deleting(&***pod));
    if !may_stay {
        acts.delete.extend(present.cloned());
        return;
    }
    let mut running: Vec<&Arc<Pod>> = Vec::new();
    for pod in present {
        match phase(pod) {
            "Failed" => fail(view, node, pod, acts),
            "Succeeded" => {
                acts.notes.push(note(view, node, pod, "succeeded", "delete"));
                acts.delete.push(pod.clone());
            }
            _ => running.push(pod),
        }
    }
    if view.surge == 0 {
        acts.delete.extend(running.into_iter().skip(1).cloned());
    } else {
        surged(view, &running, acts);
    }
}

/// A failed pod is replaced, each time after a longer pause.
fn fail(view: &View<'_>, node: &Node, pod: &Arc<Pod>, acts: &mut Acts) {
    if view.held.contains_key(&node.name_any()) {
        return;
    }
    acts.notes.push(note(view, node, pod, "failed", "kill"));
    acts.failed.push(node.name_any());
    acts.delete.push(pod.clone());
}

fn note(view: &View<'_>, node: &Node, pod: &Pod, what: &str, act: &str) -> Note {
    let place = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
    let text = format!("Found {what} daemon pod {place} on node {}, will try to {act} it", node.name_any());
    match what {
        "failed" => Note::warning(view.set, "FailedDaemonPod", text),
        _ => Note::normal(view.set, "SucceededDaemonPod", text),
    }
}

/// With a surge an old pod stays beside its successor until that is available, as long as it is ready itself.
fn surged(view: &View<'_>, running: &[&Arc<Pod>], acts: &mut Acts) {
    if running.len() <= 1 {
        return;
    }
    let (new, old): (Vec<&Arc<Pod>>, Vec<&Arc<Pod>>) = running.iter().partition(|pod| pod::is_updated(pod, &view.hash));
    let extra = new.iter().skip(1).chain(old.iter().skip(1));
    acts.delete.extend(extra.map(|pod| (*pod).clone()));
    if let (Some(new), Some(old)) = (new.first(), old.first())
        && (!is_ready(old) || view.is_available(new))
    {
        acts.delete.push((*old).clone());
    }
}
