//! The disk that pods use, held against what they may: looked at every few seconds, and only for pods that have a limit.
//! Upstream rule: `localStorageEviction` in k8s.io/kubernetes `pkg/kubelet/eviction/eviction_manager.go`.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use tinderbox_api::quantity::Quantity;

use crate::pods::handle::PodHandle;
use crate::runtime::Runtime;

const RESOURCE: &str = "ephemeral-storage";
/// Between two looks; a look that takes long is followed by a pause many times as long.
const PAUSE: Duration = Duration::from_secs(2);
const REST: u32 = 20;

/// What a pod may have on disk.
#[derive(Debug)]
pub(crate) struct Bounds {
    folder: PathBuf,
    /// Volumes on disk, with their limits if they have one.
    volumes: Vec<(String, Option<Quantity>)>,
    /// Containers with a limit.
    containers: Vec<(String, Quantity)>,
}

/// What it has, in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    volumes: HashMap<String, u64>,
    containers: HashMap<String, u64>,
}

fn amount(text: Option<&Text>) -> Option<Quantity> {
    text?.0.parse::<Quantity>().ok().filter(|amount| amount.value() > 0)
}

fn exceeds(used: u64, limit: Quantity) -> bool {
    i64::try_from(used).is_ok_and(|used| used > limit.value())
}

impl Bounds {
    /// The limits of a pod whose files are in `folder`; `None` where it has none.
    pub(crate) fn of(pod: &Pod, folder: &Path) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let on_disk = spec.volumes.iter().flatten().filter_map(|volume| {
            let empty = volume.empty_dir.as_ref().filter(|empty| empty.medium.as_deref() != Some("Memory"))?;
            Some((volume.name.clone(), amount(empty.size_limit.as_ref())))
        });
        let limited = spec.containers.iter().filter_map(|container| {
            let limits = container.resources.as_ref()?.limits.as_ref()?;
            Some((container.name.clone(), amount(limits.get(RESOURCE))?))
        });
        let (volumes, containers): (Vec<_>, Vec<_>) = (on_disk.collect(), limited.collect());
        let any = !containers.is_empty() || volumes.iter().any(|(_, limit)| limit.is_some());
        any.then(|| Self { folder: folder.to_owned(), volumes, containers })
    }

    /// Why the pod has to go, in Kubernetes' words.
    fn broken(&self, seen: &Seen) -> Option<String> {
        let used = |known: &HashMap<String, u64>, name: &str| known.get(name).copied().unwrap_or_default();
        for (name, limit) in &self.volumes {
            if let Some(limit) = limit.filter(|limit| exceeds(used(&seen.volumes, name), *limit)) {
                return Some(format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{limit}\". "));
            }
        }
        let whole = self.containers.iter().map(|(_, limit)| *limit).reduce(Quantity::plus)?;
        let all: u64 = seen.volumes.values().chain(seen.containers.values()).sum();
        if exceeds(all, whole) {
            return Some(format!("Pod ephemeral local storage usage exceeds the total limit of containers {whole}. "));
        }
        let (name, limit) =
            self.containers.iter().find(|(name, limit)| exceeds(used(&seen.containers, name), *limit))?;
        Some(format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". "))
    }

    /// What lies in volumes and logs, and in the roots of the containers that run, by the ids of their runs.
    fn on_disk(&self, running: &[(String, String)]) -> Seen {
        let volumes =
            self.volumes.iter().map(|(name, _)| (name.clone(), size(&self.folder.join("volumes").join(name))));
        let logs = fs::read_dir(self.folder.join("logs")).into_iter().flatten().flatten();
        let containers = logs.map(|entry| (entry.file_name().to_string_lossy().into_owned(), size(&entry.path())));
        let mut seen = Seen { volumes: volumes.collect(), containers: containers.collect() };
        for (name, run) in running {
            // Images with layers; the roots of others are memory.
            *seen.containers.entry(name.clone()).or_default() +=
                size(&self.folder.join("roots").join(run).join("upper"));
        }
        seen
    }
}

/// Looks until the pod has too much, and tells that.
pub(crate) async fn watch(bounds: Bounds, place: Arc<dyn Runtime>, pod: Arc<PodHandle>, tell: impl Fn(String)) {
    let bounds = Arc::new(bounds);
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let running: Vec<_> = pod.live().into_iter().map(|(name, live)| (name, live.id.clone())).collect();
        let (looking, runs) = (bounds.clone(), running.clone());
        let Ok(mut seen) = tokio::task::spawn_blocking(move || looking.on_disk(&runs)).await else { return };
        let ids = running.iter().map(|(_, run)| run.clone()).collect();
        let Ok(roots) = place.usage(ids, false).await else { return };
        for (name, run) in running {
            let written = roots.iter().find(|(id, _)| *id == run).map_or(0, |(_, usage)| usage.written);
            *seen.containers.entry(name).or_default() += written;
        }
        if let Some(message) = bounds.broken(&seen) {
            return tell(message);
        }
        pause = PAUSE.max(began.elapsed() * REST);
    }
}

/// Bytes that a file or a folder with all in it takes.
fn size(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    let own = found.blocks() * 512;
    if !found.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| size(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounds(volume: Option<&str>, containers: &[(&str, &str)]) -> Option<Bounds> {
        let containers: Vec<_> = containers
            .iter()
            .map(|(name, limit)| json!({"name": name, "resources": {"limits": {RESOURCE: limit}}}))
            .collect();
        let volumes = json!([{"name": "v", "emptyDir": {"sizeLimit": volume}}, {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1"}}]);
        let pod = json!({"spec": {"containers": containers, "volumes": volumes}});
        Bounds::of(&serde_json::from_value(pod).unwrap(), Path::new("/nowhere"))
    }

    fn seen(volume: u64, a: u64, b: u64) -> Seen {
        let pairs = |list: &[(&str, u64)]| list.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
        Seen { volumes: pairs(&[("v", volume)]), containers: pairs(&[("a", a), ("b", b)]) }
    }

    #[test]
    fn each_limit_has_its_words() {
        assert!(bounds(None, &[]).is_none());
        let two = [("a", "2Ki"), ("b", "8Ki")];
        for (volume, containers, seen, wanted) in [
            (Some("1Ki"), &two[..0], seen(1024, 0, 0), None),
            (
                Some("1Ki"),
                &two[..0],
                seen(1025, 0, 0),
                Some("Usage of EmptyDir volume \"v\" exceeds the limit \"1Ki\". "),
            ),
            (None, &two[..], seen(4096, 1024, 4096), None),
            (
                None,
                &two[..],
                seen(4096, 2048, 4097),
                Some("Pod ephemeral local storage usage exceeds the total limit of containers 10Ki. "),
            ),
            (
                None,
                &two[..],
                seen(0, 2049, 0),
                Some("Container a exceeded its local ephemeral storage limit \"2Ki\". "),
            ),
        ] {
            let bounds = bounds(volume, containers).unwrap();
            assert_eq!(bounds.broken(&seen).as_deref(), wanted);
        }
    }
}
