//! The status of a pod in Kubernetes' form, made from the spec, the state and the status before: phase, conditions,
//! container statuses. Pure; it must not write anything.
//! Upstream rule: k8s.io/kubernetes `pkg/kubelet/kubelet_pods.go`, `pkg/kubelet/status/generate.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
    Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::conditions;
use super::model::{Container, Ended, PodState, RestartPolicy, Role, Rules, Run, Sandbox, Waiting};
use super::qos;

#[cfg(test)]
mod tests;

/// The scheme that container ids carry.
pub(crate) const RUNTIME: &str = "tinderbox";

/// What the node adds of its own.
pub(crate) struct NodeFacts<'a> {
    pub(crate) host_ip: &'a str,
}

/// The status of `pod` at `now`; `before` gives conditions their times of transition.
pub(crate) fn status(
    pod: &Pod,
    rules: &Rules,
    state: &PodState,
    before: &PodStatus,
    node: &NodeFacts<'_>,
    now: Timestamp,
) -> PodStatus {
    let phase = phase(rules, state);
    let refused = state.verdict.as_ref().filter(|v| v.refused);
    let statuses = |roles: &[Role]| {
        let of_roles = state.containers.iter().filter(|c| roles.contains(&c.role));
        let list: Vec<_> = of_roles.map(|c| container_status(pod, rules, state, c, now)).collect();
        (refused.is_none() && !list.is_empty()).then_some(list)
    };
    let container_statuses = statuses(&[Role::Main]);
    let init_container_statuses = statuses(&[Role::Init, Role::Sidecar]);
    let ephemeral_container_statuses = statuses(&[Role::Ephemeral]);
    let host_network = pod.spec.as_ref().and_then(|s| s.host_network) == Some(true);
    let address = match state.address {
        _ if host_network && state.sandbox == Sandbox::Ready => Some(node.host_ip.to_owned()),
        Some(address) => Some(address.to_string()),
        None => before.pod_ip.clone(),
    };
    PodStatus {
        conditions: Some(conditions(pod, state, phase, before, now)),
        phase: Some(phase.to_owned()),
        reason: state.verdict.as_ref().map(|v| v.reason.to_owned()),
        message: state.verdict.as_ref().map(|v| v.message.clone()),
        host_ip: Some(node.host_ip.to_owned()),
        host_ips: Some(vec![HostIP { ip: node.host_ip.to_owned() }]),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        start_time: Some(before.start_time.clone().unwrap_or(Time(state.started_at))),
        qos_class: Some(qos::class(pod).to_owned()),
        observed_generation: pod.metadata.generation,
        container_statuses,
        init_container_statuses,
        ephemeral_container_statuses,
        nominated_node_name: before.nominated_node_name.clone(),
        ..PodStatus::default()
    }
}

/// The phase, by Kubernetes' rules.
pub(crate) fn phase(rules: &Rules, state: &PodState) -> &'static str {
    let verdict = state.verdict.is_some();
    let final_phase = state.removed || (state.is_ending() && !state.any_running());
    if verdict && final_phase {
        return "Failed";
    }
    let failed_init = state.of_role(Role::Init).any(|c| c.ended().is_some_and(|e| e.code != 0));
    let over = state.is_over(rules);
    let all_zero = state.of_role(Role::Main).all(|c| c.ended().is_some_and(|e| e.code == 0));
    if over || final_phase {
        // Sidecars may still be on their way out: the pod is done when nothing runs any more.
        if state.any_running() {
            return "Running";
        }
        let never_began = !state.mains_begun();
        return match (all_zero, failed_init || never_began) {
            (true, false) => "Succeeded",
            _ => "Failed",
        };
    }
    let begun = |c: &Container| match &c.run {
        Run::Running(_) | Run::Ended(_) => true,
        Run::Waiting(_) | Run::Starting => c.last.is_some(),
    };
    let initialised = state.mains_begun() || state.of_role(Role::Init).all(|c| c.ended().is_some_and(|e| e.code == 0));
    if initialised && state.of_role(Role::Main).all(begun) { "Running" } else { "Pending" }
}

fn container_status(
    pod: &Pod,
    rules: &Rules,
    state: &PodState,
    container: &Container,
    now: Timestamp,
) -> ContainerStatus {
    let mut last = container.last.as_ref();
    let state_now = match &container.run {
        Run::Running(running) => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(running.started_at)) }),
            ..Default::default()
        },
        Run::Ended(ended) => match back_off(pod, rules, state, container, ended, now) {
            Some(waiting) => {
                last = Some(ended);
                waiting
            }
            None => terminated(ended),
        },
        Run::Waiting(Waiting { reason, message, .. }) if !reason.is_empty() => waiting(reason, message),
        Run::Waiting(_) | Run::Starting => waiting(default_reason(state), ""),
    };
    ContainerStatus {
        name: container.name.clone(),
        ready: is_ready(container),
        started: Some(container.running().is_some_and(super::model::Running::is_started)),
        restart_count: i32::try_from(container.restarts).unwrap_or(i32::MAX),
        image: container.image.as_ref().map_or_else(|| image_of(pod, &container.name), |i| i.name.clone()),
        image_id: container.image.as_ref().map(|i| i.id.clone()).unwrap_or_default(),
        container_id: match &container.run {
            Run::Running(running) => Some(container_id(&running.id)),
            Run::Ended(ended) => ended.id.as_deref().map(container_id),
            _ => last.and_then(|l| l.id.as_deref()).map(container_id),
        },
        last_state: Some(last.map(terminated).unwrap_or_default()),
        state: Some(state_now),
        ..ContainerStatus::default()
    }
}

/// The image that the spec asks for.
fn image_of(pod: &Pod, container: &str) -> String {
    let spec = pod.spec.as_ref();
    let plain = spec.into_iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
    let plain = plain.map(|c| (&c.name, &c.image));
    let added = spec.into_iter().flat_map(|s| s.ephemeral_containers.iter().flatten()).map(|c| (&c.name, &c.image));
    let found = plain.chain(added).find(|(name, _)| *name == container);
    found.and_then(|(_, image)| image.clone()).unwrap_or_default()
}

/// Whether a container counts as ready; init containers do once they are done, ephemeral ones never.
pub(crate) fn is_ready(container: &Container) -> bool {
    match (&container.run, container.role) {
        (Run::Ended(ended), Role::Init) => ended.code == 0,
        (_, Role::Ephemeral) => false,
        (Run::Running(running), _) => running.is_ready(),
        _ => false,
    }
}

/// `tinderbox://ID`.
pub(crate) fn container_id(id: &str) -> String {
    format!("{RUNTIME}://{id}")
}

/// Why a container waits that nothing else is known of; init containers make all of a pod say so.
fn default_reason(state: &PodState) -> &'static str {
    let mut roles = state.containers.iter().map(|container| container.role);
    if roles.any(|role| matches!(role, Role::Init | Role::Sidecar)) { "PodInitializing" } else { "ContainerCreating" }
}

/// `CrashLoopBackOff`, while a crashed container waits for its restart.
fn back_off(
    pod: &Pod,
    rules: &Rules,
    state: &PodState,
    container: &Container,
    ended: &Ended,
    now: Timestamp,
) -> Option<ContainerState> {
    let restarts = match container.role {
        Role::Sidecar => true,
        Role::Init => ended.code != 0 && rules.restart != RestartPolicy::Never,
        Role::Main => rules.restart.restarts(ended.code),
        Role::Ephemeral => false,
    };
    if !restarts || state.is_ending() || state.removed || state.is_over(rules) {
        return None;
    }
    let (delay, until) = container.backoff.wait(ended.finished_at)?;
    (now < until).then(|| waiting("CrashLoopBackOff", &back_off_message(pod, container, delay)))
}

/// Kubernetes' words for a container that waits after a crash.
pub(crate) fn back_off_message(pod: &Pod, container: &Container, delay: jiff::SignedDuration) -> String {
    format!("back-off {} restarting failed container={} pod={}", go_duration(delay), container.name, pod_id(pod))
}

/// `name_namespace(uid)`.
pub(crate) fn pod_id(pod: &Pod) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}_{}({})", part(&pod.metadata.name), part(&pod.metadata.namespace), part(&pod.metadata.uid))
}

fn go_duration(duration: jiff::SignedDuration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then(|| message.to_owned()),
        }),
        ..Default::default()
    }
}

fn terminated(ended: &Ended) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: ended.id.as_deref().map(container_id),
            exit_code: ended.code,
            signal: ended.signal,
            reason: Some(ended.reason.clone()),
            message: (!ended.message.is_empty()).then(|| ended.message.clone()),
            started_at: ended.started_at.map(Time),
            finished_at: Some(Time(ended.finished_at)),
        }),
        ..Default::default()
    }
}

/// The condition of one type, if it is there.
pub(crate) fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|c| c.type_ == kind)
}
