//! Volumes of a pod: folders prepared on the machine, kept up to date, mounted into containers, removed at the end.
//! It must not start or stop anything.

pub(crate) mod atomic;
pub(crate) mod claims;
mod host_path;
pub(crate) mod mounts;
mod owner;
pub(crate) mod payload;
pub(crate) mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, Volume};
use kube::Client;
use tinderbox_api::quantity::Quantity;

use self::owner::Owner;
use self::tokens::Tokens;
use crate::container::fields::Facts;
use crate::objects::{Key, Kind, Seen, Watched};
use crate::sandbox::{HostIds, MountSource};

/// Why a volume cannot be mounted (yet); the text is that of the `FailedMount` event.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {text}")]
pub(crate) struct MountError {
    pub(crate) volume: String,
    pub(crate) text: String,
}

impl MountError {
    pub(crate) fn new(volume: &Volume, text: impl Into<String>) -> Self {
        Self { volume: volume.name.clone(), text: text.into() }
    }
}

/// A volume that is ready to be mounted.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) source: MountSource,
    pub(crate) read_only: bool,
}

/// What volumes are made with.
pub(crate) struct Setting<'a> {
    pub(crate) client: &'a Client,
    pub(crate) facts: Facts<'a>,
    pub(crate) objects: &'a BTreeMap<Key, Arc<Watched>>,
    /// Where the node keeps folders of persistent volumes.
    pub(crate) persistent: &'a Path,
    pub(crate) now: Timestamp,
}

impl Setting<'_> {
    fn look_up(&self, key: &Key) -> Seen {
        self.objects.get(key).map(|watched| watched.now()).unwrap_or_default()
    }
}

/// The volumes of one pod.
pub(crate) struct Volumes {
    folder: PathBuf,
    ids: HostIds,
    tokens: Tokens,
    prepared: BTreeMap<String, Prepared>,
}

/// The ConfigMaps and Secrets that a pod's volumes refer to.
pub(crate) fn references(pod: &Pod) -> Vec<Key> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let key = |kind, name: &str| Key::new(kind, namespace, name);
    let mut keys = Vec::new();
    for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        keys.extend(volume.config_map.as_ref().map(|m| key(Kind::ConfigMap, &m.name)));
        let secret = volume.secret.as_ref().and_then(|s| s.secret_name.as_deref());
        keys.extend(secret.map(|name| key(Kind::Secret, name)));
        let sources = volume.projected.iter().flat_map(|p| p.sources.iter().flatten());
        for source in sources {
            keys.extend(source.config_map.as_ref().map(|m| key(Kind::ConfigMap, &m.name)));
            keys.extend(source.secret.as_ref().map(|s| key(Kind::Secret, &s.name)));
        }
    }
    keys
}

impl Volumes {
    /// Volumes under `folder`; nothing is touched yet.
    pub(crate) fn new(folder: PathBuf, ids: HostIds) -> Self {
        Self { folder, ids, tokens: Tokens::default(), prepared: BTreeMap::new() }
    }

    /// Prepares all volumes that are not ready yet.
    pub(crate) async fn prepare(&mut self, setting: &Setting<'_>) -> Result<(), MountError> {
        let pod = setting.facts.pod;
        for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
            if !self.prepared.contains_key(&volume.name) {
                let prepared = self.prepare_one(volume, setting).await?;
                self.prepared.insert(volume.name.clone(), prepared);
            }
        }
        Ok(())
    }

    /// Brings files up to date with the objects that they come from; what has gone meanwhile stays as it was.
    pub(crate) async fn refresh(&mut self, setting: &Setting<'_>) {
        let pod = setting.facts.pod;
        for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
            if self.prepared.contains_key(&volume.name)
                && payload::is_projected(volume)
                && let Err(error) = self.project(volume, setting).await
            {
                tracing::debug!(%error, "a volume could not be refreshed");
            }
        }
    }

    /// When tokens are due for a new one.
    pub(crate) fn refresh_at(&self) -> Option<Timestamp> {
        self.tokens.refresh_at()
    }

    /// A prepared volume.
    pub(crate) fn get(&self, name: &str) -> Option<&Prepared> {
        self.prepared.get(name)
    }

    /// Removes all that was prepared for this pod alone.
    pub(crate) fn clean(&mut self) -> std::io::Result<()> {
        self.prepared.clear();
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn prepare_one(&mut self, volume: &Volume, setting: &Setting<'_>) -> Result<Prepared, MountError> {
        let pod = setting.facts.pod;
        if payload::is_projected(volume) {
            let folder = self.project(volume, setting).await?;
            return Ok(Prepared { source: MountSource::Bind(folder), read_only: true });
        }
        if let Some(empty) = &volume.empty_dir {
            return self.empty_dir(volume, empty, pod);
        }
        if let Some(path) = &volume.host_path {
            host_path::check(path).map_err(|text| MountError::new(volume, text))?;
            return Ok(Prepared { source: MountSource::Bind(path.path.clone().into()), read_only: false });
        }
        let claim = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => Some((claim.claim_name.clone(), claim.read_only == Some(true))),
            (None, Some(_)) => {
                let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
                Some((format!("{pod_name}-{}", volume.name), false))
            }
            (None, None) => None,
        };
        let Some((claim, read_only)) = claim else {
            return Err(MountError::new(
                volume,
                "volumes of this kind cannot be mounted on this node; it has configMap, secret, projected, downwardAPI, \
                 emptyDir, hostPath, persistentVolumeClaim and ephemeral",
            ));
        };
        let folder = claims::folder(setting, &claim).await.map_err(|text| MountError::new(volume, text))?;
        let owner = Owner::of_pod(pod, self.ids);
        let made = std::fs::create_dir_all(&folder)
            .and_then(|()| owner.give_tree(&folder, folder.starts_with(setting.persistent)));
        made.map_err(|error| MountError::new(volume, format!("{}: {error}", folder.display())))?;
        Ok(Prepared { source: MountSource::Bind(folder), read_only })
    }

    fn empty_dir(&self, volume: &Volume, empty: &EmptyDirVolumeSource, pod: &Pod) -> Result<Prepared, MountError> {
        let limit: Option<Quantity> = empty.size_limit.as_ref().and_then(|q| q.0.parse().ok());
        let source = if empty.medium.as_deref() == Some("Memory") {
            MountSource::Memory {
                size: limit.map_or(0, |limit| u64::try_from(limit.value()).unwrap_or(0)),
                name: volume.name.clone(),
            }
        } else {
            let folder = self.folder.join(&volume.name);
            let owner = Owner::of_pod(pod, self.ids);
            let made = std::fs::create_dir_all(&folder).and_then(|()| owner.give_open(&folder));
            made.map_err(|error| MountError::new(volume, error.to_string()))?;
            MountSource::Bind(folder)
        };
        Ok(Prepared { source, read_only: false })
    }

    /// Writes the files of a projected kind; returns their folder.
    async fn project(&mut self, volume: &Volume, setting: &Setting<'_>) -> Result<PathBuf, MountError> {
        let pod = setting.facts.pod;
        let wrong = |text: String| MountError::new(volume, text);
        for source in payload::token_sources(volume) {
            self.tokens.ensure(setting, source).await.map_err(wrong)?;
        }
        let look_up = |key: &Key| setting.look_up(key);
        let files = payload::payload(volume, &setting.facts, &look_up, &self.tokens).map_err(wrong)?;
        let folder = self.folder.join(&volume.name);
        let owner = Owner::of_pod(pod, self.ids);
        atomic::write(&folder, &files, &owner, setting.now)
            .map_err(|error| wrong(format!("cannot write its files: {error}")))?;
        Ok(folder)
    }
}
