//! The events of an application, by upstream's reasons. Pure.
//! Upstream rule: `recordSparkApplicationEvent` and its neighbours in the operator's `controller.go`.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tinderbox_api::spark::{ExecutorState, SparkApplication, SparkApplicationStatus, State};
use tinderbox_client::Note;

use super::pods::{DriverState, executor_end};

/// What is said of an application in its state; nothing of most states.
pub(super) fn application(app: &SparkApplication, status: &SparkApplicationStatus) -> Option<Note> {
    let name = app.name_any();
    let why = &status.application_state.error_message;
    let (warns, reason, message) = match status.application_state.state {
        State::Submitted => {
            (false, "SparkApplicationSubmitted", format!("SparkApplication {name} was submitted successfully"))
        }
        State::SubmissionFailed => {
            (true, "SparkApplicationSubmissionFailed", format!("failed to submit SparkApplication {name}: {why}"))
        }
        State::Failed => (true, "SparkApplicationFailed", format!("SparkApplication {name} failed: {why}")),
        State::PendingRerun => {
            (true, "SparkApplicationPendingRerun", format!("SparkApplication {name} is pending rerun"))
        }
        State::Suspending => (true, "SparkApplicationSuspending", format!("SparkApplication {name} is suspending")),
        State::Suspended => (true, "SparkApplicationSuspended", format!("SparkApplication {name} is suspended")),
        State::Resuming => (true, "SparkApplicationResuming", format!("SparkApplication {name} is resuming")),
        _ => return None,
    };
    Some(if warns { Note::warning(app, reason, message) } else { Note::normal(app, reason, message) })
}

/// What is said of a driver.
pub(super) fn driver(app: &SparkApplication, state: DriverState, name: &str) -> Note {
    match state {
        DriverState::Pending => Note::normal(app, "SparkDriverPending", format!("Driver {name} is pending")),
        DriverState::Running => Note::normal(app, "SparkDriverRunning", format!("Driver {name} is running")),
        DriverState::Completed => Note::normal(app, "SparkDriverCompleted", format!("Driver {name} completed")),
        DriverState::Failed => Note::warning(app, "SparkDriverFailed", format!("Driver {name} failed")),
        DriverState::Unknown => Note::warning(app, "SparkDriverUnknown", format!("Driver {name} in unknown state")),
    }
}

/// What is said of an executor.
pub(super) fn executor(app: &SparkApplication, state: ExecutorState, pod: &Pod) -> Note {
    let name = pod.name_any();
    match state {
        ExecutorState::Pending => Note::normal(app, "SparkExecutorPending", format!("Executor {name} is pending")),
        ExecutorState::Running => Note::normal(app, "SparkExecutorRunning", format!("Executor {name} is running")),
        ExecutorState::Completed => Note::normal(app, "SparkExecutorCompleted", format!("Executor {name} completed")),
        ExecutorState::Failed => {
            let end = executor_end(pod);
            let code = end.map_or(-1, |end| end.exit_code);
            let reason = end.map_or("Unknown (Container not Found)", |end| end.reason.as_deref().unwrap_or_default());
            let said = pod.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default();
            let message =
                format!("Executor {name} failed with ExitCode: {code}, Reason: {reason}, Pod Message: {said}");
            Note::warning(app, "SparkExecutorFailed", message)
        }
        ExecutorState::Unknown => {
            Note::warning(app, "SparkExecutorUnknown", format!("Executor {name} in unknown state"))
        }
    }
}
