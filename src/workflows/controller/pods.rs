//! What a pod's state says of its node. Pure.
//! Upstream rule: `assessNodeStatus` and `inferFailedReason` in `workflow/controller/operator.go` of argoproj/argo-workflows.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt;
use tinderbox_api::workflows::{NodePhase, labels};

use crate::view::PodView;
use crate::{caller, outlet};

/// The name of the main container.
pub(super) const MAIN: &str = "main";

/// A pod as its node sees it.
pub(super) fn view(pod: &Pod) -> PodView {
    let status = pod.status.clone().unwrap_or_default();
    let mut view = PodView {
        labels: pod.labels().clone(),
        ip: status.pod_ip.clone(),
        host: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        ..PodView::default()
    };
    let statuses = status.container_statuses.clone().unwrap_or_default();
    let mains = mains(pod);
    for name in &mains {
        if name != MAIN || mains.len() > 1 {
            let of = statuses.iter().find(|status| status.name == *name);
            view.containers.insert(name.clone(), container(of));
        }
    }
    let ends: Vec<(&str, &ContainerStateTerminated)> =
        mains.iter().filter_map(|name| Some((name.as_str(), ended(&statuses, name)?))).collect();
    let all_ended = !mains.is_empty() && ends.len() == mains.len();
    view.ready = !statuses.is_empty() && statuses.iter().all(|status| status.ready)
        || status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    if let Some((_, end)) = ends.iter().find(|(name, _)| *name == MAIN).or(ends.last()) {
        view.exit_code = Some(end.exit_code);
        let message = end.message.clone().unwrap_or_default();
        if message.trim() == outlet::IN_LOG {
            view.awaiting_outputs = true;
        } else if reports(pod) {
            let report = outlet::read(&message);
            (view.outputs, view.answer) = (report.outputs, report.answer);
        }
    }
    let phase = status.phase.as_deref().unwrap_or("Pending");
    (view.phase, view.message) = match phase {
        "Pending" => (NodePhase::Pending, pending(pod)),
        "Succeeded" => (NodePhase::Succeeded, None),
        "Failed" => failed(pod, &ends),
        "Running" if all_ended => match ends.iter().find(|(_, end)| end.exit_code != 0) {
            Some(_) => failed(pod, &ends),
            None => (NodePhase::Succeeded, None),
        },
        "Running" => (NodePhase::Running, None),
        other => (NodePhase::Error, Some(format!("Unexpected pod phase: {other}"))),
    };
    if asks(pod) && view.phase == NodePhase::Succeeded && view.answer.is_none() && !view.awaiting_outputs {
        view.phase = NodePhase::Error;
        view.message = Some("the pod of the request ended without a report of it".to_owned());
    }
    if !view.phase.is_fulfilled() {
        view.awaiting_outputs = false;
        view.exit_code = None;
    }
    view
}

/// Names of the containers that decide: the main one, or those of a container set.
fn mains(pod: &Pod) -> Vec<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let names: Vec<String> = containers
        .filter(|one| {
            let mounts = one.volume_mounts.iter().flatten();
            one.name == MAIN || mounts.into_iter().any(|mount| mount.name == "argo-ctr")
        })
        .map(|one| one.name.clone())
        .collect();
    names
}

/// Whether the termination message is a report, and not a message.
fn reports(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let main = containers.into_iter().find(|one| one.name == MAIN);
    asks(pod) || main.is_some_and(|main| main.env.iter().flatten().any(|env| env.name == "ARGO_OUTPUTS"))
}

/// Whether a pod makes the request of an http template.
fn asks(pod: &Pod) -> bool {
    pod.annotations().contains_key(caller::REQUEST)
}

fn ended<'a>(statuses: &'a [ContainerStatus], name: &str) -> Option<&'a ContainerStateTerminated> {
    statuses.iter().find(|status| status.name == name)?.state.as_ref()?.terminated.as_ref()
}

fn container(status: Option<&ContainerStatus>) -> (NodePhase, Option<i32>) {
    let state = status.and_then(|status| status.state.as_ref());
    match state.map(|state| (&state.running, &state.terminated)) {
        Some((_, Some(end))) if end.exit_code == 0 => (NodePhase::Succeeded, Some(0)),
        Some((_, Some(end))) => (NodePhase::Failed, Some(end.exit_code)),
        Some((Some(_), None)) => (NodePhase::Running, None),
        _ => (NodePhase::Pending, None),
    }
}

/// Why a pod waits.
fn pending(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let scheduled = status.conditions.iter().flatten().find(|one| one.type_ == "PodScheduled" && one.status == "False");
    if let Some(condition) = scheduled {
        let reason = condition.reason.as_deref().unwrap_or_default();
        return Some(format!("{reason}: {}", condition.message.as_deref().unwrap_or_default()));
    }
    let statuses = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let waiting = statuses.filter_map(|one| one.state.as_ref()?.waiting.as_ref()).find(|one| one.reason.is_some())?;
    let reason = waiting.reason.clone().unwrap_or_default();
    Some(match waiting.message.as_deref().filter(|message| !message.is_empty()) {
        Some(message) => format!("{reason}: {message}"),
        None => reason,
    })
}

/// How a container's end is told.
fn told(name: &str, end: &ContainerStateTerminated, with_message: bool) -> String {
    let reason = end.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("Error");
    let mut text = format!("{name}: {reason} (exit code {})", end.exit_code);
    if let Some(message) = end.message.as_deref().filter(|message| with_message && !message.is_empty()) {
        text.push_str(": ");
        text.push_str(message.trim());
    }
    text
}

fn failed(pod: &Pod, ends: &[(&str, &ContainerStateTerminated)]) -> (NodePhase, Option<String>) {
    let status = pod.status.clone().unwrap_or_default();
    if let Some(reason) = status.reason.as_deref().filter(|reason| !reason.is_empty()) {
        let phase = if reason == "DeadlineExceeded" { NodePhase::Failed } else { NodePhase::Error };
        let message = status.message.filter(|message| !message.is_empty());
        return (phase, Some(message.unwrap_or_else(|| reason.to_owned())));
    }
    for one in status.init_container_statuses.iter().flatten() {
        if let Some(end) =
            one.state.as_ref().and_then(|state| state.terminated.as_ref()).filter(|end| end.exit_code != 0)
        {
            return (NodePhase::Error, Some(told(&one.name, end, true)));
        }
    }
    if let Some((name, end)) = ends.iter().find(|(_, end)| end.exit_code != 0) {
        return (NodePhase::Failed, Some(told(name, end, !reports(pod))));
    }
    if !ends.is_empty() {
        // Only what ran beside the main container failed, as it does when it is ended.
        return sidecars(pod);
    }
    let message = status.message.filter(|message| !message.is_empty());
    (
        NodePhase::Error,
        Some(message.unwrap_or_else(|| format!("pod {} failed and says nothing of why", pod.name_any()))),
    )
}

fn sidecars(pod: &Pod) -> (NodePhase, Option<String>) {
    let statuses = pod.status.iter().filter_map(|status| status.container_statuses.as_ref()).flatten();
    for one in statuses {
        let end = one.state.as_ref().and_then(|state| state.terminated.as_ref());
        if let Some(end) = end.filter(|end| !matches!(end.exit_code, 0 | 137 | 143)) {
            return (NodePhase::Failed, Some(told(&one.name, end, true)));
        }
    }
    (NodePhase::Succeeded, None)
}

/// Whether a pod has containers beside those that decide.
pub(super) fn has_sidecars(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.containers.len() > mains(pod).len())
}

/// Whether the controller has marked a pod as seen to its end.
pub(super) fn is_marked(pod: &Pod) -> bool {
    pod.labels().get(labels::COMPLETED).is_some_and(|completed| completed == "true")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value, env: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "main", "env": env}, {"name": "side"}]}, "status": status,
        }))
        .unwrap()
    }

    fn end(name: &str, code: i32, message: &str) -> Value {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "message": message}}})
    }

    #[test]
    fn the_main_container_decides() {
        for (status, phase, message) in [
            (json!({}), NodePhase::Pending, None),
            (json!({"phase": "Running"}), NodePhase::Running, None),
            (json!({"phase": "Running", "containerStatuses": [end("main", 0, "")]}), NodePhase::Succeeded, None),
            (
                json!({"phase": "Running", "containerStatuses": [end("main", 2, "why")]}),
                NodePhase::Failed,
                Some("main: Error (exit code 2): why"),
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [end("main", 0, ""), end("side", 137, "")]}),
                NodePhase::Succeeded,
                None,
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [end("main", 0, ""), end("side", 1, "")]}),
                NodePhase::Failed,
                Some("side: Error (exit code 1)"),
            ),
            (
                json!({"phase": "Failed", "initContainerStatuses": [end("init", 1, "")]}),
                NodePhase::Error,
                Some("init: Error (exit code 1)"),
            ),
            (
                json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "late"}),
                NodePhase::Failed,
                Some("late"),
            ),
            (json!({"phase": "Failed", "reason": "Evicted", "message": "full"}), NodePhase::Error, Some("full")),
            (json!({"phase": "Failed"}), NodePhase::Error, Some("pod p failed and says nothing of why")),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]}),
                NodePhase::Pending,
                Some("Unschedulable: 0/1"),
            ),
        ] {
            let seen = view(&pod(status.clone(), json!([])));
            assert_eq!((seen.phase, seen.message.as_deref()), (phase, message), "{status}");
        }
    }

    #[test]
    fn the_termination_message_is_the_report() {
        let env = json!([{"name": "ARGO_OUTPUTS", "value": "a=/tmp/a"}]);
        let status = json!({"phase": "Succeeded", "containerStatuses": [end("main", 0, "=result aGkK\na eA==\n")]});
        let seen = view(&pod(status, env.clone()));
        assert_eq!(seen.outputs.result.as_deref(), Some("hi"));
        assert_eq!(seen.outputs.parameters[0].value.clone().unwrap().0, "x");
        let seen = view(&pod(
            json!({"phase": "Succeeded", "containerStatuses": [end("main", 0, "outputs are in the log\n")]}),
            env,
        ));
        assert!(seen.awaiting_outputs);
        let log = "hello\n::argo-outputs::PXJlc3VsdCBhR2tLCg==\n";
        assert_eq!(outlet::read_log(log).unwrap().outputs.result.as_deref(), Some("hi"));
    }
}
