//! The volume claims of a pod: it goes nowhere before they are bound, and a claim that waits for its first consumer is told
//! where that will be. Pure.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;

use crate::meta::is_deleting;

/// Tells a provisioner on which node the first consumer will be.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// What the claims of a pod mean for it.
#[derive(Debug, PartialEq)]
pub(super) enum Claims {
    /// All are bound, or there are none.
    Bound,
    /// These wait to be told the node.
    Waiting(Vec<PersistentVolumeClaim>),
    /// The pod cannot go anywhere.
    Missing(String),
}

/// The claim names of a pod; ephemeral volumes have claims named after pod and volume.
pub(crate) fn names(pod: &Pod) -> Vec<String> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    let name = |volume: &k8s_openapi::api::core::v1::Volume| match (&volume.persistent_volume_claim, &volume.ephemeral)
    {
        (Some(claim), _) => Some(claim.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod.name_any(), volume.name)),
        (None, None) => None,
    };
    volumes.iter().filter_map(name).collect()
}

/// Looks at the claims of a pod.
pub(super) fn look<C, S>(pod: &Pod, claim: C, class: S) -> Claims
where
    C: Fn(&str) -> Option<PersistentVolumeClaim>,
    S: Fn(&str) -> Option<StorageClass>,
{
    let mut waiting = Vec::new();
    let mut immediate = false;
    for name in names(pod) {
        let Some(found) = claim(&name) else {
            return Claims::Missing(format!("persistentvolumeclaim \"{name}\" not found"));
        };
        if is_deleting(&found) {
            return Claims::Missing(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        let phase = found.status.as_ref().and_then(|status| status.phase.as_deref());
        if phase == Some("Lost") {
            return Claims::Missing(format!("persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume"));
        }
        if phase == Some("Bound") {
            continue;
        }
        let class_name = found.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
        let mode = class_name.and_then(|name| class(&name)).and_then(|class| class.volume_binding_mode);
        if mode.as_deref() == Some("WaitForFirstConsumer") {
            waiting.push(found);
        } else {
            immediate = true;
        }
    }
    match (immediate, waiting.is_empty()) {
        (true, _) => Claims::Missing("pod has unbound immediate PersistentVolumeClaims".to_owned()),
        (false, true) => Claims::Bound,
        (false, false) => Claims::Waiting(waiting),
    }
}
