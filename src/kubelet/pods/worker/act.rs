//! Carries out what the plan decided, and writes the outcome into the state.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use tokio_util::task::AbortOnDropHandle;

use super::{Input, Worker};
use crate::events::Level;
use crate::image::{Arrival, Brought, ImageError, Policy};
use crate::pods::model::{Run, Sandbox, Stage, Stopping};
use crate::pods::plan::Action;
use crate::pods::status::pod_id;
use crate::probes::check::Check;

const DELETE_PAUSE: Duration = Duration::from_millis(500);

impl Worker {
    pub(super) async fn act(&mut self, action: Action) {
        let now = Timestamp::now();
        match action {
            Action::PrepareVolumes => self.prepare_volumes(now).await,
            Action::CreateSandbox => self.create_sandbox(now).await,
            Action::Start(index) => self.start(index, now).await,
            Action::ReportBackOff(index) => self.report_back_off(index),
            Action::ReportPullBackOff(index) => self.report_pull_back_off(index),
            Action::Stop { container, deadline, message } => self.stop(container, deadline, message),
            Action::Terminate { container, deadline } => self.terminate(container, deadline).await,
            Action::Kill(index) => self.kill(index).await,
            Action::Fail(verdict) => {
                self.say(Level::Normal, verdict.reason, verdict.message.clone());
                self.state.verdict = Some(verdict);
            }
            Action::Remove => self.remove().await,
            Action::Delete => self.delete().await,
        }
    }

    async fn start(&mut self, index: usize, now: Timestamp) {
        let container = &mut self.state.containers[index];
        container.begin(now);
        container.run = Run::Starting;
        let name = container.name.clone();
        let spec = self.spec_of(&name);
        let image = spec.and_then(|c| c.image.clone()).unwrap_or_default();
        let policy = Policy::of(spec.and_then(|c| c.image_pull_policy.as_deref()), &image);
        if let Some(known) = self.images.get(&image).cloned()
            && (policy != Policy::Always || known.unpacked.is_none())
        {
            self.say_of(&name, Level::Normal, "Pulled", present(&image));
            self.launch(&name, &known).await;
            return;
        }
        let context = self.context.clone();
        let (pod, sender) = (self.pod.clone(), self.sender.clone());
        let container = name.clone();
        let secrets = self.pull_secrets();
        let resolving = tokio::spawn(async move {
            let say = |level, reason, text| {
                context.events.container(&pod, &container, level, reason, text);
            };
            let begins = || say(Level::Normal, "Pulling", format!("Pulling image \"{image}\""));
            let keyring = super::secrets::keyring(&context, &pod, &secrets).await;
            let outcome = context.images.ensure(&image, policy, &keyring, &begins).await;
            match &outcome {
                Ok((_, Arrival::Present)) => say(Level::Normal, "Pulled", present(&image)),
                Ok((_, Arrival::Brought(bringing))) => say(Level::Normal, "Pulled", pulled(&image, bringing)),
                Err(error @ ImageError::Never { .. }) => say(Level::Warning, "ErrImageNeverPull", error.to_string()),
                Err(_) => {}
            }
            let input = Input::Image { container, name: image, outcome: outcome.map(|(image, _)| image) };
            // The worker may be gone meanwhile.
            let _ = sender.send(input);
        });
        self.tasks.insert(name, vec![AbortOnDropHandle::new(resolving)]);
    }

    fn report_back_off(&mut self, index: usize) {
        let container = &mut self.state.containers[index];
        container.backoff.reported = true;
        let name = container.name.clone();
        let message = format!("Back-off restarting failed container {name} in pod {}", pod_id(&self.pod));
        self.say_of(&name, Level::Warning, "BackOff", message);
    }

    fn report_pull_back_off(&mut self, index: usize) {
        let name = self.state.containers[index].name.clone();
        let image = self.spec_of(&name).and_then(|c| c.image.clone()).unwrap_or_default();
        let container = &mut self.state.containers[index];
        if let Run::Waiting(waiting) = &mut container.run {
            let word = format!("Back-off pulling image \"{image}\"");
            waiting.message = format!("{word}: {}: {}", waiting.reason, waiting.message);
            waiting.reason = "ImagePullBackOff";
            self.say_of(&name, Level::Normal, "BackOff", word);
            self.say_of(&name, Level::Warning, "Failed", "Error: ImagePullBackOff".to_owned());
        }
    }

    fn stop(&mut self, index: usize, deadline: Timestamp, message: Option<String>) {
        let force = self.state.deletion.is_some_and(|deletion| deletion.force);
        let container = &mut self.state.containers[index];
        let name = container.name.clone();
        let hook = container.pre_stop && !force;
        let Some(running) = container.running_mut() else {
            return;
        };
        let run = running.id.clone();
        running.stopping = Some(Stopping { deadline, stage: if hook { Stage::PreStop } else { Stage::HookDone } });
        let message = message.unwrap_or_else(|| format!("Stopping container {name}"));
        self.say_of(&name, Level::Normal, "Killing", message);
        // Probes have nothing more to decide.
        self.tasks.remove(&name);
        if hook {
            self.run_pre_stop(&name, run, deadline);
        }
    }

    fn run_pre_stop(&mut self, name: &str, run: String, deadline: Timestamp) {
        let lifecycle = self.spec_of(name).and_then(|c| c.lifecycle.as_ref());
        let hook = lifecycle.and_then(|l| l.pre_stop.clone());
        let (Some(hook), Some(target)) = (hook, self.target(name)) else {
            return;
        };
        let limit = super::until(Some(deadline));
        let (sender, container, pod) = (self.sender.clone(), name.to_owned(), self.pod.clone());
        let task = tokio::spawn(async move {
            let outcome = target.check(&Check::of_hook(&hook), limit).await;
            if let Err(text) = outcome {
                let text = format!("PreStopHook failed: {text}");
                target.context.events.container(&pod, &container, Level::Warning, "FailedPreStopHook", text);
            }
            let _ = sender.send(Input::Stopped { container, run });
        });
        self.tasks.insert(name.to_owned(), vec![AbortOnDropHandle::new(task)]);
    }

    async fn terminate(&mut self, index: usize, deadline: Timestamp) {
        let name = self.state.containers[index].name.clone();
        let signal = self.stop_signal(&name);
        let Some(running) = self.state.containers[index].running_mut() else {
            return;
        };
        let run = running.id.clone();
        let force = self.state.deletion.is_some_and(|deletion| deletion.force);
        let (stage, signal) = if force { (Stage::Forced, libc::SIGKILL) } else { (Stage::Asked, signal) };
        running.stopping = Some(Stopping { deadline, stage });
        self.signal(&run, signal).await;
    }

    async fn kill(&mut self, index: usize) {
        let Some(running) = self.state.containers[index].running_mut() else {
            return;
        };
        let run = running.id.clone();
        if let Some(stopping) = &mut running.stopping {
            stopping.stage = Stage::Forced;
        }
        self.signal(&run, libc::SIGKILL).await;
    }

    pub(super) async fn signal(&self, run: &str, signal: i32) {
        if let Err(error) = self.context.place.signal(run, signal).await {
            // It has ended already: its exit is on the way.
            tracing::debug!(%error, run, signal, "a signal was not delivered");
        }
    }

    fn stop_signal(&self, name: &str) -> i32 {
        let lifecycle = self.spec_of(name).and_then(|c| c.lifecycle.as_ref());
        let wanted = lifecycle.and_then(|l| l.stop_signal.as_deref());
        let image = self.spec_of(name).and_then(|c| self.images.get(c.image.as_deref()?));
        let of_image = image.and_then(|image| image.unpacked.as_ref()?.stop_signal.as_deref());
        wanted.or(of_image).and_then(signal_number).unwrap_or(libc::SIGTERM)
    }

    /// Removes sandbox and volumes for good.
    async fn remove(&mut self) {
        for container in &mut self.state.containers {
            if container.run == Run::Starting {
                container.run = Run::Waiting(crate::pods::model::Waiting::default());
            }
        }
        self.tasks.clear();
        self.runs.clear();
        self.disk = None;
        if self.state.sandbox == Sandbox::Ready
            && let Err(error) = self.context.place.remove_pod(&self.uid).await
        {
            tracing::warn!(%error, pod = pod_id(&self.pod), "cannot remove a pod's sandbox");
        }
        self.state.sandbox = Sandbox::None;
        self.address = None;
        self.state.volumes_ready = false;
        if let Err(error) = self.volumes.clean() {
            tracing::warn!(%error, pod = pod_id(&self.pod), "cannot remove a pod's volumes");
        }
        self.watched.clear();
        self._forwarders.clear();
        self.images.clear();
        self.state.removed = true;
    }

    /// Deletes the object for good, once its last status is written.
    async fn delete(&mut self) {
        self.publish(Timestamp::now());
        self.writer.flush().await;
        let namespace = self.pod.metadata.namespace.clone().unwrap_or_default();
        let name = self.pod.metadata.name.clone().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &namespace);
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(self.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        loop {
            match api.delete(&name, &params).await {
                Ok(_) => break,
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => break,
                Err(error) => {
                    tracing::warn!(%error, pod = pod_id(&self.pod), "cannot delete a pod; trying again");
                    tokio::time::sleep(DELETE_PAUSE).await;
                }
            }
        }
        self.state.deleted = true;
    }

    /// The running container as probes and hooks see it.
    pub(super) fn target(&self, name: &str) -> Option<Arc<crate::probes::check::Target>> {
        let container = self.state.containers.iter().find(|c| c.name == name)?;
        let spec = self.spec_of(name)?;
        Some(Arc::new(crate::probes::check::Target {
            context: self.context.clone(),
            container: name.to_owned(),
            run: container.running()?.id.clone(),
            address: self.state.address.unwrap_or(self.context.host_ip),
            ports: spec.ports.clone().unwrap_or_default(),
            group: self.runs.get(name).and_then(|process| process.group.clone()),
        }))
    }
}

/// The number of a signal by its name, with `SIG` or without, or by its number, as images write it.
fn signal_number(text: &str) -> Option<i32> {
    use nix::sys::signal::Signal;
    let by_number = text.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    let by_name = || format!("SIG{}", text.to_uppercase().trim_start_matches("SIG")).parse().ok();
    by_number.or_else(by_name).map(|signal: Signal| signal as i32)
}

/// What upstream says of an image that need not be fetched.
fn present(image: &str) -> String {
    format!("Container image \"{image}\" already present on machine")
}

/// What upstream says of an image that was fetched, with Go's words for times. The size of a native image is nobody's business.
fn pulled(image: &str, brought: &Brought) -> String {
    let words = |took: Duration| match took.as_millis() {
        short @ 0..1000 => format!("{short}ms"),
        _ => format!("{:.3}s", took.as_secs_f64()),
    };
    let (took, waited) = (words(brought.took), words(brought.waited));
    let size = brought.size.map(|size| format!(". Image size: {size} bytes.")).unwrap_or_default();
    format!("Successfully pulled image \"{image}\" in {took} ({waited} including waiting){size}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        for (text, number) in
            [("SIGQUIT", Some(3)), ("quit", Some(3)), ("9", Some(9)), ("SIGRTMIN+3", None), ("999", None), ("", None)]
        {
            assert_eq!(signal_number(text), number, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_go_does() {
        let brought = Brought { took: Duration::from_millis(1500), waited: Duration::from_millis(40), size: Some(7) };
        let text = "Successfully pulled image \"x\" in 1.500s (40ms including waiting). Image size: 7 bytes.";
        assert_eq!(pulled("x", &brought), text);
    }
}
