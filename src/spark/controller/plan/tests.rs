//! Whole plans, state by state: what is written in which order, what is said, and when it is looked at again.

use std::sync::Arc;

use serde_json::{Value, json};
use tinderbox_client::Clock;

use super::*;

/// 100 s after the epoch: when the submission in these tests began.
const BEGAN: &str = "1970-01-01T00:01:40Z";
const SUBMISSION: &str = "00000000-0000-0000-0000-000000000007";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A world of one application; `status` and `spec` are merged into the usual.
fn observed(spec: Value, status: Value) -> Observed {
    let mut said = json!({
        "type": "Python", "sparkVersion": "4.0.1", "image": "i", "mainApplicationFile": "local:///pi.py",
        "driver": {}, "executor": {},
    });
    merge(&mut said, spec);
    let app = json!({
        "metadata": {"name": "pi", "namespace": "n", "uid": "app", "resourceVersion": "9"}, "spec": said,
        "status": status,
    });
    let app: tinderbox_api::spark::SparkApplication = serde_json::from_value(app).unwrap();
    Observed {
        spec: crate::defaults::with_defaults(&app.spec),
        status: app.status.clone().unwrap_or_default(),
        app: Arc::new(app),
        driver: None,
        executors: Vec::new(),
        service: None,
    }
}

fn merge(into: &mut Value, from: Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

fn submitted(state: &str, more: Value) -> Value {
    let mut status = json!({
        "submissionID": SUBMISSION, "lastSubmissionAttemptTime": BEGAN, "driverInfo": {"podName": "pi-driver"},
        "applicationState": {"state": state}, "submissionAttempts": 1, "executionAttempts": 1,
    });
    merge(&mut status, more);
    status
}

fn pod(name: &str, role: &str, status: Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "n", "uid": name,
            "ownerReferences": [{"apiVersion": "v", "kind": "SparkApplication", "name": "pi", "uid": "app", "controller": true}],
            "labels": {labels::APP_NAME: "pi", labels::SUBMISSION: SUBMISSION, labels::ROLE: role,
                labels::SELECTOR: "spark-1", labels::EXECUTOR_ID: "1"}},
        "spec": {"containers": []}, "status": status,
    })
}

fn ended(phase: &str, code: i32) -> Value {
    json!({"phase": phase, "containerStatuses": [{"name": "spark-kubernetes-driver", "image": "", "imageID": "",
        "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": code, "reason": "Error"}}}]})
}

impl Observed {
    fn with_driver(mut self, status: Value) -> Self {
        let mut pod = pod("pi-driver", "driver", status);
        pod["metadata"]["annotations"] = json!({submit::SUBMITTED_SPEC: submit::digest(&self.app)});
        self.driver = Some(Arc::new(serde_json::from_value(pod).unwrap()));
        self
    }

    fn with_executor(mut self, name: &str, phase: &str) -> Self {
        let pod = pod(name, "executor", json!({"phase": phase}));
        self.executors.push(Arc::new(serde_json::from_value(pod).unwrap()));
        self
    }

    fn with_service(mut self) -> Self {
        let service = json!({
            "metadata": {"name": "pi-ui-svc", "namespace": "n", "uid": "s",
                "ownerReferences": [{"apiVersion": "v", "kind": "SparkApplication", "name": "pi", "uid": "app", "controller": true}]},
            "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 4040}]},
        });
        self.service = Some(Arc::new(serde_json::from_value(service).unwrap()));
        self
    }
}

fn turn(observed: &Observed, second: i64) -> Turn {
    let (clock, _) = Clock::manual(at(second));
    plan(observed, &Config::new(clock), Uuid::from_u128(8), at(second))
}

/// The stages in words; a write of the status says the state that it leads to.
fn told(observed: &Observed, second: i64) -> Vec<String> {
    let plan = turn(observed, second).plan;
    let words = |step: &Step| match step.body()["status"]["applicationState"]["state"].as_str() {
        Some(state) => format!("{} = {state}", step.describe()),
        None => step.describe(),
    };
    let stages = plan.stages.iter().filter(|stage| !stage.is_empty());
    let mut told: Vec<String> = stages.map(|stage| stage.iter().map(words).collect::<Vec<_>>().join(", ")).collect();
    told.extend(plan.notes.iter().map(|note| note.reason.clone()));
    told.extend(plan.again.map(|again| format!("again at {}", again.as_second())));
    told
}

/// The status that is written.
fn written(observed: &Observed, second: i64) -> Value {
    let plan = turn(observed, second).plan;
    let written = plan.steps().find(|step| step.describe().contains("/status"));
    written.map(|step| step.body()["status"].clone()).unwrap_or_default()
}

#[test]
fn a_new_one_is_claimed_before_its_driver_is_made() {
    let new = observed(json!({}), Value::Null);
    assert_eq!(told(&new, 100), ["patch sparkapplications/status n/pi = ", "create pods n/pi-driver"]);
    assert_eq!(
        written(&new, 100),
        json!({"submissionID": "00000000-0000-0000-0000-000000000008", "lastSubmissionAttemptTime": BEGAN,
            "submissionAttempts": 1, "driverInfo": {"podName": "pi-driver"}, "applicationState": {"state": ""}})
    );
}

#[test]
fn a_killed_submission_is_continued_and_not_begun_again() {
    let claimed = submitted("", json!({"executionAttempts": 0}));
    let before = observed(json!({}), claimed.clone());
    assert_eq!(told(&before, 105), ["create pods n/pi-driver"]);
    let after = before.with_driver(json!({}));
    let told = told(&after, 105);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("apply configmaps n/pi-") && told[0].contains("apply services n/pi-"), "{told:?}");
    assert_eq!(told[1..], ["patch sparkapplications/status n/pi = SUBMITTED", "SparkApplicationSubmitted"]);
    let owner = turn(&after, 105).plan.stages[0][0].body()["metadata"]["ownerReferences"][0].clone();
    assert_eq!(
        owner,
        json!({"apiVersion": "v1", "kind": "Pod", "name": "pi-driver", "uid": "pi-driver", "controller": true})
    );
    assert_eq!(written(&after, 105)["executionAttempts"], 1);
}

#[test]
fn names_do_not_depend_on_the_moment() {
    let (clock, _) = Clock::manual(at(100));
    let config = Config::new(clock);
    let made = |observed: &Observed, fresh: u128, millis: i64| {
        let now = Timestamp::from_millisecond(100_000 + millis).unwrap();
        plan(observed, &config, Uuid::from_u128(fresh), now).plan
    };
    let first = made(&observed(json!({}), Value::Null), 7, 789);
    let volumes = first.steps().last().unwrap().body()["spec"]["volumes"].clone();
    let claimed = observed(json!({}), submitted("", json!({"executionAttempts": 0}))).with_driver(json!({}));
    let second = made(&claimed, 8, 9_123);
    for step in second.stages[0].iter().filter(|step| step.resource.kind == "ConfigMap") {
        let mounted =
            volumes.as_array().unwrap().iter().any(|volume| volume["configMap"]["name"] == step.name.as_str());
        assert!(mounted, "{} is not mounted by {volumes}", step.name);
    }
}

#[test]
fn what_cannot_be_submitted_says_why() {
    let wrong = observed(json!({"mainApplicationFile": ""}), Value::Null);
    assert_eq!(
        told(&wrong, 100),
        ["patch sparkapplications/status n/pi = SUBMISSION_FAILED", "SparkApplicationSubmissionFailed"]
    );
    let status = written(&wrong, 100);
    assert_eq!(
        status["applicationState"]["errorMessage"],
        "failed to submit spark application: failed to run spark-submit: Missing application resource."
    );
    assert_eq!((&status["submissionAttempts"], &status["executionAttempts"]), (&json!(1), &Value::Null));
}

#[test]
fn a_failed_submission_is_tried_again_when_its_time_has_come() {
    let retries = json!({"restartPolicy": {"type": "OnFailure", "onSubmissionFailureRetries": 1}});
    let failed = |attempts: i32| {
        let state = json!({"state": "SUBMISSION_FAILED", "errorMessage": "failed to submit"});
        submitted("", json!({"applicationState": state, "submissionAttempts": attempts, "executionAttempts": 0}))
    };
    let first = observed(retries.clone(), failed(1));
    assert_eq!(told(&first, 104), ["again at 105"]);
    assert_eq!(told(&first, 105), ["patch sparkapplications/status n/pi", "create pods n/pi-driver"]);
    let status = written(&first, 105);
    assert_eq!((&status["submissionAttempts"], &status["applicationState"]["errorMessage"]), (&json!(2), &Value::Null));
    let left = first.clone().with_driver(json!({}));
    assert_eq!(told(&left, 105), ["delete pods n/pi-driver"]);
    let last = observed(retries, failed(2));
    assert_eq!(told(&last, 200), ["patch sparkapplications/status n/pi = FAILED", "SparkApplicationFailed"]);
    assert_eq!(written(&last, 200)["terminationTime"], "1970-01-01T00:03:20Z");
}

#[test]
fn a_driver_is_followed_from_pending_to_running() {
    let pending = observed(json!({}), submitted("SUBMITTED", json!({}))).with_driver(json!({"phase": "Pending"}));
    assert_eq!(told(&pending, 101), ["apply services n/pi-ui-svc, patch sparkapplications/status n/pi"]);
    let running = observed(json!({}), submitted("SUBMITTED", json!({})));
    let running = running.with_driver(json!({"phase": "Running"})).with_service().with_executor("e", "Pending");
    assert_eq!(
        told(&running, 101),
        ["patch sparkapplications/status n/pi = RUNNING", "SparkDriverRunning", "SparkExecutorPending"]
    );
    assert_eq!(
        written(&running, 101),
        json!({"applicationState": {"state": "RUNNING"}, "sparkApplicationId": "spark-1", "executorState": {"e": "PENDING"},
            "driverInfo": {"webUIServiceName": "pi-ui-svc", "webUIPort": 4040, "webUIAddress": "10.96.0.9:4040"}})
    );
}

#[test]
fn a_driver_that_ended_well_ends_its_application() {
    let executors = json!({"executorState": {"e": "RUNNING"}});
    let done = observed(json!({}), submitted("RUNNING", executors)).with_driver(json!({"phase": "Succeeded"}));
    assert_eq!(told(&done, 150), ["patch sparkapplications/status n/pi = SUCCEEDING", "SparkDriverCompleted"]);
    let status = written(&done, 150);
    assert_eq!(
        (&status["terminationTime"], &status["executorState"]["e"]),
        (&json!("1970-01-01T00:02:30Z"), &json!("COMPLETED"))
    );
    let next = observed(json!({}), submitted("SUCCEEDING", json!({})));
    assert_eq!(told(&next, 150), ["patch sparkapplications/status n/pi = COMPLETED"]);
    let always = observed(json!({"restartPolicy": {"type": "Always"}}), submitted("SUCCEEDING", json!({})));
    let always = always.with_driver(json!({"phase": "Succeeded"})).with_service();
    assert_eq!(
        told(&always, 150),
        [
            "delete pods n/pi-driver, delete services n/pi-ui-svc",
            "patch sparkapplications/status n/pi = PENDING_RERUN",
            "SparkApplicationPendingRerun"
        ]
    );
}

#[test]
fn a_driver_that_ended_badly_says_how() {
    let failed = observed(json!({}), submitted("RUNNING", json!({}))).with_driver(ended("Failed", 2));
    assert_eq!(told(&failed, 150), ["patch sparkapplications/status n/pi = FAILING", "SparkDriverFailed"]);
    let message = &written(&failed, 150)["applicationState"]["errorMessage"];
    assert_eq!(message, "driver container failed with ExitCode: 2, Reason: Error");
    let last = observed(json!({}), submitted("FAILING", json!({})));
    assert_eq!(told(&last, 150), ["patch sparkapplications/status n/pi = FAILED"]);
}

#[test]
fn a_failed_run_is_run_again_once_its_objects_are_gone() {
    let retries = json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 10}});
    let failing = observed(retries.clone(), submitted("FAILING", json!({"terminationTime": BEGAN})));
    assert_eq!(told(&failing, 109), ["again at 110"]);
    let failing = failing.with_driver(ended("Failed", 2));
    assert_eq!(
        told(&failing, 110),
        [
            "delete pods n/pi-driver",
            "patch sparkapplications/status n/pi = PENDING_RERUN",
            "SparkApplicationPendingRerun"
        ]
    );
    let status = written(&failing, 110);
    assert_eq!((&status["submissionID"], &status["terminationTime"]), (&Value::Null, &Value::Null));
    let waiting = json!({"applicationState": {"state": "PENDING_RERUN"}, "driverInfo": {}, "submissionAttempts": 1, "executionAttempts": 1});
    let left = observed(retries.clone(), waiting.clone()).with_driver(ended("Failed", 2));
    assert_eq!(told(&left, 111), ["delete pods n/pi-driver"]);
    let cleared = observed(retries, waiting);
    assert_eq!(told(&cleared, 111), ["patch sparkapplications/status n/pi", "create pods n/pi-driver"]);
    assert_eq!(written(&cleared, 111)["submissionAttempts"], 2);
}

#[test]
fn a_missing_driver_is_waited_for_once_and_no_longer() {
    let submitted_one = observed(json!({}), submitted("SUBMITTED", json!({})));
    assert_eq!(told(&submitted_one, 109), ["again at 110"]);
    let lost = ["patch sparkapplications/status n/pi = FAILING", "SparkDriverNotFound"];
    assert_eq!(told(&submitted_one, 110), lost);
    assert_eq!(written(&submitted_one, 110)["applicationState"]["errorMessage"], "driver pod not found");
    assert_eq!(told(&observed(json!({}), submitted("RUNNING", json!({}))), 101), lost);
}

#[test]
fn executors_that_vanish_are_unknown_while_the_driver_runs() {
    let executors = json!({"executorState": {"e": "RUNNING", "f": "COMPLETED"}});
    let running = observed(json!({}), submitted("RUNNING", executors));
    let running = running.with_driver(json!({"phase": "Running"})).with_service();
    assert_eq!(written(&running, 150)["executorState"], json!({"e": "UNKNOWN"}));
    let failed = observed(json!({}), submitted("FAILED", json!({"executorState": {"e": "UNKNOWN"}})));
    assert_eq!(written(&failed, 150)["executorState"], json!({"e": "FAILED"}));
}

#[test]
fn suspension_takes_everything_away_and_resuming_begins_anew() {
    let suspend = json!({"suspend": true});
    let running = observed(suspend.clone(), submitted("RUNNING", json!({}))).with_driver(json!({"phase": "Running"}));
    assert_eq!(told(&running, 150), ["patch sparkapplications/status n/pi = SUSPENDING", "SparkApplicationSuspending"]);
    let going = observed(suspend.clone(), submitted("SUSPENDING", json!({}))).with_driver(json!({"phase": "Running"}));
    assert_eq!(
        told(&going, 150),
        ["delete pods n/pi-driver", "patch sparkapplications/status n/pi = SUSPENDED", "SparkApplicationSuspended"]
    );
    let suspended = json!({"applicationState": {"state": "SUSPENDED"}, "driverInfo": {}});
    assert!(told(&observed(suspend, suspended.clone()), 150).is_empty());
    assert_eq!(
        told(&observed(json!({}), suspended), 150),
        ["patch sparkapplications/status n/pi = RESUMING", "SparkApplicationResuming"]
    );
    let resuming = json!({"applicationState": {"state": "RESUMING"}, "driverInfo": {}});
    assert_eq!(
        told(&observed(json!({}), resuming), 150),
        ["patch sparkapplications/status n/pi", "create pods n/pi-driver"]
    );
}

#[test]
fn a_change_of_the_spec_invalidates_what_was_made_from_the_old_one() {
    let running = observed(json!({}), submitted("RUNNING", json!({}))).with_driver(json!({"phase": "Running"}));
    let mut changed = observed(json!({"arguments": ["20"]}), submitted("RUNNING", json!({})));
    changed.driver = running.driver.clone();
    assert_eq!(told(&changed, 150), ["patch sparkapplications/status n/pi = INVALIDATING"]);
    let mut exempt = observed(json!({"timeToLiveSeconds": 9}), submitted("RUNNING", json!({})));
    exempt.driver = running.driver.clone();
    assert!(!told(&exempt, 150)[0].contains("INVALIDATING"));
    let mut invalid = observed(json!({}), submitted("INVALIDATING", json!({})));
    invalid.driver = running.driver;
    let reset = written(&invalid, 150);
    assert_eq!(
        (&reset["submissionAttempts"], &reset["applicationState"]["state"]),
        (&Value::Null, &json!("PENDING_RERUN"))
    );
}

#[test]
fn what_has_outlived_its_time_is_removed() {
    let ended = submitted("COMPLETED", json!({"terminationTime": BEGAN}));
    assert!(told(&observed(json!({}), ended.clone()), 9999).is_empty());
    let mortal = observed(json!({"timeToLiveSeconds": 30}), ended);
    assert_eq!(told(&mortal, 130), ["again at 130"]);
    assert_eq!(told(&mortal, 131), ["delete sparkapplications n/pi"]);
}

#[test]
fn a_driver_that_took_too_much_memory_says_so() {
    let mut end = ended("Failed", 137);
    end["containerStatuses"][0]["state"]["terminated"]["reason"] = json!("OOMKilled");
    let failed = observed(json!({}), submitted("RUNNING", json!({}))).with_driver(end);
    let message = &written(&failed, 150)["applicationState"]["errorMessage"];
    assert_eq!(message, "driver container failed with ExitCode: 137, Reason: OOMKilled");
}

#[test]
fn a_clock_that_is_set_back_is_waited_for() {
    let retries = json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1}});
    assert_eq!(told(&observed(json!({}), submitted("SUBMITTED", json!({}))), 5), ["again at 110"]);
    assert_eq!(told(&observed(retries, submitted("FAILING", json!({}))), 5), ["again at 105"]);
    let mortal = json!({"timeToLiveSeconds": 30});
    assert_eq!(told(&observed(mortal, submitted("COMPLETED", json!({"terminationTime": BEGAN}))), 5), ["again at 130"]);
}
