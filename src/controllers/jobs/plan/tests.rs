//! Whole plans of Jobs: each outcome is written down, let go of and counted, in this order.

use serde_json::{Value, json};

use super::*;

fn job(spec: Value, status: Value) -> Job {
    let mut spec = spec;
    spec["template"] = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}});
    let job = json!({
        "metadata": {"name": "j", "namespace": "n", "uid": "job", "resourceVersion": "9"},
        "spec": spec,
        "status": status,
    });
    serde_json::from_value(job).unwrap_or_default()
}

fn pod(name: &str, phase: &str, tracked: bool) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": "3",
            "finalizers": if tracked { json!([TRACKING]) } else { json!([]) }},
        "spec": {"containers": []},
        "status": {"phase": phase, "containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 3, "finishedAt": "1970-01-01T00:00:00Z"}}}]},
    });
    Arc::new(serde_json::from_value(pod).unwrap_or_default())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}

fn stages(plan: &Plan) -> Vec<Vec<String>> {
    plan.stages.iter().map(|stage| stage.iter().map(Step::describe).collect()).collect()
}

fn status_of(plan: &Plan) -> Value {
    let mut steps = plan.steps();
    steps.find(|step| step.describe().contains("/status")).map(|step| step.body()["status"].clone()).unwrap_or_default()
}

fn started(more: Value) -> Value {
    let mut status =
        json!({"startTime": "1970-01-01T00:00:00Z", "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}});
    for (key, value) in more.as_object().into_iter().flatten() {
        status[key] = value.clone();
    }
    status
}

#[test]
fn starts_with_as_many_pods_as_may_run_at_once() {
    let plan = plan(&job(json!({"parallelism": 2, "completions": 5}), json!({})), &[], at(0)).unwrap_or_default();
    assert_eq!(stages(&plan), [vec!["patch jobs/status n/j"], vec!["create pods n/j-", "create pods n/j-"]]);
    let made = plan.steps().last().map(|step| step.body()["metadata"].clone()).unwrap_or_default();
    assert_eq!(made["finalizers"], json!([TRACKING]));
    assert_eq!(made["labels"]["batch.kubernetes.io/controller-uid"], "job");
    assert_eq!(status_of(&plan), started(json!({})));
}

#[test]
fn an_outcome_is_written_down_then_let_go_then_counted() {
    let spec = json!({"completions": 1});
    let first = plan(&job(spec.clone(), started(json!({"active": 1}))), &[pod("p", "Succeeded", true)], at(5))
        .unwrap_or_default();
    assert_eq!(stages(&first), [["patch jobs/status n/j"], ["patch pods n/p"]]);
    let status = status_of(&first);
    assert_eq!(status["uncountedTerminatedPods"], json!({"succeeded": ["p"]}));
    assert_eq!(status["conditions"][0]["type"], "SuccessCriteriaMet");
    let written = started(json!({"conditions": status["conditions"], "uncountedTerminatedPods": {"succeeded": ["p"]}}));
    let waiting = plan(&job(spec.clone(), written.clone()), &[pod("p", "Succeeded", true)], at(5)).unwrap_or_default();
    assert_eq!(stages(&waiting), [["patch pods n/p"]]);
    let last = plan(&job(spec, written), &[pod("p", "Succeeded", false)], at(6)).unwrap_or_default();
    assert_eq!(stages(&last), [["patch jobs/status n/j"]]);
    let status = status_of(&last);
    assert_eq!((&status["succeeded"], &status["completionTime"]), (&json!(1), &json!("1970-01-01T00:00:06Z")));
    assert_eq!(status["conditions"][1]["type"], "Complete");
    assert_eq!(last.notes[0].reason, "Completed");
}

#[test]
fn a_failure_is_tried_again_after_a_pause_that_doubles() {
    for (failures, pause) in [(1, 10), (2, 20), (4, 80)] {
        let pods: Vec<_> = (0..failures).map(|number| pod(&format!("p{number}"), "Failed", false)).collect();
        let job = job(json!({"completions": 1, "backoffLimit": 6}), started(json!({"failed": failures})));
        let waiting = plan(&job, &pods, at(1)).unwrap_or_default();
        assert_eq!((stages(&waiting).len(), waiting.again), (0, Some(at(pause))), "{failures} failures");
        let again = plan(&job, &pods, at(pause)).unwrap_or_default();
        assert_eq!(stages(&again), [["create pods n/j-"]]);
    }
}

#[test]
fn beyond_the_limit_everything_ends_before_the_job_has_failed() {
    let job_with = |status| job(json!({"completions": 2, "parallelism": 2, "backoffLimit": 0}), started(status));
    let pods = [pod("bad", "Failed", true), pod("good", "Running", true)];
    let first = plan(&job_with(json!({"active": 2})), &pods, at(1)).unwrap_or_default();
    assert_eq!(stages(&first), [vec!["patch jobs/status n/j"], vec!["patch pods n/bad", "delete pods n/good"]]);
    let status = status_of(&first);
    assert_eq!(status["conditions"][0]["type"], "FailureTarget");
    let left = [pod("bad", "Failed", false)];
    let written =
        json!({"failed": 1, "conditions": status["conditions"], "uncountedTerminatedPods": {"failed": ["good"]}});
    let last = plan(&job_with(written), &left, at(2)).unwrap_or_default();
    let status = status_of(&last);
    assert_eq!((&status["failed"], &status["conditions"][1]["reason"]), (&json!(2), &json!("BackoffLimitExceeded")));
    assert!(status.get("completionTime").is_none());
}

#[test]
fn a_failure_policy_ends_or_ignores() {
    let rule = |action: &str| json!({"podFailurePolicy": {"rules": [{"action": action, "onExitCodes": {"operator": "In", "values": [3]}}]}});
    let ended = plan(&job(rule("FailJob"), started(json!({}))), &[pod("p", "Failed", true)], at(1)).unwrap_or_default();
    assert_eq!(
        status_of(&ended)["conditions"][0]["message"],
        "Container c for pod n/p failed with exit code 3 matching FailJob rule at index 0"
    );
    let ignored =
        plan(&job(rule("Ignore"), started(json!({}))), &[pod("p", "Failed", true)], at(60)).unwrap_or_default();
    assert_eq!(stages(&ignored), [["patch pods n/p", "create pods n/j-"]]);
}

#[test]
fn a_finished_job_expires() {
    let done = json!([{"type": "Complete", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}]);
    let job = job(json!({"ttlSecondsAfterFinished": 100}), started(json!({"conditions": done})));
    let early = plan(&job, &[], at(99)).unwrap_or_default();
    assert_eq!((early.is_quiet(), early.again), (true, Some(at(100))));
    assert_eq!(stages(&plan(&job, &[], at(100)).unwrap_or_default()), [["delete jobs n/j"]]);
}

#[test]
fn an_indexed_job_fills_its_lowest_gaps() {
    let spec = json!({"completions": 4, "parallelism": 2, "completionMode": "Indexed"});
    let job = job(spec, started(json!({"completedIndexes": "0,2", "succeeded": 2})));
    let plan = plan(&job, &[], at(0)).unwrap_or_default();
    let made: Vec<Value> =
        plan.steps().map(|step| step.body()["spec"]["hostname"].clone()).filter(|host| !host.is_null()).collect();
    assert_eq!(made, ["j-1", "j-3"]);
}

/// A pod of an index that has failed before so many times.
fn failed(index: i32, failures: i32, code: i32) -> Arc<Pod> {
    let mut one = (*pod(&format!("p{index}-{failures}"), "Failed", true)).clone();
    for (key, value) in [("job-completion-index", index), ("job-index-failure-count", failures)] {
        one.metadata
            .annotations
            .get_or_insert_default()
            .insert(format!("batch.kubernetes.io/{key}"), value.to_string());
    }
    let statuses = one.status.as_mut().and_then(|status| status.container_statuses.as_mut());
    if let Some(ended) = statuses.and_then(|all| all[0].state.as_mut()).and_then(|state| state.terminated.as_mut()) {
        ended.exit_code = code;
    }
    Arc::new(one)
}

fn per_index(more: Value) -> Value {
    let mut spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1,
        "backoffLimit": i32::MAX});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

#[test]
fn a_failed_index_is_tried_again_by_itself_and_its_pod_stays_until_then() {
    let job = job(per_index(json!({"completions": 1})), started(json!({"failedIndexes": ""})));
    let pods = [failed(0, 0, 3)];
    let early = plan(&job, &pods, at(9)).unwrap_or_default();
    assert_eq!((stages(&early).len(), early.again), (0, Some(at(10))));
    let due = plan(&job, &pods, at(10)).unwrap_or_default();
    assert_eq!(stages(&due), [["create pods n/j-0-"]]);
    let made = due.steps().last().map(|step| step.body()["metadata"]["annotations"].clone()).unwrap_or_default();
    assert_eq!(made["batch.kubernetes.io/job-index-failure-count"], "1");
    let mut successor = (*failed(0, 1, 0)).clone();
    successor.status = None;
    let after = plan(&job, &[pods[0].clone(), Arc::new(successor)], at(11)).unwrap_or_default();
    assert_eq!(stages(&after), [["patch jobs/status n/j"], ["patch pods n/p0-0"]]);
    assert_eq!(status_of(&after)["uncountedTerminatedPods"], json!({"failed": ["p0-0"]}));
}

#[test]
fn indexes_fail_for_good_and_the_job_when_nothing_is_left_or_too_many_have() {
    let given_up = |spec: Value, completed: &str, pods: &[Arc<Pod>]| {
        let status = started(json!({"completedIndexes": completed, "failedIndexes": ""}));
        let plan = plan(&job(spec, status), pods, at(1)).unwrap_or_default();
        let status = status_of(&plan);
        let condition = status["conditions"][0].clone();
        (status["failedIndexes"].clone(), condition["reason"].clone(), condition["message"].clone())
    };
    assert_eq!(given_up(per_index(json!({})), "0", &[failed(1, 1, 3)]), (json!("1"), Value::Null, Value::Null));
    assert_eq!(
        given_up(per_index(json!({})), "0,2", &[failed(1, 1, 3)]),
        (json!("1"), json!("FailedIndexes"), json!("Job has failed indexes"))
    );
    assert_eq!(
        given_up(per_index(json!({"maxFailedIndexes": 1})), "", &[failed(1, 1, 3), failed(2, 1, 3)]),
        (
            json!("1,2"),
            json!("MaxFailedIndexesExceeded"),
            json!("Job has exceeded the specified maximal number of failed indexes")
        )
    );
    let policy = json!({"podFailurePolicy": {"rules": [
        {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [7]}}]}});
    assert_eq!(given_up(per_index(policy), "", &[failed(1, 0, 7)]), (json!("1"), Value::Null, Value::Null));
}

#[test]
fn an_ignored_failure_does_not_count_for_its_index() {
    let policy = json!({"podFailurePolicy": {"rules": [
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}}]}});
    let job = job(per_index(policy), started(json!({"completedIndexes": "0,2", "failedIndexes": ""})));
    let plan = plan(&job, &[failed(1, 1, 7)], at(100)).unwrap_or_default();
    let made = plan.steps().last().map(|step| step.body()["metadata"]["annotations"].clone()).unwrap_or_default();
    assert_eq!(made["batch.kubernetes.io/job-index-failure-count"], "1");
    assert_eq!(made["batch.kubernetes.io/job-index-ignored-failure-count"], "1");
}

#[test]
fn a_success_policy_ends_a_job_early() {
    let rules = |rules: Value| json!({"completions": 4, "parallelism": 4, "completionMode": "Indexed", "successPolicy": {"rules": rules}});
    for (policy, completed, met) in [
        (json!([{"succeededIndexes": "0,2"}]), "0,1", None),
        (json!([{"succeededIndexes": "0,2"}]), "0,2", Some("Matched rules at index 0")),
        (json!([{"succeededIndexes": "3"}, {"succeededCount": 2}]), "0,1", Some("Matched rules at index 1")),
        (json!([{"succeededIndexes": "0-2", "succeededCount": 1}]), "1", Some("Matched rules at index 0")),
        (json!([{"succeededIndexes": "0-2", "succeededCount": 2}]), "1,3", None),
    ] {
        let status = started(json!({"completedIndexes": completed, "succeeded": 1}));
        let plan = plan(&job(rules(policy.clone()), status), &[], at(1)).unwrap_or_default();
        let condition = status_of(&plan)["conditions"][0].clone();
        let found = (condition["type"].as_str(), condition["reason"].as_str(), condition["message"].as_str());
        let wanted =
            met.map_or((None, None, None), |text| (Some("SuccessCriteriaMet"), Some("SuccessPolicy"), Some(text)));
        assert_eq!(found, wanted, "{policy} {completed}");
    }
}

#[test]
fn indexes_that_are_no_more_lose_their_pods() {
    let running = |index: i32| {
        let mut one = (*pod(&format!("p{index}"), "Running", true)).clone();
        let annotations = one.metadata.annotations.get_or_insert_default();
        annotations.insert("batch.kubernetes.io/job-completion-index".to_owned(), index.to_string());
        Arc::new(one)
    };
    let spec = json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed"});
    let job = job(spec, started(json!({"active": 3, "completedIndexes": "3", "succeeded": 1})));
    let plan = plan(&job, &[running(0), running(1), running(2)], at(1)).unwrap_or_default();
    assert_eq!(stages(&plan), [["patch jobs/status n/j"], ["delete pods n/p2"]]);
    assert_eq!(status_of(&plan), json!({"completedIndexes": null, "succeeded": null}));
}

#[test]
fn others_manage_what_is_theirs() {
    let spec = json!({"managedBy": "example.com/queue"});
    assert!(plan(&job(spec, json!({})), &[], at(0)).unwrap_or_default().is_quiet());
}

#[test]
fn a_second_pod_of_an_index_goes() {
    let twin = |name: &str| {
        let mut one = (*pod(name, "Running", true)).clone();
        let annotations = one.metadata.annotations.get_or_insert_default();
        annotations.insert("batch.kubernetes.io/job-completion-index".to_owned(), "0".to_owned());
        Arc::new(one)
    };
    let spec = json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed"});
    let job = job(spec, started(json!({"active": 2})));
    let plan = plan(&job, &[twin("a"), twin("b")], at(1)).unwrap_or_default();
    assert_eq!(stages(&plan).concat().len(), 1, "one of them alone: {:?}", stages(&plan));
    assert!(stages(&plan)[0][0].starts_with("delete pods n/"));
}
