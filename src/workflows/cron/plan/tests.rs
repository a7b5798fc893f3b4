//! CronWorkflows in virtual time.

mod year;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::{Value, json};
use tinderbox_api::workflows::{CronWorkflow, Phase, Workflow};

use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn cron(spec: Value, created: &str) -> CronWorkflow {
    let mut value =
        json!({"metadata": {"name": "c", "namespace": "n", "uid": "u", "creationTimestamp": created}, "spec": spec});
    value["spec"]["workflowSpec"] = json!({"entrypoint": "a"});
    serde_json::from_value(value).unwrap()
}

/// A controller and the runs that it started.
struct Life {
    cron: CronWorkflow,
    runs: Vec<Workflow>,
    ends: Vec<(String, Timestamp)>,
    seen: Option<Timestamp>,
    length: i64,
    outcome: Phase,
    started: Vec<Timestamp>,
    /// When the runs were due, in the order of their starts.
    due: Vec<Timestamp>,
    terminated: usize,
    /// The most runs that were under way at once.
    most: usize,
}

impl Life {
    fn new(spec: Value, created: &str, length: i64) -> Self {
        let (runs, ends, started, due) = Default::default();
        let cron = cron(spec, created);
        let outcome = Phase::Succeeded;
        Self { cron, runs, ends, seen: None, length, outcome, started, due, terminated: 0, most: 0 }
    }

    /// Lives from one moment to another; nobody looks before the first.
    fn live(&mut self, from: &str, to: &str) {
        let (mut now, to) = (at(from), at(to));
        while now < to {
            let again = self.look(now);
            let end = self.ends.iter().map(|(_, end)| *end).filter(|end| *end > now).min();
            match [again, end].into_iter().flatten().min() {
                Some(next) => now = next,
                None => return,
            }
        }
    }

    fn look(&mut self, now: Timestamp) -> Option<Timestamp> {
        for (name, end) in &self.ends {
            if *end <= now
                && let Some(run) =
                    self.runs.iter_mut().find(|run| run.name_any() == *name && !phase(run).is_completed())
            {
                run.status.get_or_insert_default().phase = self.outcome;
            }
        }
        self.ends.retain(|(_, end)| *end > now);
        let mut again = None;
        // Until it is quiet: what a plan writes is seen by the next one.
        for _ in 0..5 {
            let turn = plan(&self.cron, self.runs.iter().cloned().map(Arc::new).collect(), self.seen, now);
            self.seen = turn.seen;
            again = turn.plan.again;
            if turn.plan.is_quiet() {
                break;
            }
            for step in turn.plan.steps() {
                self.apply(step, now);
            }
            self.most = self.most.max(self.runs.iter().filter(|run| !phase(run).is_completed()).count());
        }
        again
    }

    fn apply(&mut self, step: &Step, now: Timestamp) {
        let text = step.describe();
        let name = text.rsplit('/').next().unwrap_or_default().to_owned();
        if text.starts_with("create") {
            let mut run: Workflow = serde_json::from_value(step.body().clone()).unwrap();
            assert_eq!(run.owner_references()[0].uid, "u");
            run.metadata.creation_timestamp = Some(Time(now));
            run.metadata.uid = Some(format!("uid-of-{name}"));
            self.started.push(now);
            let due = name.rsplit('-').next().and_then(|seconds| seconds.parse().ok()).unwrap();
            self.due.push(Timestamp::from_second(due).unwrap());
            self.ends.push((run.name_any(), now.checked_add(SignedDuration::from_secs(self.length)).unwrap()));
            self.runs.push(run);
        } else if text.starts_with("delete") {
            self.runs.retain(|run| run.name_any() != name);
        } else if text.contains("cronworkflows") {
            let mut value = json!(self.cron);
            json_patch::merge(&mut value, step.body());
            self.cron = serde_json::from_value(value).unwrap();
        } else if let Some(run) = self.runs.iter_mut().find(|run| run.name_any() == name) {
            self.terminated += 1;
            run.spec.shutdown = Some("Terminate".to_owned());
            run.status.get_or_insert_default().phase = Phase::Failed;
        }
    }

    fn status(&self) -> CronWorkflowStatus {
        self.cron.status.clone().unwrap_or_default()
    }
}

#[test]
fn a_run_is_counted_at_its_end_and_only_the_last_ones_are_kept() {
    let spec = json!({"schedules": ["30 2 * * *"], "timezone": "Europe/Berlin"});
    let mut life = Life::new(spec, "2026-12-21T12:00:00Z", 600);
    life.live("2026-12-21T12:00:00Z", "2026-12-31T12:00:00Z");
    let status = life.status();
    assert_eq!((status.succeeded, status.failed, status.active.len()), (10, 0, 0));
    assert_eq!(status.last_scheduled_time.unwrap().0, at("2026-12-31T01:30:00Z"));
    assert_eq!(life.runs.len(), 3);
    let due = life.runs[2].annotations()[labels::SCHEDULED_TIME].clone();
    assert_eq!((life.runs[2].name_any().as_str(), due.as_str()), ("c-1798680600", "2026-12-31T02:30:00+01:00"));
}

#[test]
fn runs_that_take_longer_than_their_turn_are_treated_by_the_policy() {
    for (policy, started, terminated) in
        [(json!(null), 24, 0), (json!("Allow"), 24, 0), (json!("Forbid"), 12, 0), (json!("Replace"), 24, 23)]
    {
        let spec = json!({"schedule": "0 * * * *", "concurrencyPolicy": policy});
        let mut life = Life::new(spec, "2026-01-01T00:00:00Z", 5400);
        life.live("2026-01-01T00:00:00Z", "2026-01-02T00:00:30Z");
        assert_eq!((life.started.len(), life.terminated), (started, terminated), "{policy}");
    }
}

#[test]
fn a_missed_run_is_made_up_for_once_and_only_within_the_deadline() {
    for (deadline, wanted) in [
        (json!(null), vec!["2026-01-01T06:00:00Z"]),
        (json!(600), vec!["2026-01-01T06:00:00Z"]),
        (json!(3600), vec!["2026-01-01T05:20:00Z", "2026-01-01T06:00:00Z"]),
        (json!(36_000), vec!["2026-01-01T05:20:00Z", "2026-01-01T06:00:00Z"]),
    ] {
        let spec = json!({"schedules": ["0 * * * *"], "startingDeadlineSeconds": deadline});
        let mut life = Life::new(spec, "2026-01-01T00:30:00Z", 60);
        life.live("2026-01-01T05:20:00Z", "2026-01-01T06:30:00Z");
        let started: Vec<String> = life.started.iter().map(Timestamp::to_string).collect();
        assert_eq!(started, wanted, "{deadline}");
    }
    let name = |life: &Life| life.runs[0].name_any();
    let mut life =
        Life::new(json!({"schedules": ["0 * * * *"], "startingDeadlineSeconds": 3600}), "2026-01-01T00:30:00Z", 60);
    life.live("2026-01-01T05:20:00Z", "2026-01-01T05:30:00Z");
    assert_eq!(name(&life), "c-1767243600");
}

#[test]
fn several_schedules_are_one_and_the_same_time_is_one_run() {
    let spec = json!({"schedules": ["0 */6 * * *", "0 0 * * *", "30 12 * * *"]});
    let mut life = Life::new(spec, "2026-01-01T00:00:00Z", 60);
    life.live("2026-01-01T00:00:00Z", "2026-01-02T00:00:30Z");
    let started: Vec<String> = life.started.iter().map(|time| time.strftime("%dT%H:%M").to_string()).collect();
    assert_eq!(started, ["01T06:00", "01T12:00", "01T12:30", "01T18:00", "02T00:00"]);
}

#[test]
fn it_stops_for_good_by_its_own_condition() {
    for strategy in [json!({"expression": "cronworkflow.failed >= 2"}), json!({"condition": "failed >= 2"})] {
        let mut life =
            Life::new(json!({"schedules": ["0 * * * *"], "stopStrategy": strategy}), "2026-01-01T00:00:00Z", 60);
        life.outcome = Phase::Failed;
        life.live("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let status = life.status();
        assert_eq!((life.started.len(), status.failed, status.phase.as_str()), (2, 2, "Stopped"));
        assert_eq!(life.cron.labels()[labels::COMPLETED], "true");
        assert_eq!(life.runs.len(), 1);
    }
}

#[test]
fn a_condition_tells_whether_a_run_that_is_due_is_started() {
    let mut life = Life::new(
        json!({"schedules": ["* * * * *"], "when": "{{= cronworkflow.lastScheduledTime == nil || (now() - cronworkflow.lastScheduledTime).Seconds() > 150 }}"}),
        "2026-01-01T00:00:00Z",
        10,
    );
    life.live("2026-01-01T00:00:00Z", "2026-01-01T00:10:30Z");
    let started: Vec<String> = life.started.iter().map(|time| time.strftime("%M").to_string()).collect();
    assert_eq!(started, ["01", "04", "07", "10"]);
    let mut wrong =
        Life::new(json!({"schedules": ["* * * * *"], "when": "{{= nothing }}"}), "2026-01-01T00:00:00Z", 10);
    wrong.live("2026-01-01T00:00:00Z", "2026-01-01T00:02:30Z");
    assert!(wrong.started.is_empty());
    assert_eq!(wrong.status().conditions[0].r#type, "SubmissionError");
}

#[test]
fn what_cannot_be_read_is_a_condition_and_mended_is_taken_up() {
    let mut life = Life::new(json!({"schedules": ["nightly"]}), "2026-01-01T00:00:00Z", 10);
    assert_eq!(life.look(at("2026-01-01T00:01:00Z")), None);
    let condition = life.status().conditions[0].clone();
    assert_eq!(condition.r#type, "SpecError");
    assert_eq!(
        condition.message.unwrap(),
        "cron schedule \"nightly\" is malformed: expected exactly 5 fields, found 1: [nightly]"
    );
    life.cron.spec.schedules = vec!["0 * * * *".to_owned()];
    assert_eq!(life.look(at("2026-01-01T00:02:00Z")), Some(at("2026-01-01T01:00:00Z")));
    assert!(life.status().conditions.is_empty());
    life.cron.spec.suspend = Some(true);
    assert_eq!(life.look(at("2026-01-01T01:00:00Z")), None);
    assert!(life.started.is_empty());
}
