//! The conditions of a pod, with the times at which they turned. Pure.
//! Upstream rule: k8s.io/kubernetes `pkg/kubelet/status/generate.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::model::{Container, PodState, Role, Sandbox};
use super::status::{condition, is_ready};

struct Word {
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Word {
    const YES: Self = Self { status: true, reason: None, message: None };

    fn no(reason: &'static str, message: impl Into<Option<String>>) -> Self {
        Self { status: false, reason: Some(reason), message: message.into() }
    }
}

/// The conditions that the node owns; those of others are theirs and stay out.
pub(super) fn conditions(
    pod: &Pod,
    state: &PodState,
    phase: &str,
    before: &PodStatus,
    now: Timestamp,
) -> Vec<PodCondition> {
    let containers = containers_ready(state, phase);
    let ready = ready(pod, before, &containers);
    let sandbox = match state.sandbox {
        Sandbox::Ready => Word::YES,
        Sandbox::None => Word { status: false, reason: None, message: None },
    };
    [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialised(state, phase)),
        ("Ready", ready),
        ("ContainersReady", containers),
        ("PodScheduled", Word::YES),
    ]
    .into_iter()
    .map(|(kind, word)| turn(kind, word, before, now))
    .collect()
}

fn turn(kind: &str, word: Word, before: &PodStatus, now: Timestamp) -> PodCondition {
    let status = if word.status { "True" } else { "False" };
    let known = condition(before, kind).filter(|c| c.status == status);
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: word.reason.map(str::to_owned),
        message: word.message,
        last_transition_time: known.and_then(|c| c.last_transition_time.clone()).or(Some(Time(now))),
        ..PodCondition::default()
    }
}

fn names<'a>(containers: impl Iterator<Item = &'a Container>) -> String {
    let names: Vec<_> = containers.map(|c| c.name.as_str()).collect();
    format!("[{}]", names.join(" "))
}

fn initialised(state: &PodState, phase: &str) -> Word {
    if phase == "Succeeded" {
        return Word { reason: Some("PodCompleted"), ..Word::YES };
    }
    let begun = state.mains_begun();
    let waits = |c: &&Container| match c.role {
        _ if begun => false,
        Role::Main | Role::Ephemeral => false,
        Role::Init => c.ended().is_none_or(|ended| ended.code != 0),
        Role::Sidecar => c.running().is_none_or(|running| !running.is_started()),
    };
    if state.containers.iter().any(|c| waits(&c)) {
        let list = names(state.containers.iter().filter(waits));
        return Word::no("ContainersNotInitialized", format!("containers with incomplete status: {list}"));
    }
    Word::YES
}

fn containers_ready(state: &PodState, phase: &str) -> Word {
    match phase {
        "Succeeded" => return Word::no("PodCompleted", None),
        "Failed" => return Word::no("PodFailed", None),
        _ => {}
    }
    let unready = |c: &&Container| !matches!(c.role, Role::Init | Role::Ephemeral) && !is_ready(c);
    if state.containers.iter().any(|c| unready(&c)) {
        let list = names(state.containers.iter().filter(unready));
        return Word::no("ContainersNotReady", format!("containers with unready status: {list}"));
    }
    Word::YES
}

fn ready(pod: &Pod, before: &PodStatus, containers: &Word) -> Word {
    if !containers.status {
        return Word { status: false, reason: containers.reason, message: containers.message.clone() };
    }
    let gates = pod.spec.as_ref().and_then(|s| s.readiness_gates.as_deref());
    let lacking = gates.into_iter().flatten().find_map(|gate| match condition(before, &gate.condition_type) {
        None => {
            Some(format!("corresponding condition of pod readiness gate \"{}\" does not exist.", gate.condition_type))
        }
        Some(c) if c.status != "True" => Some(format!(
            "the status of pod readiness gate \"{}\" is not \"True\", but {}",
            gate.condition_type, c.status
        )),
        Some(_) => None,
    });
    match lacking {
        Some(message) => Word::no("ReadinessGatesNotReady", message),
        None => Word::YES,
    }
}
