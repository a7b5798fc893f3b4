//! Whole plans: what is written in which order, the status that is written, and when it is looked at again.

use serde_json::{Value, json};

use super::*;

/// The run that was due at 02:00 of the second of January 2026.
const SECOND: &str = "nightly-1767319200000000000";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn scheduled(spec: Value, status: Value) -> ScheduledSparkApplication {
    let mut said = json!({"schedule": "0 2 * * *", "template": {"type": "Python"}});
    for (key, value) in spec.as_object().into_iter().flatten() {
        said[key] = value.clone();
    }
    let metadata =
        json!({"name": "nightly", "namespace": "n", "uid": "s", "resourceVersion": "3", "labels": {"team": "t"}});
    serde_json::from_value(json!({"metadata": metadata, "spec": said, "status": status})).unwrap()
}

/// A run that was made on a day of January 2026, in a state.
fn run(name: &str, day: u8, state: &str) -> Arc<SparkApplication> {
    let app = json!({
        "metadata": {"name": name, "namespace": "n", "uid": name, "creationTimestamp": format!("2026-01-{day:02}T02:00:00Z")},
        "status": {"driverInfo": {}, "applicationState": {"state": state}},
    });
    Arc::new(serde_json::from_value(app).unwrap())
}

/// The stages in words, the status that is written, and the appointment.
fn told(
    scheduled: &ScheduledSparkApplication,
    runs: &[Arc<SparkApplication>],
    now: &str,
) -> (Vec<String>, Value, Option<String>) {
    let plan = plan(scheduled, runs.to_vec(), at(now));
    let words = |stage: &Vec<Step>| stage.iter().map(Step::describe).collect::<Vec<_>>().join(", ");
    let status = plan.steps().find(|step| step.describe().contains("/status"));
    let status = status.map(|step| step.body()["status"].clone()).unwrap_or_default();
    (plan.stages.iter().map(words).collect(), status, plan.again.map(|again| again.to_string()))
}

const WRITES: &str = "patch scheduledsparkapplications/status n/nightly";

fn planned(time: &str) -> Value {
    json!({"scheduleState": "Scheduled", "nextRun": time})
}

#[test]
fn a_new_schedule_is_planned_and_then_waited_for() {
    let new = scheduled(json!({}), json!({}));
    let next = "2026-01-02T02:00:00Z";
    assert_eq!(
        told(&new, &[], "2026-01-01T12:00:00Z"),
        (vec![WRITES.to_owned()], planned(next), Some(next.to_owned()))
    );
    let waits = scheduled(json!({}), planned(next));
    assert_eq!(told(&waits, &[], "2026-01-02T01:59:59Z"), (vec![], Value::Null, Some(next.to_owned())));
}

#[test]
fn a_run_that_is_due_is_made_first_and_written_down_after() {
    let due = scheduled(json!({}), planned("2026-01-02T02:00:00Z"));
    let (stages, status, again) = told(&due, &[], "2026-01-02T02:00:00.4Z");
    assert_eq!(stages, [format!("create sparkapplications n/{SECOND}"), WRITES.to_owned()]);
    let next = "2026-01-03T02:00:00Z";
    assert_eq!(status, json!({"lastRun": "2026-01-02T02:00:00Z", "lastRunName": SECOND, "nextRun": next}));
    assert_eq!(again.as_deref(), Some(next));
    let plan = plan(&due, vec![], at("2026-01-02T02:00:00Z"));
    assert_eq!(
        plan.stages[0][0].body(),
        &json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "metadata": {"name": SECOND, "namespace": "n",
                "labels": {"team": "t", "sparkoperator.k8s.io/scheduled-app-name": "nightly"},
                "ownerReferences": [{"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication",
                    "name": "nightly", "uid": "s", "blockOwnerDeletion": true}]},
            "spec": {"type": "Python", "driver": {}, "executor": {}},
        })
    );
}

#[test]
fn a_run_that_was_made_and_not_written_down_is_not_made_twice() {
    let due = scheduled(json!({}), planned("2026-01-02T02:00:00Z"));
    let (stages, status, _) = told(&due, &[run(SECOND, 2, "SUBMITTED")], "2026-01-02T02:00:07Z");
    assert_eq!(stages, [WRITES]);
    assert_eq!(status["lastRunName"], SECOND);
}

#[test]
fn missed_runs_are_made_up_for_by_one() {
    let late = scheduled(json!({}), planned("2026-01-02T02:00:00Z"));
    let (stages, status, again) = told(&late, &[], "2026-01-09T08:00:00Z");
    assert_eq!(stages.len(), 2);
    assert_eq!((&status["lastRun"], &status["lastRunName"]), (&json!("2026-01-09T08:00:00Z"), &json!(SECOND)));
    assert_eq!(again.as_deref(), Some("2026-01-10T02:00:00Z"));
}

#[test]
fn the_concurrency_policy_decides_beside_a_run_that_has_not_ended() {
    let create = format!("create sparkapplications n/{SECOND}");
    let first = run("first", 1, "RUNNING");
    for (policy, state, wanted) in [
        (json!({}), "RUNNING", vec![create.as_str(), WRITES]),
        (json!({"concurrencyPolicy": "Allow"}), "RUNNING", vec![&create, WRITES]),
        (json!({"concurrencyPolicy": "Forbid"}), "RUNNING", vec![WRITES]),
        (json!({"concurrencyPolicy": "Forbid"}), "PENDING_RERUN", vec![WRITES]),
        (json!({"concurrencyPolicy": "Forbid"}), "FAILED", vec![&create, WRITES]),
        (json!({"concurrencyPolicy": "Replace"}), "RUNNING", vec!["delete sparkapplications n/first", &create, WRITES]),
        (json!({"concurrencyPolicy": "Replace"}), "COMPLETED", vec![&create, WRITES]),
    ] {
        let due = scheduled(policy.clone(), planned("2026-01-02T02:00:00Z"));
        let last = if state == "RUNNING" { first.clone() } else { run("first", 1, state) };
        let (stages, status, _) = told(&due, &[last], "2026-01-02T02:00:00Z");
        assert_eq!(stages, wanted, "{policy} {state}");
        assert_eq!(status["nextRun"], "2026-01-03T02:00:00Z", "{policy} {state}");
    }
}

#[test]
fn nothing_is_started_while_suspended_or_deleted_and_history_is_kept() {
    let runs = [run("a", 1, "COMPLETED"), run("b", 2, "COMPLETED")];
    let resting = scheduled(json!({"suspend": true}), planned("2026-01-02T02:00:00Z"));
    let (stages, status, again) = told(&resting, &runs, "2026-01-04T02:00:00Z");
    assert_eq!(stages, ["delete sparkapplications n/a", WRITES]);
    assert_eq!((status, again), (json!({"pastSuccessfulRunNames": ["b"]}), None));
    let mut gone = resting;
    gone.metadata.deletion_timestamp = Some(Time(at("2026-01-04T02:00:00Z")));
    assert_eq!(told(&gone, &runs, "2026-01-04T02:00:00Z").0, Vec::<String>::new());
}

#[test]
fn runs_beyond_the_limits_go_the_oldest_first() {
    let runs: Vec<_> = (1..=5)
        .map(|day| run(&format!("good-{day}"), day, "COMPLETED"))
        .chain((1..=3).map(|day| run(&format!("bad-{day}"), day, "FAILED")))
        .chain([run("going", 6, "RUNNING")])
        .collect();
    let limits = json!({"successfulRunHistoryLimit": 2, "failedRunHistoryLimit": 0});
    let (stages, status, _) = told(&scheduled(limits, planned("2026-01-08T02:00:00Z")), &runs, "2026-01-07T12:00:00Z");
    let gone = ["good-3", "good-2", "good-1", "bad-3", "bad-2", "bad-1"];
    let gone = gone.map(|name| format!("delete sparkapplications n/{name}")).join(", ");
    assert_eq!(stages, [gone, WRITES.to_owned()]);
    assert_eq!(status, json!({"pastSuccessfulRunNames": ["good-5", "good-4"]}));
}

#[test]
fn a_schedule_that_cannot_be_read_says_why_until_it_is_mended() {
    let wrong = scheduled(json!({"schedule": "nightly"}), planned("2026-01-02T02:00:00Z"));
    let reason = "expected exactly 5 fields, found 1: [nightly]";
    let (stages, status, again) = told(&wrong, &[], "2026-01-03T00:00:00Z");
    assert_eq!(stages, [WRITES]);
    assert_eq!(status, json!({"scheduleState": "FailedValidation", "reason": reason, "nextRun": null}));
    assert_eq!(again, None);
    let denied = json!({"template": {"sparkConf": {"spark.master": "local"}}});
    assert_eq!(
        told(&scheduled(denied, json!({})), &[], "2026-01-03T00:00:00Z").1["reason"],
        "sparkConf key \"spark.master\" is not allowed: this value is managed by the operator"
    );
    let mended = scheduled(json!({}), json!({"scheduleState": "FailedValidation", "reason": reason}));
    let (_, status, again) = told(&mended, &[], "2026-01-03T00:00:00Z");
    assert_eq!(status, json!({"scheduleState": "Scheduled", "reason": null, "nextRun": "2026-01-03T02:00:00Z"}));
    assert_eq!(again.as_deref(), Some("2026-01-03T02:00:00Z"));
    let never = scheduled(json!({"schedule": "0 0 31 2 *"}), json!({}));
    assert_eq!(
        told(&never, &[], "2026-01-03T00:00:00Z").1["reason"],
        "the schedule \"0 0 31 2 *\" is not due within five years"
    );
}

/// Steps through a stretch of time as the loop does, at the appointments alone; every run ends at once.
fn nights(spec: Value, from: &str, to: &str) -> Vec<String> {
    let (mut now, end) = (at(from), at(to));
    let mut status = json!({});
    let mut started = Vec::new();
    while now < end {
        let scheduled = scheduled(spec.clone(), status.clone());
        let plan = plan(&scheduled, vec![], now);
        for step in plan.steps() {
            if step.describe().starts_with("create") {
                started.push(now.to_string());
            } else {
                json_patch::merge(&mut status, &step.body()["status"]);
            }
        }
        now = plan.again.unwrap_or(end);
    }
    started
}

#[test]
fn a_month_of_nights_through_both_changes_of_the_clock() {
    let zone = |schedule: &str| json!({"schedule": schedule, "timeZone": "Europe/Berlin"});
    // In March 02:30 is skipped on the 29th, in October it comes twice on the 25th.
    let march = nights(zone("30 2 * * *"), "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
    assert_eq!(march.len(), 30);
    assert_eq!(march[27..29], ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]);
    let october = nights(zone("30 2 * * *"), "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
    assert_eq!(october.len(), 32);
    let change = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"];
    assert_eq!(october[23..27], change);
    // The first of a month, and Mondays to Fridays.
    assert_eq!(
        nights(zone("0 6 1 * *"), "2026-03-15T00:00:00Z", "2026-06-15T00:00:00Z"),
        ["2026-04-01T04:00:00Z", "2026-05-01T04:00:00Z", "2026-06-01T04:00:00Z"]
    );
    assert_eq!(nights(zone("0 6 * * 1-5"), "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z").len(), 22);
}
