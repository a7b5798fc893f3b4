//! What the pods of an application say about it: the states of driver and executors. Pure.
//! Upstream rule: `GetDriverState` and `GetExecutorState` in `pkg/util/sparkapplication.go` of kubeflow/spark-operator.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use tinderbox_api::spark::{ExecutorState, State};

use crate::submission::{DRIVER_CONTAINER, EXECUTOR_CONTAINER};

/// The state of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DriverState {
    Pending,
    Running,
    Completed,
    Failed,
    Unknown,
}

impl DriverState {
    pub(super) fn is_terminated(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    /// The state of an application with such a driver.
    pub(super) fn of_application(self) -> State {
        match self {
            Self::Pending => State::Submitted,
            Self::Running => State::Running,
            Self::Completed => State::Succeeding,
            Self::Failed => State::Failing,
            Self::Unknown => State::Unknown,
        }
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

fn ended<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStateTerminated> {
    let statuses = pod.status.as_ref()?.container_statuses.as_deref()?;
    statuses.iter().find(|status| status.name == name)?.state.as_ref()?.terminated.as_ref()
}

/// How Spark's container in a driver pod ended.
pub(super) fn driver_end(pod: &Pod) -> Option<&ContainerStateTerminated> {
    ended(pod, DRIVER_CONTAINER)
}

/// How Spark's container in an executor pod ended.
pub(super) fn executor_end(pod: &Pod) -> Option<&ContainerStateTerminated> {
    ended(pod, EXECUTOR_CONTAINER).or_else(|| ended(pod, "executor"))
}

/// The state of a driver: sidecars do not count, Spark's container does.
pub(super) fn driver_state(pod: &Pod) -> DriverState {
    let code = driver_end(pod).map(|end| end.exit_code);
    match (phase(pod), code) {
        ("Pending", _) => DriverState::Pending,
        ("Running", None) => DriverState::Running,
        ("Succeeded", _) | ("Running" | "Failed", Some(0)) => DriverState::Completed,
        ("Running" | "Failed", _) => DriverState::Failed,
        _ => DriverState::Unknown,
    }
}

/// The state of an executor.
pub(crate) fn executor_state(pod: &Pod) -> ExecutorState {
    match phase(pod) {
        "Pending" => ExecutorState::Pending,
        "Running" => ExecutorState::Running,
        "Succeeded" => ExecutorState::Completed,
        "Failed" => ExecutorState::Failed,
        _ => ExecutorState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(phase: &str, containers: Value) -> Pod {
        serde_json::from_value(json!({"status": {"phase": phase, "containerStatuses": containers}})).unwrap()
    }

    fn end(name: &str, code: i32) -> Value {
        json!([{"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code}}}])
    }

    #[test]
    fn sparks_container_decides() {
        for (phase, containers, wanted) in [
            ("Pending", json!([]), DriverState::Pending),
            ("Running", json!([]), DriverState::Running),
            ("Running", end("sidecar", 1), DriverState::Running),
            ("Running", end(DRIVER_CONTAINER, 0), DriverState::Completed),
            ("Running", end(DRIVER_CONTAINER, 1), DriverState::Failed),
            ("Failed", end(DRIVER_CONTAINER, 0), DriverState::Completed),
            ("Failed", end("sidecar", 0), DriverState::Failed),
            ("Succeeded", json!([]), DriverState::Completed),
            ("Odd", json!([]), DriverState::Unknown),
        ] {
            assert_eq!(driver_state(&pod(phase, containers.clone())), wanted, "{phase} {containers}");
        }
    }
}
