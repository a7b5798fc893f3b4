//! The worker of one pod: a task that owns its state, asks the plan what to do, carries it out and tells the API.
//! All decisions are in `plan`, all words in `status`.

mod act;
mod exits;
mod inputs;
mod launch;
mod roots;
mod sandbox;
mod secrets;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod, PodStatus};
use kube::ResourceExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::handle::{PodHandle, View};
use super::model::{self, Container, PodState, Rules, Run};
use super::plan::plan;
use super::status::{self, NodeFacts};
use super::writer::StatusWriter;
use super::{recover, status::pod_id};
use crate::addresses::Lease;
use crate::container::fields::Facts;
use crate::container::{env, refuse};
use crate::context::Context;
use crate::events::Level;
use crate::image::Image;
use crate::objects::{Key, Watched};
use crate::volumes::{self, Setting, Volumes};

pub(crate) use self::inputs::Input;
pub(crate) use self::roots::remove_roots;

/// Failed refreshes of tokens are tried again after this time.
const REFRESH_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// One pod on its way.
pub(crate) struct Worker {
    context: Arc<Context>,
    pod: Arc<Pod>,
    /// The pod's ephemeral containers.
    ephemeral: Vec<ContainerSpec>,
    uid: String,
    rules: Rules,
    state: PodState,
    status: PodStatus,
    writer: StatusWriter,
    handle: Arc<PodHandle>,
    folder: PathBuf,
    volumes: Volumes,
    watched: BTreeMap<Key, Arc<Watched>>,
    images: HashMap<String, Arc<Image>>,
    address: Option<Lease>,
    setup_tries: u32,
    refresh_not_before: Timestamp,
    /// Tasks of each container's current run: probes, hooks, resolving.
    tasks: HashMap<String, Vec<AbortOnDropHandle<()>>>,
    runs: HashMap<String, launch::Process>,
    /// Looks at what the pod has on disk, where it may not have all it wants.
    disk: Option<AbortOnDropHandle<()>>,
    sender: mpsc::UnboundedSender<Input>,
    _forwarders: Vec<AbortOnDropHandle<()>>,
}

impl Worker {
    /// A worker for a pod; `sender` is its own way to [`Self::run`]'s inputs.
    pub(crate) fn new(
        context: Arc<Context>,
        pod: Arc<Pod>,
        handle: Arc<PodHandle>,
        sender: mpsc::UnboundedSender<Input>,
    ) -> Self {
        let now = Timestamp::now();
        let uid = pod.uid().unwrap_or_default();
        let folder = context.pods.join(&uid);
        let rules = Rules::of(&pod);
        let state = recover::state(&pod, &rules, now);
        let mut worker = Self {
            volumes: Volumes::new(folder.join("volumes"), context.place.ids()),
            writer: StatusWriter::start(context.client.clone(), &pod),
            status: pod.status.clone().unwrap_or_default(),
            context,
            uid,
            rules,
            state,
            handle,
            folder,
            watched: BTreeMap::new(),
            images: HashMap::new(),
            address: None,
            setup_tries: 0,
            refresh_not_before: Timestamp::UNIX_EPOCH,
            tasks: HashMap::new(),
            runs: HashMap::new(),
            disk: None,
            sender,
            _forwarders: Vec::new(),
            ephemeral: model::ephemeral(&pod),
            pod,
        };
        worker.note_deletion(now);
        if !worker.state.removed {
            worker.watch_references();
            if let Some((reason, message)) = refuse::refuse(&worker.pod) {
                let event = message.clone();
                worker.context.events.pod(&worker.pod, Level::Warning, reason, event);
                worker.state.verdict =
                    Some(super::model::Verdict { reason, message, at: now, refused: true, grace: None });
            }
        }
        worker
    }

    /// Works until the pod is no more.
    pub(crate) async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        loop {
            let wake = self.advance().await;
            if self.state.deleted || (self.state.removed && self.is_gone()) {
                break;
            }
            let sleep = until(wake);
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => {
                        self.take(input).await;
                        while let Ok(input) = inputs.try_recv() {
                            self.take(input).await;
                        }
                    }
                    None => break,
                },
                () = tokio::time::sleep(sleep) => {}
            }
        }
        if let Err(error) = crate::image::remove_tree(&self.folder) {
            tracing::warn!(%error, pod = pod_id(&self.pod), "cannot remove a pod's folder");
        }
    }

    /// Carries out all that can be done now; says when to look again.
    async fn advance(&mut self) -> Option<Timestamp> {
        loop {
            let now = Timestamp::now();
            let plan = plan(&self.rules, &self.state, now);
            self.publish(now);
            if plan.actions.is_empty() {
                let refresh = self.refresh_volumes_when_due(now).await;
                return [plan.wake, refresh].into_iter().flatten().min();
            }
            for action in plan.actions {
                self.act(action).await;
            }
        }
    }

    /// Tells the API and the node's streams where the pod is.
    fn publish(&mut self, now: Timestamp) {
        let host_ip = self.context.host_ip.to_string();
        let facts = NodeFacts { host_ip: &host_ip };
        let status = status::status(&self.pod, &self.rules, &self.state, &self.status, &facts, now);
        for container in &self.state.containers {
            let waiting = waiting_reason(&status, &container.name);
            let ended = matches!(container.run, Run::Ended(_));
            self.handle.update(&container.name, |view: &mut View| {
                view.waiting = waiting;
                view.ended = ended;
            });
        }
        if status != self.status && !self.is_gone() {
            self.status = status.clone();
            self.writer.want(status);
        }
    }

    fn is_gone(&self) -> bool {
        self.state.deletion.is_some_and(|deletion| deletion.gone)
    }

    fn spec_of(&self, container: &str) -> Option<&ContainerSpec> {
        let spec = self.pod.spec.as_ref()?;
        let init = spec.init_containers.iter().flatten();
        init.chain(&spec.containers).chain(&self.ephemeral).find(|c| c.name == container)
    }

    fn container(&mut self, name: &str) -> Option<&mut Container> {
        self.state.container_mut(name)
    }

    /// The container of this name, if this is still its run.
    fn current(&mut self, name: &str, run: &str) -> Option<&mut Container> {
        let container = self.state.container_mut(name)?;
        container.running().is_some_and(|r| r.id == run).then_some(container)
    }

    fn watch_references(&mut self) {
        let pod = self.pod.clone();
        let containers = pod.spec.iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
        let mut keys = volumes::references(&pod);
        keys.extend(secrets::references(&pod));
        keys.extend(containers.chain(&self.ephemeral).flat_map(|c| env::references(&pod, c)));
        for key in keys {
            if self.watched.contains_key(&key) {
                continue;
            }
            let watched = self.context.objects.watch(&key);
            let mut changes = watched.changes();
            let sender = self.sender.clone();
            let forward = tokio::spawn(async move {
                while changes.changed().await.is_ok() {
                    if sender.send(Input::Objects).is_err() {
                        return;
                    }
                }
            });
            self._forwarders.push(AbortOnDropHandle::new(forward));
            self.watched.insert(key, watched);
        }
    }

    /// What fields of the pod are read from at this moment.
    fn facts<'a>(&'a self, pod_ip: Option<&'a str>, host_ip: &'a str) -> Facts<'a> {
        Facts {
            pod: &self.pod,
            pod_ip,
            host_ip,
            node_cpu_millis: self.context.cpu_millis,
            node_memory: self.context.memory,
        }
    }

    async fn refresh_volumes_when_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        if !self.state.volumes_ready || self.state.removed {
            return None;
        }
        let due = self.volumes.refresh_at()?.max(self.refresh_not_before);
        if now < due {
            return Some(due);
        }
        self.refresh_volumes().await;
        self.refresh_not_before = now.saturating_add(REFRESH_PAUSE).unwrap_or(now);
        Some(self.volumes.refresh_at()?.max(self.refresh_not_before))
    }

    async fn refresh_volumes(&mut self) {
        let pod = self.pod.clone();
        let host_ip = self.context.host_ip.to_string();
        let setting = Setting {
            client: &self.context.client,
            facts: Facts {
                pod: &pod,
                pod_ip: None,
                host_ip: &host_ip,
                node_cpu_millis: self.context.cpu_millis,
                node_memory: self.context.memory,
            },
            objects: &self.watched,
            persistent: &self.context.persistent,
            now: Timestamp::now(),
        };
        self.volumes.refresh(&setting).await;
    }

    fn say(&self, level: Level, reason: &'static str, message: String) {
        self.context.events.pod(&self.pod, level, reason, message);
    }

    fn say_of(&self, container: &str, level: Level, reason: &'static str, message: String) {
        self.context.events.container(&self.pod, container, level, reason, message);
    }
}

fn until(wake: Option<Timestamp>) -> Duration {
    const LONG: Duration = Duration::from_secs(3600);
    match wake {
        None => LONG,
        Some(at) => {
            let left = at.duration_since(Timestamp::now());
            Duration::try_from(left).unwrap_or(Duration::ZERO).min(LONG)
        }
    }
}

fn waiting_reason(status: &PodStatus, name: &str) -> String {
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let found = lists.into_iter().flatten().flatten().find(|container| container.name == name);
    let waiting = found.and_then(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    waiting.unwrap_or_default()
}
