//! From a resolved image to a running process: configuration, start, streams, probes and the postStart hook.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, broadcast};
use tokio_util::task::AbortOnDropHandle;

use super::{Input, Worker};
use crate::cgroups::{Group, Limits};
use crate::container::{ConfigError, command, env, resources, security};
use crate::events::Level;
use crate::fd::Stream;
use crate::image::Image;
use crate::logs::{self, Log, line::Source};
use crate::memory::Bound;
use crate::objects::Key;
use crate::pods::handle::Live;
use crate::pods::model::{Ended, ImageRef, Run, Running, Waiting};
use crate::probes::{self, Kind, check::Check};
use crate::sandbox::{ContainerSpec, PlaceError, Started};
use crate::volumes::mounts::{self, OwnFile};

const CONFIG_RETRY: SignedDuration = SignedDuration::from_secs(5);
/// Chunks of output that an attached reader may lag behind.
const TAP: usize = 256;
/// Output that comes after the end of a container is waited for this long.
const LAST_OUTPUT: Duration = Duration::from_secs(2);
const DEFAULT_MESSAGE_PATH: &str = "/dev/termination-log";
/// A hook has no time limit of its own; the container's end is one.
const HOOK: Duration = Duration::from_secs(24 * 3600);

/// What is kept of a run until it is over.
pub(super) struct Process {
    pub(super) message: PathBuf,
    pub(super) log: PathBuf,
    /// The machine's count of processes killed for want of memory, at the start.
    pub(super) oom_kills: u64,
    /// It was killed because it used more memory than it may.
    pub(super) out_of_memory: bool,
    pub(super) group: Option<Arc<Group>>,
}

/// Why a container did not start, in Kubernetes' word.
struct Refusal {
    reason: &'static str,
    message: String,
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self { reason: "CreateContainerConfigError", message: error.to_string() }
    }
}

impl Worker {
    /// Starts a container whose image is there.
    pub(super) async fn launch(&mut self, name: &str, image: &Arc<Image>) {
        self.tasks.remove(name);
        self.wait_for_objects().await;
        let now = Timestamp::now();
        let mut restarts = 0;
        if let Some(container) = self.container(name) {
            container.image = Some(ImageRef { name: image.name.clone(), id: image.id.clone() });
            restarts = container.restarts;
        }
        let mut spec = match self.container_spec(name, image, restarts, now) {
            Ok(spec) => spec,
            Err(refusal) => return self.refused(name, refusal, now),
        };
        let log_path = self.handle.log_path(name, restarts);
        let log = match Log::create(&log_path) {
            Ok(log) => log,
            Err(error) => {
                let refusal = Refusal {
                    reason: "CreateContainerError",
                    message: format!("cannot make the log {}: {error}", log_path.display()),
                };
                return self.refused(name, refusal, now);
            }
        };
        self.say_of(name, Level::Normal, "Created", format!("Created container: {name}"));
        let id = spec.id.clone();
        let (limits, group) = self.group(name, &id);
        spec.doors = group.as_ref().and_then(|group| group.doors().ok()).unwrap_or_default();
        let ended = self.context.exits.expect(&id);
        let oom_kills = super::exits::oom_kills();
        match self.context.place.start_container(spec).await {
            Ok(started) => {
                self.say_of(name, Level::Normal, "Started", format!("Started container {name}"));
                let message = self.message_file(name, restarts);
                let process = Process { message, log: log_path, oom_kills, out_of_memory: false, group: group.clone() };
                self.runs.insert(name.to_owned(), process);
                if let Some(limit) = limits.memory {
                    match &group {
                        None => self.watch_memory(name, &id, Bound::Bytes(limit)),
                        Some(group) if group.ends_as_a_whole() => {}
                        Some(group) => self.watch_memory(name, &id, Bound::Kills(Arc::downgrade(group))),
                    }
                }
                self.started(name, &id, started, log, ended, restarts);
            }
            Err(error) => {
                self.context.exits.forget(&id);
                self.remove_root(&id);
                log.finish();
                self.handle.update(name, |view| view.newest = Some(restarts));
                self.failed_to_start(name, id, &error);
            }
        }
    }

    /// What a container may use, and the group that the kernel holds it in, if it does.
    fn group(&self, name: &str, id: &str) -> (Limits, Option<Arc<Group>>) {
        let limits = self.spec_of(name).map(resources::limits).unwrap_or_default();
        let group = self.context.groups.as_ref().map(|groups| groups.add(id, &limits));
        let group = group.and_then(|made| match made {
            Ok(group) => Some(Arc::new(group)),
            Err(error) => {
                let text = format!("the limits of container {name} are not held by the kernel: {error}");
                self.say_of(name, Level::Warning, "LimitsReduced", text);
                None
            }
        });
        (limits, group)
    }

    fn watch_memory(&self, name: &str, id: &str, bound: Bound) {
        let (sender, container, run) = (self.sender.clone(), name.to_owned(), id.to_owned());
        self.context.memory_watch.add(id, bound, move || {
            // The worker may be gone meanwhile.
            let _ = sender.send(Input::OutOfMemory { container: container.clone(), run: run.clone() });
        });
    }

    fn refused(&mut self, name: &str, refusal: Refusal, now: Timestamp) {
        let Refusal { reason, message } = refusal;
        self.say_of(name, Level::Warning, "Failed", format!("Error: {message}"));
        if let Some(container) = self.container(name) {
            container.run = Run::Waiting(Waiting {
                reason,
                message,
                since: Some(now),
                retry_at: now.checked_add(CONFIG_RETRY).ok(),
            });
        }
    }

    fn failed_to_start(&mut self, name: &str, id: String, error: &PlaceError) {
        let now = Timestamp::now();
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        let message = format!("{error}{}", cause.unwrap_or_default());
        self.say_of(name, Level::Warning, "Failed", format!("Error: {message}"));
        let at_fault = matches!(error, PlaceError::Start { .. });
        let Some(container) = self.container(name) else {
            return;
        };
        container.run = if at_fault {
            Run::Ended(Ended {
                id: Some(id),
                code: 128,
                signal: None,
                reason: "StartError".to_owned(),
                message,
                started_at: Some(Timestamp::UNIX_EPOCH),
                finished_at: now,
            })
        } else {
            Run::Waiting(Waiting {
                reason: "RunContainerError",
                message,
                since: Some(now),
                retry_at: now.checked_add(CONFIG_RETRY).ok(),
            })
        };
    }

    fn container_spec(
        &self,
        name: &str,
        image: &Image,
        restarts: u32,
        now: Timestamp,
    ) -> Result<ContainerSpec, Refusal> {
        let spec = self.spec_of(name).ok_or_else(|| ConfigError(format!("container {name} not found")))?;
        let identity = security::identity(&self.pod, spec, image)?;
        let host_ip = self.context.host_ip.to_string();
        let pod_ip = self.state.address.unwrap_or(self.context.host_ip).to_string();
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let links = self.pod.spec.as_ref().and_then(|s| s.enable_service_links) != Some(false);
        let services = self.context.services.read().variables(namespace, links);
        let look_up = |key: &Key| self.watched.get(key).map(|w| w.now()).unwrap_or_default();
        let hostname = crate::container::files::hostname(&self.pod);
        let sources = env::Sources {
            facts: self.facts(Some(&pod_ip), &host_ip),
            image: &image.env,
            services: &services,
            hostname: &hostname,
            home: match &image.unpacked {
                Some(unpacked) => unpacked.accounts.home(identity.uid),
                None if identity.uid == 0 => "/root",
                None => "/",
            },
            objects: &look_up,
        };
        let env = env::environment(spec, &sources)?;
        let argv = command::argv(spec, image, &env)
            .map_err(|error| Refusal { reason: "CreateContainerError", message: error.to_string() })?;
        let message = self.message_file(name, restarts);
        let made = message
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| self.write_own(&message, b"", 0o666));
        made.map_err(|error| Refusal {
            reason: "CreateContainerError",
            message: format!("cannot make the termination log: {error}"),
        })?;
        let mut own = self.own_files();
        let target = spec.termination_message_path.clone();
        own.push(OwnFile { source: message, target: target.unwrap_or_else(|| DEFAULT_MESSAGE_PATH.to_owned()).into() });
        let mounts = mounts::mounts(&self.volumes, spec, &env, own)?;
        let processes_of = self.target_of(name)?;
        let id = crate::ids::run(&self.uid, name, restarts, now);
        let layers = self.layers(&id, image).map_err(|error| Refusal {
            reason: "CreateContainerError",
            message: format!("cannot make the folder of the container's files: {error}"),
        })?;
        Ok(ContainerSpec {
            pod: self.uid.clone(),
            id,
            layers,
            root: image.root.clone(),
            mounts,
            argv,
            cwd: command::working_dir(spec, image),
            env,
            uid: identity.uid,
            gid: identity.gid,
            groups: identity.groups,
            read_only_root: identity.read_only_root,
            capabilities: identity.capabilities,
            tty: spec.tty == Some(true),
            stdin: spec.stdin == Some(true),
            processes_of,
            oom_score: resources::oom_score(&self.pod, spec, self.context.memory),
            doors: Vec::new(),
        })
    }

    /// The run whose processes an ephemeral container sees, which must be there.
    fn target_of(&self, name: &str) -> Result<Option<String>, Refusal> {
        let added = self.pod.spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
        let wanted = added.filter(|one| one.name == name).find_map(|one| one.target_container_name.as_deref());
        let Some(wanted) = wanted.filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let found = self.state.containers.iter().find(|container| container.name == wanted);
        let running = found.and_then(|container| container.running());
        running.map(|running| Some(running.id.clone())).ok_or_else(|| Refusal {
            reason: "CreateContainerError",
            message: format!("unable to find target container \"{wanted}\""),
        })
    }

    fn message_file(&self, name: &str, restarts: u32) -> PathBuf {
        self.folder.join("messages").join(name).join(restarts.to_string())
    }

    fn started(
        &mut self,
        name: &str,
        id: &str,
        started: Started,
        log: Arc<Log>,
        ended: tokio::sync::oneshot::Receiver<crate::sandbox::Exited>,
        restarts: u32,
    ) {
        for warning in &started.warnings {
            self.say_of(name, Level::Warning, "RightsReduced", warning.clone());
        }
        let (tap, _) = broadcast::channel(TAP);
        let mut pumps = Vec::new();
        let mut stdin = started.stdin.map(Stream::new).and_then(Result::ok);
        for (fd, source) in [(Some(started.stdout), Source::Out), (started.stderr, Source::Err)] {
            match fd.map(Stream::new) {
                Some(Ok(stream)) => {
                    let spec = self.spec_of(name);
                    let terminal = spec.is_some_and(|c| c.tty == Some(true) && c.stdin == Some(true));
                    if terminal && stdin.is_none() {
                        stdin = stream.second().ok();
                    }
                    let pump = logs::pump(stream, source, log.clone(), tap.clone());
                    pumps.push(tokio::spawn(pump));
                }
                Some(Err(error)) => tracing::warn!(%error, "cannot read a container's output"),
                None => {}
            }
        }
        let spec = self.spec_of(name).cloned().unwrap_or_default();
        let live = Arc::new(Live {
            id: id.to_owned(),
            log: log.clone(),
            tap,
            tty: spec.tty == Some(true),
            stdin: Mutex::new(stdin),
            stdin_once: spec.stdin_once == Some(true),
            started: Instant::now(),
            group: self.runs.get(name).and_then(|process| process.group.clone()),
        });
        self.handle.update(name, |view| {
            view.newest = Some(restarts);
            view.live = Some(live);
        });
        let hook = spec.lifecycle.as_ref().and_then(|l| l.post_start.clone());
        if let Some(container) = self.container(name) {
            container.run = Run::Running(Running {
                id: id.to_owned(),
                started_at: Timestamp::now(),
                hooked: hook.is_none(),
                started: spec.startup_probe.is_none(),
                ready: spec.readiness_probe.is_none(),
                kill: None,
                stopping: None,
            });
        }
        let (sender, container, run) = (self.sender.clone(), name.to_owned(), id.to_owned());
        tokio::spawn(async move {
            let exited = ended.await;
            let all = futures::future::join_all(pumps);
            // A process that outlives its container's first one may hold the pipe.
            let _ = tokio::time::timeout(LAST_OUTPUT, all).await;
            log.finish();
            let (code, signal) = exited.map_or((137, None), |exited| (exited.code, exited.signal));
            let _ = sender.send(Input::Exited { container, run, code, signal });
        });
        if let Some(hook) = hook {
            self.run_post_start(name, &Check::of_hook(&hook));
        }
        match &spec.startup_probe {
            Some(probe) => self.probe(name, probe.clone(), Kind::Startup),
            None => self.probe_started(name),
        }
    }

    fn run_post_start(&mut self, name: &str, hook: &Check) {
        let Some(target) = self.target(name) else {
            return;
        };
        let (sender, container, hook) = (self.sender.clone(), name.to_owned(), hook.clone());
        let task = tokio::spawn(async move {
            let outcome = target.check(&hook, HOOK).await;
            let run = target.run.clone();
            let _ = sender.send(Input::Started { container, run, outcome });
        });
        self.keep(name, task);
    }

    /// Starts the probes that wait for the container to have started.
    pub(super) fn probe_started(&mut self, name: &str) {
        let Some(spec) = self.spec_of(name).cloned() else {
            return;
        };
        for (probe, kind) in [(spec.liveness_probe, Kind::Liveness), (spec.readiness_probe, Kind::Readiness)] {
            if let Some(probe) = probe {
                self.probe(name, probe, kind);
            }
        }
    }

    fn probe(&mut self, name: &str, probe: k8s_openapi::api::core::v1::Probe, kind: Kind) {
        let Some(target) = self.target(name) else {
            return;
        };
        let (sender, container, run) = (self.sender.clone(), name.to_owned(), target.run.clone());
        let report = move |passed| {
            let _ = sender.send(Input::Probe { container: container.clone(), run: run.clone(), kind, passed });
        };
        let task = tokio::spawn(probes::run(self.pod.clone(), target, probe, kind, report));
        self.keep(name, task);
    }

    fn keep(&mut self, name: &str, task: tokio::task::JoinHandle<()>) {
        let tasks = self.tasks.entry(name.to_owned()).or_default();
        tasks.push(AbortOnDropHandle::new(task));
    }
}
