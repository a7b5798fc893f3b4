//! The state of a pod that ran before the node process was started anew: none of its processes is alive any more. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::model::{Container, Ended, ImageRef, PodState, RestartPolicy, Role, Rules, Run, Waiting};
use super::status::RUNTIME;

const LOST_CODE: i32 = 137;
const LOST: &str = "ContainerStatusUnknown";
const LOST_MESSAGE: &str = "The container could not be located when the pod was terminated: its node had stopped";

/// What is left of `pod`, told by its status.
pub(crate) fn state(pod: &Pod, rules: &Rules, now: Timestamp) -> PodState {
    let mut state = PodState::new(pod, now);
    let Some(status) = &pod.status else {
        return state;
    };
    if let Some(time) = &status.start_time {
        state.started_at = time.0;
    }
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let known = lists.into_iter().flatten().flatten();
    for old in known {
        if let Some(container) = state.container_mut(&old.name) {
            take_over(container, old, now);
        }
    }
    state.removed = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if state.removed {
        state.address = status.pod_ip.as_deref().and_then(|ip| ip.parse().ok());
    } else if rules.restart != RestartPolicy::Never && !state.is_over(rules) {
        // A new sandbox: what prepared the old one runs again.
        for container in state.containers.iter_mut().filter(|c| c.role == Role::Init) {
            if let Run::Ended(ended) = &container.run {
                container.last = Some(ended.clone());
                container.restarts += 1;
                container.run = Run::Waiting(Waiting::default());
            }
        }
        let begun = state.mains_begun();
        for container in state.containers.iter_mut().filter(|c| begun && c.role == Role::Main) {
            if let Run::Ended(ended) = &container.run
                && rules.restart.restarts(ended.code)
            {
                container.last = Some(ended.clone());
                container.restarts += 1;
                container.run = Run::Waiting(Waiting::default());
            }
        }
    }
    state
}

fn take_over(container: &mut Container, old: &ContainerStatus, now: Timestamp) {
    container.restarts = u32::try_from(old.restart_count).unwrap_or(0);
    container.last = old.last_state.as_ref().and_then(ended);
    if !old.image_id.is_empty() {
        container.image = Some(ImageRef { name: old.image.clone(), id: old.image_id.clone() });
    }
    let Some(state) = &old.state else { return };
    if let Some(ended) = ended(state) {
        container.run = Run::Ended(ended);
    } else if let Some(running) = &state.running {
        container.run = Run::Ended(Ended {
            id: old.container_id.as_deref().map(plain_id),
            code: LOST_CODE,
            signal: None,
            reason: LOST.to_owned(),
            message: LOST_MESSAGE.to_owned(),
            started_at: running.started_at.as_ref().map(|t| t.0),
            finished_at: now,
        });
    } else if let Some(last) = container.last.take() {
        // It waited for its restart.
        container.run = Run::Ended(last);
    }
}

fn ended(state: &ContainerState) -> Option<Ended> {
    let old = state.terminated.as_ref()?;
    Some(Ended {
        id: old.container_id.as_deref().map(plain_id),
        code: old.exit_code,
        signal: old.signal,
        reason: old.reason.clone().unwrap_or_default(),
        message: old.message.clone().unwrap_or_default(),
        started_at: old.started_at.as_ref().map(|t| t.0),
        finished_at: old.finished_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
    })
}

fn plain_id(id: &str) -> String {
    id.strip_prefix(RUNTIME).and_then(|id| id.strip_prefix("://")).unwrap_or(id).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::plan::{Action, plan};
    use serde_json::json;

    fn recovered(policy: &str, state: serde_json::Value) -> (Rules, PodState) {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"restartPolicy": policy, "initContainers": [{"name": "i"}], "containers": [{"name": "a"}]},
            "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z",
                "initContainerStatuses": [{"name": "i", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}],
                "containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 2, "state": state}]}}))
        .unwrap();
        let rules = Rules::of(&pod);
        let state = state_of(&pod, &rules);
        (rules, state)
    }

    fn state_of(pod: &Pod, rules: &Rules) -> PodState {
        state(pod, rules, now())
    }

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_pod_that_never_restarts_has_failed() {
        let (rules, state) = recovered("Never", json!({"running": {"startedAt": "2026-01-01T00:00:01Z"}}));
        let ended = state.containers[1].ended().unwrap();
        assert_eq!((ended.code, ended.reason.as_str()), (137, LOST));
        assert_eq!(plan(&rules, &state, now()).actions, [Action::Remove]);
        assert_eq!(super::super::status::phase(&rules, &state), "Failed");
    }

    #[test]
    fn others_run_again_from_their_init_containers_on() {
        let (rules, mut state) = recovered("Always", json!({"running": {"startedAt": "2026-01-01T00:00:01Z"}}));
        assert_eq!(plan(&rules, &state, now()).actions, [Action::PrepareVolumes]);
        state.volumes_ready = true;
        state.sandbox = crate::pods::model::Sandbox::Ready;
        assert_eq!(state.containers[1].restarts, 3);
        assert_eq!(plan(&rules, &state, now()).actions, [Action::Start(0)]);
    }

    #[test]
    fn what_had_ended_well_stays() {
        let (rules, state) = recovered("OnFailure", json!({"terminated": {"exitCode": 0}}));
        assert_eq!(plan(&rules, &state, now()).actions, [Action::Remove]);
        assert_eq!(super::super::status::phase(&rules, &state), "Succeeded");
    }
}
