//! What is forgotten of a run before the next one. Pure.
//! Upstream rule: `resetSparkApplicationStatus` in the operator's `controller.go`. The submission's id is forgotten too, so
//! that a later one is known to be new.

use tinderbox_api::spark::{ApplicationState, DriverInfo, SparkApplicationStatus, State};

/// The status for the next run, which begins in `state`.
pub(super) fn reset(old: &SparkApplicationStatus, state: State) -> SparkApplicationStatus {
    let mut status = old.clone();
    let invalidated = old.application_state.state == State::Invalidating;
    status.spark_application_id.clear();
    status.submission_id.clear();
    status.driver_info = DriverInfo::default();
    status.executor_state.clear();
    status.application_state = ApplicationState { state, error_message: String::new() };
    if state != State::Suspended {
        status.termination_time = None;
    }
    if invalidated {
        status.submission_attempts = 0;
        status.execution_attempts = 0;
        status.last_submission_attempt_time = None;
    }
    status
}
