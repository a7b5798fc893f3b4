//! The pull secrets of a pod, as credentials.
//! Upstream rule: k8s.io/kubernetes `pkg/kubelet/kubelet_pods.go`, `getPullSecretsForPod`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::context::Context;
use crate::events::Level;
use crate::image::Keyring;
use crate::objects::{Key, Kind, Seen, Watched};

/// Longest wait for the API to say what a secret holds.
const KNOWN: Duration = Duration::from_secs(2);

/// The secrets that a pod names for pulling.
pub(super) fn references(pod: &Pod) -> impl Iterator<Item = Key> + '_ {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let named = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    named.filter(|secret| !secret.name.is_empty()).map(move |secret| Key::new(Kind::Secret, namespace, &secret.name))
}

impl Worker {
    /// The pull secrets, watched, in the pod's order.
    pub(super) fn pull_secrets(&self) -> Vec<(String, Arc<Watched>)> {
        let watched = |key: Key| Some((key.name.clone(), self.watched.get(&key)?.clone()));
        references(&self.pod).filter_map(watched).collect()
    }
}

/// What the secrets prove; says so if one of them is not there.
pub(super) async fn keyring(context: &Context, pod: &Pod, secrets: &[(String, Arc<Watched>)]) -> Keyring {
    let known = futures::future::join_all(secrets.iter().map(|(_, watched)| watched.known()));
    // What is not known in time counts as missing.
    let _ = tokio::time::timeout(KNOWN, known).await;
    let mut keyring = Keyring::default();
    let mut missing = Vec::new();
    for (name, watched) in secrets {
        match watched.now() {
            Seen::Found(content) => {
                if !keyring.add_secret(&content.data) {
                    tracing::warn!(secret = name, "a pull secret holds no credentials of docker's form");
                }
            }
            Seen::Missing | Seen::Unknown => missing.push(name.as_str()),
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        context.events.pod(pod, Level::Warning, "FailedToRetrieveImagePullSecret", message);
    }
    keyring
}
