//! A history of workflows and pods, and the text that Prometheus reads of it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tinderbox_client::metrics::text;

use super::*;

fn workflow(phase: &str) -> Arc<Workflow> {
    let mut workflow = json!({
        "metadata": {"name": "w", "namespace": "n"},
        "spec": {"workflowTemplateRef": {"name": "t"}},
    });
    if !phase.is_empty() {
        workflow["status"] = json!({
            "phase": phase, "startedAt": "1970-01-01T00:00:00Z",
            "conditions": [{"type": "PodRunning", "status": "False"}],
        });
    }
    Arc::new(serde_json::from_value(workflow).unwrap())
}

fn pod(phase: &str) -> Arc<Pod> {
    let pod: Value = json!({
        "metadata": {"name": "p", "namespace": "n", "labels": {labels::WORKFLOW: "w"}}, "status": {"phase": phase},
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

#[test]
fn what_workflows_go_through_is_counted_by_todays_names() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let config = Config::new(clock);
    let counts = Counts::new(&config);
    let phases_of = ["", "Running", "Succeeded"].map(workflow);
    counts.workflow(&Change { old: None, new: Some(&phases_of[0]) });
    hand.advance(Duration::from_secs(7));
    for pair in phases_of.windows(2) {
        counts.workflow(&Change { old: Some(&pair[0]), new: Some(&pair[1]) });
    }
    // Ended before this process began.
    counts.workflow(&Change { old: None, new: Some(&phases_of[2]) });
    let pods = ["Pending", "Running", "Failed"].map(pod);
    counts.pod(&Change { old: None, new: Some(&pods[0]) });
    for pair in pods.windows(2) {
        counts.pod(&Change { old: Some(&pair[0]), new: Some(&pair[1]) });
    }
    look(&config.metrics, "workflow_phases", move || phases(&phases_of, &pods));
    insta::assert_snapshot!(text(&config.metrics));
}
