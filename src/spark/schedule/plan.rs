//! What a ScheduledSparkApplication wants done next: the run that is due, runs beyond the history's limits away, its status.
//! Pure.
//! Upstream rule: `Reconcile` in `internal/controller/scheduledsparkapplication/controller.go` of kubeflow/spark-operator.
//! Better than upstream: an unset concurrency policy is `Allow`, a changed schedule is planned anew, one that was mended is taken
//! up again, and the history is kept as runs end and not only when the next one starts.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_api::cron::Schedule;
use tinderbox_api::spark::{ScheduledSparkApplication, ScheduledSparkApplicationStatus, SparkApplication, State};
use tinderbox_client::{Plan, Step};

use super::{child, times};
use crate::validation;

/// How many runs of an outcome are kept where nothing is said.
const HISTORY: i32 = 1;

/// What one ScheduledSparkApplication wants done, given its runs.
pub(super) fn plan(scheduled: &ScheduledSparkApplication, runs: Vec<Arc<SparkApplication>>, now: Timestamp) -> Plan {
    if scheduled.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    let status = scheduled.status.clone().unwrap_or_default();
    // What is written down has whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let mut view = View { scheduled, runs: child::newest_first(runs), now, status, plan: Plan::default() };
    view.keep_history();
    if scheduled.spec.suspend != Some(true) {
        match validation::scheduled(scheduled).and_then(|()| times::schedule(&scheduled.spec)) {
            Ok(schedule) => view.follow(&schedule),
            Err(reason) => view.refuse(reason),
        }
    }
    let View { status, mut plan, .. } = view;
    plan.then();
    Step::status(scheduled, scheduled.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
    plan.stages.retain(|stage| !stage.is_empty());
    plan
}

struct View<'a> {
    scheduled: &'a ScheduledSparkApplication,
    /// The newest first.
    runs: Vec<Arc<SparkApplication>>,
    now: Timestamp,
    status: ScheduledSparkApplicationStatus,
    plan: Plan,
}

impl View<'_> {
    fn refuse(&mut self, reason: String) {
        self.status.schedule_state = "FailedValidation".to_owned();
        self.status.reason = reason;
        self.status.next_run = None;
    }

    fn follow(&mut self, schedule: &Schedule) {
        let planned = self.status.next_run.as_ref().map(|time| time.0);
        let Some(next) = times::next(schedule, planned, self.now) else {
            let text = self.scheduled.spec.schedule.as_deref().unwrap_or_default();
            self.refuse(format!("the schedule {text:?} is not due within five years"));
            return;
        };
        self.status.schedule_state = "Scheduled".to_owned();
        self.status.reason.clear();
        self.plan_for(next);
        if next > self.now {
            return;
        }
        if self.may_start() {
            self.start(next);
        }
        if let Some(following) = schedule.next(self.now) {
            self.plan_for(following);
        }
    }

    fn plan_for(&mut self, next: Timestamp) {
        self.status.next_run = Some(Time(next));
        self.plan.again = Some(next);
    }

    /// Whether the run that is due may start beside the last one, which is taken away if it has to make room.
    fn may_start(&mut self) -> bool {
        let Some(last) = self.runs.first().filter(|last| !child::state(last).is_terminated()).cloned() else {
            return true;
        };
        match self.scheduled.spec.concurrency_policy.as_deref() {
            Some("Forbid") => false,
            Some("Replace") => {
                self.plan.push(Step::delete(&*last));
                true
            }
            _ => true,
        }
    }

    fn start(&mut self, due: Timestamp) {
        let run = child::new(self.scheduled, due);
        let name = child::name(self.scheduled, due);
        // Made before, by a controller that was ended before it could write it down.
        if self.runs.iter().all(|run| run.metadata.name.as_ref() != Some(&name)) {
            self.plan.then();
            self.plan.push(Step::create(&run));
        }
        self.status.last_run = Some(Time(self.now));
        self.status.last_run_name = name;
    }

    /// Names the runs that ended, the newest first, and takes away those beyond the limits.
    fn keep_history(&mut self) {
        let spec = &self.scheduled.spec;
        let (kept, beyond) = self.ended(State::Completed, spec.successful_run_history_limit);
        self.status.past_successful_run_names = kept;
        let (failed, more) = self.ended(State::Failed, spec.failed_run_history_limit);
        self.status.past_failed_run_names = failed;
        for run in beyond.iter().chain(&more).filter(|run| run.metadata.deletion_timestamp.is_none()) {
            self.plan.push(Step::delete(&**run));
        }
    }

    /// Names of runs of an outcome within a limit, and the runs beyond it.
    fn ended(&self, outcome: State, limit: Option<i32>) -> (Vec<String>, Vec<Arc<SparkApplication>>) {
        let limit = usize::try_from(limit.unwrap_or(HISTORY)).unwrap_or_default();
        let ended = self.runs.iter().filter(|run| child::state(run) == outcome);
        let (kept, beyond): (Vec<_>, Vec<_>) = ended.cloned().enumerate().partition(|(index, _)| *index < limit);
        let name = |(_, run): (usize, Arc<SparkApplication>)| run.metadata.name.clone().unwrap_or_default();
        (kept.into_iter().map(name).collect(), beyond.into_iter().map(|(_, run)| run).collect())
    }
}

#[cfg(test)]
mod tests;
