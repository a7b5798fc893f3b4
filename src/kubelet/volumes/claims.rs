//! From a claim to the folder of its volume: the claim must be bound, and its volume a local one.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Api;

use super::{Setting, host_path};

/// The folder of the volume that a claim is bound to; the error says what is still lacking.
pub(super) async fn folder(setting: &Setting<'_>, claim: &str) -> Result<PathBuf, String> {
    let namespace = setting.facts.pod.metadata.namespace.as_deref().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(setting.client.clone(), namespace);
    let found = claims
        .get_opt(claim)
        .await
        .map_err(|error| format!("error processing PVC {namespace}/{claim}: {error}"))?
        .ok_or_else(|| format!("persistentvolumeclaim \"{claim}\" not found"))?;
    let bound = found.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound");
    let name = found.spec.and_then(|s| s.volume_name).filter(|name| bound && !name.is_empty());
    let name = name.ok_or_else(|| format!("error processing PVC {namespace}/{claim}: PVC is not bound"))?;
    let volumes: Api<PersistentVolume> = Api::all(setting.client.clone());
    let volume = volumes
        .get_opt(&name)
        .await
        .map_err(|error| format!("cannot read the volume {name}: {error}"))?
        .ok_or_else(|| format!("persistentvolume \"{name}\" not found"))?;
    let spec = volume.spec.unwrap_or_default();
    match (spec.host_path, spec.local) {
        (Some(path), _) => {
            if !std::path::Path::new(&path.path).starts_with(setting.persistent) {
                host_path::check(&path)?;
            }
            Ok(path.path.into())
        }
        (None, Some(local)) => Ok(local.path.into()),
        (None, None) => Err(format!("the volume {name} is neither hostPath nor local: this node cannot mount it")),
    }
}
