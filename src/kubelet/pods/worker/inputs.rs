//! What a worker hears, and how it changes the pod's state. No acting: the plan looks at the new state afterwards.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::events::Level;
use crate::image::{Image, ImageError};
use crate::pods::model::{self, Deletion, KillOrder, Run, Stage, Verdict, Waiting};
use crate::probes::Kind;

const EVICTED: &str = "Evicted";
/// What a pod gets that has to go for what it uses.
const EVICTION_GRACE: SignedDuration = SignedDuration::from_secs(1);

/// Something that happened to a pod.
pub(crate) enum Input {
    /// The object changed.
    Pod(Arc<Pod>),
    /// The object is gone.
    Gone,
    /// An object that the pod refers to changed.
    Objects,
    /// An image was resolved.
    Image { container: String, name: String, outcome: Result<Image, ImageError> },
    /// A container's process ended and its output is complete.
    Exited { container: String, run: String, code: i32, signal: Option<i32> },
    /// A container uses more memory than it may, and nobody else ends all of it.
    OutOfMemory { container: String, run: String },
    /// The pod uses more disk than it may.
    OutOfDisk { message: String },
    /// The verdict of a probe turned.
    Probe { container: String, run: String, kind: Kind, passed: bool },
    /// A postStart hook is over.
    Started { container: String, run: String, outcome: Result<(), String> },
    /// A preStop hook is over.
    Stopped { container: String, run: String },
}

impl Worker {
    pub(super) async fn take(&mut self, input: Input) {
        let now = Timestamp::now();
        match input {
            Input::Pod(pod) => self.take_pod(pod, now).await,
            Input::Gone => {
                self.state.deletion = Some(Deletion { deadline: now, force: true, gone: true });
            }
            Input::Objects => {
                self.state.retry_at = None;
                for container in &mut self.state.containers {
                    if let Run::Waiting(waiting) = &mut container.run
                        && waiting.reason == "CreateContainerConfigError"
                    {
                        waiting.retry_at = None;
                    }
                }
                if self.state.volumes_ready && !self.state.removed {
                    self.refresh_volumes().await;
                }
            }
            Input::Image { container, name, outcome } => self.take_image(&container, name, outcome, now).await,
            Input::Exited { container, run, code, signal } => self.take_exit(&container, &run, code, signal, now),
            Input::OutOfMemory { container, run } => self.take_out_of_memory(&container, &run).await,
            Input::OutOfDisk { message } => self.take_out_of_disk(message, now),
            Input::Probe { container, run, kind, passed } => self.take_probe(&container, &run, kind, passed),
            Input::Started { container, run, outcome } => self.take_hook(&container, &run, outcome),
            Input::Stopped { container, run } => {
                if let Some(container) = self.current(&container, &run)
                    && let Some(stopping) = container.running_mut().and_then(|running| running.stopping.as_mut())
                    && stopping.stage == Stage::PreStop
                {
                    stopping.stage = Stage::HookDone;
                }
            }
        }
    }

    async fn take_pod(&mut self, pod: Arc<Pod>, now: Timestamp) {
        let labels = pod.metadata.labels != self.pod.metadata.labels
            || pod.metadata.annotations != self.pod.metadata.annotations;
        self.pod = pod;
        self.rules = crate::pods::model::Rules::of(&self.pod);
        self.take_ephemeral();
        self.note_deletion(now);
        if labels && self.state.volumes_ready && !self.state.removed {
            self.refresh_volumes().await;
        }
    }

    fn take_ephemeral(&mut self) {
        let wanted = model::ephemeral(&self.pod);
        if wanted != self.ephemeral && !self.state.removed {
            self.ephemeral = wanted;
            self.state.add_ephemeral(&self.pod);
            self.watch_references();
        }
    }

    /// Takes over the object's deletion; a later one may only shorten the grace.
    pub(super) fn note_deletion(&mut self, now: Timestamp) {
        if self.pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let grace = self.pod.metadata.deletion_grace_period_seconds.unwrap_or(0).max(0);
        let deadline = now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        match &mut self.state.deletion {
            Some(known) => {
                known.deadline = known.deadline.min(deadline);
                known.force |= grace == 0;
            }
            None => {
                self.state.deletion = Some(Deletion { deadline, force: grace == 0, gone: false });
            }
        }
    }

    async fn take_image(&mut self, container: &str, name: String, outcome: Result<Image, ImageError>, now: Timestamp) {
        let ending = self.state.is_ending();
        let Some(state) = self.container(container).filter(|c| c.run == Run::Starting) else {
            return;
        };
        if ending {
            state.run = Run::Waiting(Waiting::default());
            return;
        }
        match outcome {
            Ok(image) => {
                self.context.known_images.note(&image);
                let image = Arc::new(image);
                self.images.insert(name, image.clone());
                self.launch(container, &image).await;
            }
            Err(error) => {
                state.pull_backoff.next(now);
                let retry_at = state.pull_backoff.wait(now).map(|(_, at)| at);
                let (reason, message) = (error.reason(), error.message());
                state.run = Run::Waiting(Waiting { reason, message: message.clone(), since: Some(now), retry_at });
                match reason {
                    "ErrImagePull" => {
                        let failed = format!("Failed to pull image \"{name}\": {message}");
                        self.say_of(container, Level::Warning, "Failed", failed);
                    }
                    "InvalidImageName" => {
                        let failed = format!("Failed to apply default image tag \"{name}\": {message}");
                        self.say_of(container, Level::Warning, "InspectFailed", failed);
                    }
                    // Told where it was found out.
                    _ => {}
                }
                self.say_of(container, Level::Warning, "Failed", format!("Error: {reason}"));
            }
        }
    }

    async fn take_out_of_memory(&mut self, name: &str, run: &str) {
        if self.current(name, run).is_none() {
            return;
        }
        if let Some(process) = self.runs.get_mut(name) {
            process.out_of_memory = true;
        }
        self.signal(run, libc::SIGKILL).await;
    }

    /// Upstream rule: `evictPod` in k8s.io/kubernetes `pkg/kubelet/eviction/eviction_manager.go`.
    fn take_out_of_disk(&mut self, message: String, now: Timestamp) {
        if self.state.is_ending() {
            return;
        }
        self.say(Level::Warning, EVICTED, message.clone());
        let grace = Some(EVICTION_GRACE);
        self.state.verdict = Some(Verdict { reason: EVICTED, message, at: now, refused: false, grace });
    }

    fn take_probe(&mut self, name: &str, run: &str, kind: Kind, passed: bool) {
        let grace = self.probe_grace(name, kind);
        let Some(running) = self.current(name, run).and_then(|c| c.running_mut()) else {
            return;
        };
        let verdict = match (kind, passed) {
            (Kind::Readiness, _) => {
                running.ready = passed;
                return;
            }
            (Kind::Startup, true) => {
                running.started = true;
                self.probe_started(name);
                return;
            }
            (Kind::Liveness, true) => return,
            (Kind::Startup, false) => "startup",
            (Kind::Liveness, false) => "liveness",
        };
        running.kill.get_or_insert(KillOrder {
            grace,
            message: format!("Container {name} failed {verdict} probe, will be restarted"),
        });
    }

    /// A probe's own grace, if it has one.
    fn probe_grace(&self, name: &str, kind: Kind) -> Option<SignedDuration> {
        let spec = self.spec_of(name)?;
        let probe = match kind {
            Kind::Startup => spec.startup_probe.as_ref(),
            Kind::Liveness => spec.liveness_probe.as_ref(),
            Kind::Readiness => spec.readiness_probe.as_ref(),
        };
        probe?.termination_grace_period_seconds.map(SignedDuration::from_secs)
    }

    fn take_hook(&mut self, name: &str, run: &str, outcome: Result<(), String>) {
        let Some(running) = self.current(name, run).and_then(|c| c.running_mut()) else {
            return;
        };
        match outcome {
            Ok(()) => running.hooked = true,
            Err(text) => {
                running.kill.get_or_insert(KillOrder { grace: None, message: "FailedPostStartHook".to_owned() });
                let message = format!("PostStartHook failed: {text}");
                self.say_of(name, Level::Warning, "FailedPostStartHook", message);
            }
        }
    }
}
