//! Whole plans of CronJobs.

use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A CronJob that was made at ten o'clock and runs every hour.
fn cron(spec: Value, status: Value) -> CronJob {
    let mut whole = json!({
        "schedule": "0 * * * *",
        "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": {"containers": []}}}},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let cron = json!({
        "metadata": {"name": "c", "namespace": "n", "uid": "cron", "resourceVersion": "9",
            "creationTimestamp": "2026-01-01T10:00:00Z"},
        "spec": whole,
        "status": status,
    });
    serde_json::from_value(cron).unwrap()
}

/// The Job for an hour of that day: running, `Complete` or `Failed`.
fn job(hour: i64, outcome: Option<&str>) -> Arc<Job> {
    let time = at("2026-01-01T00:00:00Z").saturating_add(SignedDuration::from_hours(hour)).unwrap();
    let name = format!("c-{}", time.as_second() / 60);
    let mut job = json!({
        "metadata": {"name": name, "namespace": "n", "uid": name, "annotations": {
            "batch.kubernetes.io/cronjob-scheduled-timestamp": time}},
        "status": {"startTime": time},
    });
    if let Some(outcome) = outcome {
        job["status"]["conditions"] = json!([{"type": outcome, "status": "True"}]);
        job["status"]["completionTime"] = json!(time);
    }
    Arc::new(serde_json::from_value(job).unwrap())
}

fn last(time: &str, active: &[&Arc<Job>]) -> Value {
    let active: Vec<_> = active.iter().map(|job| job::active(job)).collect();
    if active.is_empty() {
        json!({"lastScheduleTime": time})
    } else {
        json!({"lastScheduleTime": time, "active": active})
    }
}

fn words(plan: &Plan) -> Vec<String> {
    let steps = plan.steps().map(Step::describe);
    steps.chain(plan.notes.iter().map(|note| format!("{}: {}", note.reason, note.message))).collect()
}

fn planned(cron: &CronJob, jobs: &[Arc<Job>], now: &str) -> Plan {
    plan(cron, jobs, at(now)).unwrap()
}

#[test]
fn a_job_is_made_when_it_is_due_and_named_after_its_time() {
    let early = planned(&cron(json!({}), json!({})), &[], "2026-01-01T10:59:59Z");
    assert_eq!((words(&early), early.again), (vec![], Some(at("2026-01-01T11:00:00Z"))));
    let due = planned(&cron(json!({}), json!({})), &[], "2026-01-01T11:00:00Z");
    assert_eq!(
        (words(&due), due.again),
        (vec!["create jobs n/c-29454420".to_owned()], Some(at("2026-01-01T12:00:00Z")))
    );
    let made = &due.steps().next().unwrap().body()["metadata"];
    assert_eq!(made["labels"], json!({"a": "b"}));
    assert_eq!(made["annotations"], json!({"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T11:00:00Z"}));
    assert_eq!(
        (&made["ownerReferences"][0]["kind"], &made["ownerReferences"][0]["controller"]),
        (&json!("CronJob"), &json!(true))
    );
    let there = planned(&cron(json!({}), json!({})), &[job(11, None)], "2026-01-01T11:00:00Z");
    assert_eq!(words(&there), ["patch cronjobs/status n/c"]);
    let status = &there.steps().next().unwrap().body()["status"];
    assert_eq!(status["lastScheduleTime"], "2026-01-01T11:00:00Z");
    assert_eq!(status["active"][0]["name"], "c-29454420");
}

#[test]
fn a_time_zone_counts_and_is_written_down() {
    let berlin = cron(json!({"schedule": "30 12 * * *", "timeZone": "Europe/Berlin"}), json!({}));
    let due = planned(&berlin, &[], "2026-01-01T11:30:00Z");
    let annotations = &due.steps().next().unwrap().body()["metadata"]["annotations"];
    assert_eq!(annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"], "2026-01-01T12:30:00+01:00");
    let nowhere = planned(&cron(json!({"timeZone": "Nowhere"}), json!({})), &[], "2026-01-01T11:30:00Z");
    assert_eq!(words(&nowhere), ["UnknownTimeZone: invalid timeZone: \"Nowhere\": unknown time zone Nowhere"]);
}

#[test]
fn a_running_job_is_left_alone_waited_for_or_replaced() {
    let running = job(11, None);
    let name = running.name_any();
    for (policy, wanted) in [
        ("Allow", vec!["create jobs n/c-29454480".to_owned()]),
        (
            "Forbid",
            vec!["JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid".to_owned()],
        ),
        (
            "Replace",
            vec!["patch cronjobs/status n/c".to_owned(), format!("delete jobs n/{name}"), "create jobs n/c-29454480".to_owned()],
        ),
    ] {
        let cron = cron(json!({"concurrencyPolicy": policy}), last("2026-01-01T11:00:00Z", &[&running]));
        assert_eq!(words(&planned(&cron, std::slice::from_ref(&running), "2026-01-01T12:00:00Z")), wanted, "{policy}");
    }
    let forbid = cron(json!({"concurrencyPolicy": "Forbid"}), last("2026-01-01T11:00:00Z", &[&running]));
    let late = planned(&forbid, &[job(11, Some("Complete"))], "2026-01-01T12:20:00Z");
    assert_eq!(
        words(&late),
        [
            "patch cronjobs/status n/c".to_owned(),
            "create jobs n/c-29454480".to_owned(),
            format!("SawCompletedJob: Saw completed job: {name}, condition: Complete"),
        ]
    );
    assert_eq!(
        late.steps().next().unwrap().body()["status"],
        json!({"active": null, "lastSuccessfulTime": "2026-01-01T11:00:00Z"})
    );
}

#[test]
fn missed_times_count_once_and_not_beyond_their_deadline() {
    let since = || last("2026-01-01T10:00:00Z", &[]);
    let late = planned(&cron(json!({}), since()), &[], "2026-01-01T15:30:00Z");
    assert_eq!(words(&late), ["create jobs n/c-29454660"]);
    let very = planned(&cron(json!({}), since()), &[], "2026-01-09T15:30:00Z");
    assert_eq!(
        words(&very)[1],
        "TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    );
    let missed = cron(json!({"startingDeadlineSeconds": 600}), since());
    let over = planned(&missed, &[], "2026-01-01T15:30:00Z");
    assert_eq!((words(&over), over.again), (vec![], Some(at("2026-01-01T16:00:00Z"))));
    assert_eq!(words(&planned(&missed, &[], "2026-01-01T15:10:00Z")), [""; 0]);
    assert_eq!(words(&planned(&missed, &[], "2026-01-01T15:09:59Z")), ["create jobs n/c-29454660"]);
}

#[test]
fn suspended_ones_make_nothing_and_still_follow() {
    let running = job(11, None);
    let cron = cron(json!({"suspend": true}), last("2026-01-01T11:00:00Z", &[&running]));
    let plan = planned(&cron, &[], "2026-01-01T15:00:00Z");
    let missing = format!("MissingJob: Active job went missing: {}", running.name_any());
    assert_eq!((words(&plan), plan.again), (vec!["patch cronjobs/status n/c".to_owned(), missing], None));
}

#[test]
fn the_oldest_ended_jobs_go() {
    let jobs: Vec<_> = (1..=4).map(|hour| job(hour, Some("Complete"))).chain([job(5, Some("Failed"))]).collect();
    let limits = json!({"suspend": true, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 0});
    let status = json!({"lastScheduleTime": "2026-01-01T05:00:00Z", "lastSuccessfulTime": "2026-01-01T04:00:00Z"});
    let plan = planned(&cron(limits, status), &jobs, "2026-01-01T06:00:00Z");
    assert_eq!(
        words(&plan),
        [format!("delete jobs n/{}", jobs[0].name_any()), format!("delete jobs n/{}", jobs[4].name_any())]
    );
}

#[test]
fn what_cannot_be_read_and_who_is_not_known_is_told() {
    let stranger = json!({"metadata": {"name": "manual", "namespace": "n", "uid": "m"}});
    let stranger: Arc<Job> = Arc::new(serde_json::from_value(stranger).unwrap());
    for (schedule, wanted) in [
        (
            "nonsense",
            "UnparseableSchedule: unparseable schedule: \"nonsense\" : expected exactly 5 fields, found 1: [nonsense]",
        ),
        (
            "59 23 31 2 *",
            "InvalidSchedule: invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second",
        ),
    ] {
        let plan = planned(
            &cron(json!({"schedule": schedule}), json!({})),
            std::slice::from_ref(&stranger),
            "2026-01-01T12:00:00Z",
        );
        assert_eq!(
            words(&plan),
            ["UnexpectedJob: Saw a job that the controller did not create or forgot: manual", wanted]
        );
    }
}
