//! The states of an application's executors, from their pods and from what was known of those that are gone. Pure.
//! Upstream rule: `updateExecutorState` in the operator's `controller.go`.

use kube::ResourceExt;
use tinderbox_api::spark::{ExecutorState, SparkApplicationStatus, State, labels};
use tinderbox_client::Plan;

use super::notes;
use super::observed::Observed;
use super::pods::executor_state;

/// Executors of higher numbers are not written down.
const TRACKED: u32 = 1000;

/// Brings the executors in `status` up to date, and says what changed.
pub(super) fn update(observed: &Observed, status: &mut SparkApplicationStatus, plan: &mut Plan) {
    let mut seen = Vec::new();
    for pod in &observed.executors {
        let number = pod.labels().get(labels::EXECUTOR_ID).and_then(|id| id.parse::<u32>().ok());
        if number.is_some_and(|number| number > TRACKED) {
            continue;
        }
        let (name, state) = (pod.name_any(), executor_state(pod));
        if status.executor_state.get(&name) != Some(&state) {
            plan.note(notes::executor(&observed.app, state, pod));
        }
        if let Some(id) = pod.labels().get(labels::SELECTOR) {
            status.spark_application_id.clone_from(id);
        }
        status.executor_state.insert(name.clone(), state);
        seen.push(name);
    }
    let now = status.application_state.state;
    for (name, state) in &mut status.executor_state {
        if !state.is_terminated() && !seen.contains(name) {
            *state = match now {
                State::Running => ExecutorState::Unknown,
                // Spark takes its executors away at its end: gone is done.
                State::Completed | State::Succeeding => ExecutorState::Completed,
                _ => ExecutorState::Failed,
            };
        }
    }
}
