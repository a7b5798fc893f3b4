//! Replacing the pods of an old template: so many nodes at a time. Pure.
//! Upstream rule: `pkg/controller/daemon/update.go`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::manage::{Acts, OnNodes};
use super::plan::View;
use super::pod::is_updated;
use crate::meta::is_deleting;

/// What stands on a node.
enum Stand<'a> {
    /// More than one of a kind: that is tidied up first.
    Muddle,
    Pods {
        new: Option<&'a Arc<Pod>>,
        old: Option<&'a Arc<Pod>>,
    },
}

fn stand<'a>(pods: &'a [Arc<Pod>], hash: &str) -> Stand<'a> {
    let present = pods.iter().filter(|pod| !is_deleting(&***pod));
    let (new, old): (Vec<_>, Vec<_>) = present.partition(|pod| is_updated(pod, hash));
    if new.len() > 1 || old.len() > 1 {
        return Stand::Muddle;
    }
    Stand::Pods { new: new.first().copied(), old: old.first().copied() }
}

/// The next pods to replace, given all nodes that should have a pod or have one.
pub(super) fn roll(view: &View<'_>, pods: &OnNodes) -> Acts {
    if view.surge == 0 { delete_first(view, pods) } else { create_first(view, pods) }
}

/// Old pods go; their successors come once they are gone.
fn delete_first(view: &View<'_>, pods: &OnNodes) -> Acts {
    let mut acts = Acts::default();
    let mut unavailable = 0;
    let mut candidates = Vec::new();
    for pods in pods.values() {
        match stand(pods, &view.hash) {
            Stand::Pods { new: Some(new), old: None } if view.is_available(new) => (),
            Stand::Pods { new: None, old: Some(old) } if view.is_available(old) => candidates.push(old.clone()),
            Stand::Pods { new: None, old: Some(old) } => {
                acts.delete.push(old.clone());
                unavailable += 1;
            }
            _ => unavailable += 1,
        }
    }
    acts.delete.extend(candidates.into_iter().take(view.unavailable.saturating_sub(unavailable)));
    acts
}

/// Successors come; old pods go once those are available.
fn create_first(view: &View<'_>, pods: &OnNodes) -> Acts {
    let mut acts = Acts::default();
    let mut surging = 0;
    let mut candidates = Vec::new();
    for (node, pods) in pods {
        match stand(pods, &view.hash) {
            Stand::Muddle => surging += 1,
            Stand::Pods { old: None, .. } => (),
            Stand::Pods { new: None, old: Some(old) } if view.is_available(old) => candidates.push(node.clone()),
            Stand::Pods { new: None, old: Some(_) } => acts.create.push(node.clone()),
            Stand::Pods { new: Some(new), old: Some(old) } if view.is_available(new) => acts.delete.push(old.clone()),
            Stand::Pods { .. } => surging += 1,
        }
    }
    acts.create.extend(candidates.into_iter().take(view.surge.saturating_sub(surging)));
    acts
}
