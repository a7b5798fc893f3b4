//! Whether an application is run again, and when: N retries are N+1 attempts, and each wait is longer by one interval. Pure.
//! Upstream rule: `ShouldRetry` and `TimeUntilNextRetryDue` in `pkg/util/sparkapplication.go` of kubeflow/spark-operator.

use std::time::Duration;

use jiff::Timestamp;
use tinderbox_api::spark::{RestartType, SparkApplicationSpec, SparkApplicationStatus, State};
use tinderbox_client::clock::after;

/// Whether an application in this state is to be run again.
pub(super) fn wanted(spec: &SparkApplicationSpec, status: &SparkApplicationStatus) -> bool {
    let policy = spec.restart_policy.clone().unwrap_or_default();
    let within = |attempts: i32, retries: Option<i32>| retries.is_some_and(|retries| attempts <= retries);
    match (policy.r#type.unwrap_or_default(), status.application_state.state) {
        (RestartType::Always, State::Succeeding | State::Failing | State::SubmissionFailed) => true,
        (RestartType::OnFailure, State::Failing) => within(status.execution_attempts, policy.on_failure_retries),
        (RestartType::OnFailure, State::SubmissionFailed) => {
            within(status.submission_attempts, policy.on_submission_failure_retries)
        }
        _ => false,
    }
}

/// When the next try is due.
pub(super) fn due(spec: &SparkApplicationSpec, status: &SparkApplicationStatus) -> Timestamp {
    let policy = spec.restart_policy.clone().unwrap_or_default();
    let interval = match status.application_state.state {
        State::SubmissionFailed => policy.on_submission_failure_retry_interval,
        _ => policy.on_failure_retry_interval,
    };
    let seconds = interval.unwrap_or_default().saturating_mul(i64::from(status.submission_attempts));
    let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    status.last_submission_attempt_time.as_ref().map_or(Timestamp::MIN, |last| after(last.0, wait))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(state: &str, submissions: i32, executions: i32) -> SparkApplicationStatus {
        serde_json::from_value(json!({
            "applicationState": {"state": state}, "submissionAttempts": submissions, "executionAttempts": executions,
            "lastSubmissionAttemptTime": "1970-01-01T00:01:40Z",
        }))
        .unwrap()
    }

    fn spec(policy: Value) -> SparkApplicationSpec {
        serde_json::from_value(json!({"restartPolicy": policy})).unwrap()
    }

    #[test]
    fn n_retries_are_n_plus_one_attempts() {
        let three = spec(json!({"type": "OnFailure", "onFailureRetries": 3, "onSubmissionFailureRetries": 1}));
        for attempts in 1..=3 {
            assert!(wanted(&three, &status("FAILING", 9, attempts)));
        }
        assert!(!wanted(&three, &status("FAILING", 9, 4)));
        assert!(
            wanted(&three, &status("SUBMISSION_FAILED", 1, 9)) && !wanted(&three, &status("SUBMISSION_FAILED", 2, 9))
        );
        assert!(!wanted(&three, &status("SUCCEEDING", 1, 1)));
        assert!(!wanted(&spec(json!({"type": "OnFailure"})), &status("FAILING", 1, 1)), "no number is none");
        assert!(wanted(&spec(json!({"type": "Always"})), &status("SUCCEEDING", 99, 99)));
        assert!(!wanted(&spec(json!({"type": "Never", "onFailureRetries": 3})), &status("FAILING", 1, 1)));
    }

    #[test]
    fn each_wait_is_longer_by_an_interval() {
        let spec = spec(json!({"onFailureRetryInterval": 5, "onSubmissionFailureRetryInterval": 7}));
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(due(&spec, &status("FAILING", 3, 1)), at(115));
        assert_eq!(due(&spec, &status("SUBMISSION_FAILED", 2, 0)), at(114));
    }
}
