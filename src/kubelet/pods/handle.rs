//! What the rest of the node may see of a pod: where its logs are, which containers live, how to reach them.
//! Workers write here, streams read; nothing here acts.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Mutex as AsyncMutex;

use crate::cgroups::Group;
use crate::fd::Stream;
use crate::logs::{Log, Tap};

/// A running container.
pub(crate) struct Live {
    /// Id of the run in the place.
    pub(crate) id: String,
    pub(crate) log: Arc<Log>,
    pub(crate) tap: Tap,
    pub(crate) tty: bool,
    /// Standard input, if the spec asks for it; taken by whoever attaches first.
    pub(crate) stdin: AsyncMutex<Option<Stream>>,
    pub(crate) stdin_once: bool,
    pub(crate) started: Instant,
    pub(crate) group: Option<Arc<Group>>,
}

impl Live {
    /// The doors of its control group, for a process that is to be in it.
    pub(crate) fn doors(&self) -> Vec<Arc<OwnedFd>> {
        self.group.as_ref().and_then(|group| group.doors().ok()).unwrap_or_default()
    }
}

/// One container as others see it.
#[derive(Clone, Default)]
pub(crate) struct View {
    /// Number of the newest run that has a log.
    pub(crate) newest: Option<u32>,
    pub(crate) live: Option<Arc<Live>>,
    /// Why it is not running, in Kubernetes' word.
    pub(crate) waiting: String,
    pub(crate) ended: bool,
}

/// One pod as others see it.
pub(crate) struct PodHandle {
    pub(crate) uid: String,
    /// The node that it is on.
    pub(crate) node: String,
    folder: PathBuf,
    host_network: bool,
    containers: Mutex<BTreeMap<String, View>>,
}

impl PodHandle {
    pub(crate) fn new(uid: String, node: String, folder: PathBuf, host_network: bool) -> Self {
        Self { uid, node, folder, host_network, containers: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, View>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container, if the pod has it.
    pub(crate) fn container(&self, name: &str) -> Option<View> {
        self.lock().get(name).cloned()
    }

    /// The containers that run.
    pub(crate) fn live(&self) -> Vec<(String, Arc<Live>)> {
        let containers = self.lock();
        containers.iter().filter_map(|(name, view)| Some((name.clone(), view.live.clone()?))).collect()
    }

    /// Changes what is seen of a container.
    pub(crate) fn update(&self, name: &str, change: impl FnOnce(&mut View)) {
        change(self.lock().entry(name.to_owned()).or_default());
    }

    /// The log of one run of a container.
    pub(crate) fn log_path(&self, container: &str, run: u32) -> PathBuf {
        log_path(&self.folder, container, run)
    }

    /// The pod's id in the place, where it has a network of its own.
    pub(crate) fn network(&self) -> Option<&str> {
        (!self.host_network).then_some(self.uid.as_str())
    }
}

/// `logs/CONTAINER/RUN.log` below a pod's folder.
pub(crate) fn log_path(folder: &Path, container: &str, run: u32) -> PathBuf {
    folder.join("logs").join(container).join(format!("{run}.log"))
}

/// Pods by namespace and name.
type ByName = HashMap<(String, String), Arc<PodHandle>>;

/// All pods of the node.
#[derive(Clone, Default)]
pub(crate) struct Pods(Arc<Mutex<ByName>>);

impl Pods {
    fn lock(&self) -> MutexGuard<'_, ByName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, namespace: &str, name: &str, pod: Arc<PodHandle>) {
        self.lock().insert((namespace.to_owned(), name.to_owned()), pod);
    }

    /// The pod of this name and uid; an empty uid means whichever is there.
    pub(crate) fn get(&self, namespace: &str, name: &str, uid: &str) -> Option<Arc<PodHandle>> {
        let found = self.lock().get(&(namespace.to_owned(), name.to_owned())).cloned();
        found.filter(|pod| uid.is_empty() || pod.uid == uid)
    }

    /// Every pod with its namespace and name.
    pub(crate) fn all(&self) -> Vec<((String, String), Arc<PodHandle>)> {
        self.lock().iter().map(|(key, pod)| (key.clone(), pod.clone())).collect()
    }

    /// Forgets the pods of a node, and says which they were.
    pub(crate) fn take_of(&self, node: &str) -> Vec<Arc<PodHandle>> {
        self.lock().extract_if(|_, pod| pod.node == node).map(|(_, pod)| pod).collect()
    }

    /// Forgets a pod, unless another one has taken its name.
    pub(crate) fn remove(&self, namespace: &str, name: &str, uid: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut pods = self.lock();
        if pods.get(&key).is_some_and(|pod| pod.uid == uid) {
            pods.remove(&key);
        }
    }
}
