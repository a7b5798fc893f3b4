//! From the watch of this node's pods to their workers: one worker per pod, whatever happens to the watch.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::handle::{PodHandle, Pods};
use super::worker::{Input, Worker};
use crate::context::{Context, Shared};

struct Manager {
    context: Arc<Context>,
    pods: Pods,
    inputs: HashMap<String, mpsc::UnboundedSender<Input>>,
    /// Every worker ends with its pod's UID.
    workers: JoinSet<String>,
}

/// Follows the pods of this node until it is told to stop; no worker writes anything after that.
pub(crate) async fn run(context: Arc<Context>, pods: Pods, stop: CancellationToken) {
    let api: Api<Pod> = Api::all(context.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", context.node));
    let mut events = watcher(api, config).modify(|pod| pod.metadata.managed_fields = None).default_backoff().boxed();
    let mut manager = Manager { context, pods, inputs: HashMap::new(), workers: JoinSet::new() };
    let mut listed = HashSet::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            Some(ended) = manager.workers.join_next() => {
                if let Ok(uid) = ended {
                    manager.inputs.remove(&uid);
                }
                continue;
            }
            () = stop.cancelled() => None,
        };
        match event {
            None => return manager.workers.shutdown().await,
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(pod))) => {
                listed.extend(pod.uid());
                manager.apply(pod);
            }
            Some(Ok(Event::InitDone)) => manager.retain(&listed),
            Some(Ok(Event::Apply(pod))) => manager.apply(pod),
            Some(Ok(Event::Delete(pod))) => manager.gone(&pod.uid().unwrap_or_default()),
            Some(Err(error)) => tracing::warn!(%error, "cannot watch the pods of this node"),
        }
    }
}

impl Manager {
    fn apply(&mut self, pod: Pod) {
        let Some(uid) = pod.uid() else { return };
        let pod = Arc::new(pod);
        if let Some(inputs) = self.inputs.get(&uid) {
            // A worker that has ended is about to be removed.
            let _ = inputs.send(Input::Pod(pod));
            return;
        }
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let host_network = pod.spec.as_ref().and_then(|s| s.host_network) == Some(true);
        let folder = self.context.pods.join(&uid);
        let handle = Arc::new(PodHandle::new(uid.clone(), self.context.node.clone(), folder, host_network));
        let runs = pod
            .status
            .iter()
            .flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten());
        for status in runs.filter(|status| status.container_id.is_some()) {
            handle.update(&status.name, |view| view.newest = u32::try_from(status.restart_count).ok());
        }
        self.pods.insert(&namespace, &name, handle.clone());
        let (sender, inputs) = mpsc::unbounded_channel();
        let worker = Worker::new(self.context.clone(), pod, handle, sender.clone());
        self.inputs.insert(uid.clone(), sender);
        let pods = self.pods.clone();
        self.workers.spawn(async move {
            worker.run(inputs).await;
            pods.remove(&namespace, &name, &uid);
            uid
        });
    }

    fn gone(&mut self, uid: &str) {
        if let Some(inputs) = self.inputs.remove(uid) {
            // It may have deleted the pod itself and ended.
            let _ = inputs.send(Input::Gone);
        }
    }

    fn retain(&mut self, listed: &HashSet<String>) {
        let lost: Vec<_> = self.inputs.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        for uid in lost {
            self.gone(&uid);
        }
    }
}

/// Removes the folders of pods that were deleted while no node of theirs was running.
pub(crate) async fn remove_leftovers(shared: &Shared) {
    // First what lies there: a pod that comes meanwhile is not among it.
    let Ok(entries) = std::fs::read_dir(&shared.pods) else {
        return;
    };
    let folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    if folders.is_empty() {
        return;
    }
    let pods = match Api::<Pod>::all(shared.client.clone()).list_metadata(&ListParams::default()).await {
        Ok(pods) => pods,
        Err(error) => {
            tracing::warn!(%error, "cannot list the pods: the folders of former ones stay");
            return;
        }
    };
    let known: HashSet<String> = pods.items.iter().filter_map(ResourceExt::uid).collect();
    for path in folders {
        let is_known = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| known.contains(name));
        if !is_known && let Err(error) = crate::image::remove_tree(&path) {
            tracing::warn!(%error, path = %path.display(), "cannot remove a former pod's folder");
        }
    }
}
