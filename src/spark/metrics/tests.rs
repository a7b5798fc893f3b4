//! A history of applications and executors, and the text that Prometheus reads of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tinderbox_client::metrics::text;

use super::*;

fn app(state: &str) -> Arc<SparkApplication> {
    let app = json!({
        "metadata": {"name": "pi", "namespace": "n", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "status": {
            "applicationState": {"state": state}, "submissionAttempts": 1, "executionAttempts": 1,
            "lastSubmissionAttemptTime": "1970-01-01T00:00:02Z", "terminationTime": "1970-01-01T00:00:20Z",
        },
    });
    Arc::new(serde_json::from_value(app).unwrap())
}

fn executor(phase: &str) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": "pi-exec-1", "labels": {labels::ROLE: "executor", labels::APP_NAME: "pi"}},
        "status": {"phase": phase},
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

#[test]
fn what_happened_is_counted_as_upstream_counts_it() {
    let (registry, (clock, hand)) = (Registry::new(), Clock::manual(Timestamp::UNIX_EPOCH));
    let metrics = Metrics::new(&registry, clock);
    assert_eq!(text(&registry), "", "nothing is told before there is something to count");
    hand.advance(Duration::from_secs(3));
    let states = ["", "SUBMITTED", "RUNNING", "SUCCEEDING", "COMPLETED"].map(app);
    metrics.application(&Change { old: None, new: Some(&states[0]) });
    for pair in states.windows(2) {
        metrics.application(&Change { old: Some(&pair[0]), new: Some(&pair[1]) });
    }
    let failing = ["RUNNING", "FAILING", "FAILED"].map(app);
    metrics.application(&Change { old: None, new: Some(&failing[0]) });
    for pair in failing.windows(2) {
        metrics.application(&Change { old: Some(&pair[0]), new: Some(&pair[1]) });
    }
    let pods = ["Pending", "Running", "Failed"].map(executor);
    metrics.executor(&Change { old: None, new: Some(&pods[0]) });
    for pair in pods.windows(2) {
        metrics.executor(&Change { old: Some(&pair[0]), new: Some(&pair[1]) });
    }
    metrics.executor(&Change { old: None, new: Some(&pods[1]) });
    insta::assert_snapshot!(text(&registry));
}
