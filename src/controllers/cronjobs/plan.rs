//! What a CronJob wants done next: the Job that is due, Jobs beyond the history limits away, its status. Pure.
//! Upstream rule: `syncCronJob` in `pkg/controller/cronjob/cronjob_controllerv2.go`. A Job enters the status when it is there:
//! until then its name alone keeps it from being made twice.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tinderbox_api::cron::{self, Schedule};
use tinderbox_client::events::reference;
use tinderbox_client::{Error, Note, Plan, Result, Step};

use super::{job, timing};
use crate::meta::is_deleting;
use crate::pods::created;

/// What one CronJob wants done, given the Jobs that it controls.
pub(super) fn plan(cron: &CronJob, jobs: &[Arc<Job>], now: Timestamp) -> Result<Plan> {
    let spec = cron.spec.as_ref();
    let spec = spec.ok_or_else(|| Error::Invalid(format!("{} has no spec", cron.name_any())))?;
    let mut view = View { cron, spec, now, status: cron.status.clone().unwrap_or_default(), plan: Plan::default() };
    view.clean_up(jobs);
    view.follow(jobs);
    let due = if is_deleting(cron) || spec.suspend == Some(true) { None } else { view.due() };
    if let Some((zone, time)) = due {
        view.start(jobs, &zone, time);
    }
    let View { status, mut plan, .. } = view;
    // Upstream adds to the list and takes from it; an empty one is none.
    let status = CronJobStatus { active: status.active.filter(|active| !active.is_empty()), ..status };
    if let Some(step) = Step::status(cron, cron.status.as_ref(), &status) {
        plan.stages.insert(0, vec![step]);
    }
    plan.stages.retain(|stage| !stage.is_empty());
    Ok(plan)
}

struct View<'a> {
    cron: &'a CronJob,
    spec: &'a CronJobSpec,
    now: Timestamp,
    status: CronJobStatus,
    plan: Plan,
}

impl View<'_> {
    fn is_active(&self, job: &Job) -> bool {
        self.status.active.iter().flatten().any(|one| one.uid == job.metadata.uid)
    }

    fn forget(&mut self, uid: Option<&String>) {
        if let Some(active) = self.status.active.as_mut() {
            active.retain(|one| one.uid.as_ref() != uid);
        }
    }

    /// Removes the oldest ended Jobs.
    fn clean_up(&mut self, jobs: &[Arc<Job>]) {
        let successes = job::beyond(jobs, "Complete", self.spec.successful_jobs_history_limit);
        let failures = job::beyond(jobs, "Failed", self.spec.failed_jobs_history_limit);
        for job in successes.iter().chain(&failures).filter(|job| !is_deleting(&***job)) {
            self.delete(job);
        }
    }

    fn delete(&mut self, job: &Job) {
        let about = reference(self.cron);
        let step = Step::delete(job).done(&about, "SuccessfulDelete", "Deleted job ");
        self.plan.push(step.failed(&about, "FailedDelete", "Deleted job: "));
        self.forget(job.metadata.uid.as_ref());
    }

    /// Brings the status up to date with the Jobs.
    fn follow(&mut self, jobs: &[Arc<Job>]) {
        for one in jobs {
            let time = job::time(self.cron, one);
            if let Some(time) = time.filter(|time| self.last_schedule().is_none_or(|last| last < *time)) {
                self.status.last_schedule_time = Some(Time(time));
            }
            match (job::outcome(one), self.is_active(one)) {
                (None, false) if time.is_some() && !is_deleting(&**one) => {
                    self.status.active.get_or_insert_default().push(job::active(one));
                }
                (None, false) if time.is_none() => {
                    let text = "Saw a job that the controller did not create or forgot: ";
                    self.warn("UnexpectedJob", format!("{text}{}", one.name_any()));
                }
                (None, _) => (),
                (Some(outcome), active) => self.ended(one, outcome, active),
            }
        }
        let gone: Vec<_> = self.status.active.iter().flatten().cloned().collect();
        for one in gone.iter().filter(|one| jobs.iter().all(|job| job.metadata.uid != one.uid)) {
            let text = format!("Active job went missing: {}", one.name.clone().unwrap_or_default());
            self.plan.note(Note::normal(self.cron, "MissingJob", text));
            self.forget(one.uid.as_ref());
        }
    }

    fn ended(&mut self, job: &Job, outcome: &str, active: bool) {
        if active {
            self.forget(job.metadata.uid.as_ref());
            let text = format!("Saw completed job: {}, condition: {outcome}", job.name_any());
            self.plan.note(Note::normal(self.cron, "SawCompletedJob", text));
        }
        let completion = job.status.as_ref().and_then(|status| status.completion_time.clone());
        let known = self.status.last_successful_time.as_ref();
        if outcome == "Complete"
            && let Some(at) = completion.filter(|at| known.is_none_or(|known| known.0 < at.0))
        {
            self.status.last_successful_time = Some(at);
        }
    }

    fn last_schedule(&self) -> Option<Timestamp> {
        self.status.last_schedule_time.as_ref().map(|time| time.0)
    }

    fn warn(&mut self, reason: &str, text: String) {
        self.plan.note(Note::warning(self.cron, reason, text));
    }

    /// The time zone and the schedule, if they can be read.
    fn schedule(&mut self) -> Option<(TimeZone, Schedule)> {
        let name = self.spec.time_zone.as_deref();
        let Some(zone) = name.map_or(Some(TimeZone::UTC), cron::zone) else {
            let name = name.unwrap_or_default();
            self.warn("UnknownTimeZone", format!("invalid timeZone: {name:?}: unknown time zone {name}"));
            return None;
        };
        let text = &self.spec.schedule;
        if text.contains("TZ") {
            let docs = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/";
            let text = format!(
                "CRON_TZ or TZ used in schedule {text:?} is not officially supported, see {docs} for more details"
            );
            self.warn("UnsupportedSchedule", text);
        }
        match Schedule::parse_in(&self.spec.schedule, zone.clone()) {
            Ok(schedule) => Some((zone, schedule)),
            Err(error) => {
                self.warn("UnparseableSchedule", format!("unparseable schedule: {text:?} : {error}"));
                None
            }
        }
    }

    /// The time that is due, and the appointment for the next one.
    fn due(&mut self) -> Option<(TimeZone, Timestamp)> {
        let (zone, schedule) = self.schedule()?;
        let since = self.last_schedule().or_else(|| created(self.cron)).unwrap_or(self.now);
        let deadline = self.spec.starting_deadline_seconds.map(SignedDuration::from_secs);
        let horizon = deadline.and_then(|deadline| self.now.checked_sub(deadline).ok());
        let passed = match timing::passed(&schedule, horizon.map_or(since, |horizon| horizon.max(since)), self.now) {
            Ok(passed) => passed,
            Err(error) => {
                self.warn("InvalidSchedule", format!("invalid schedule: {} : {error}", self.spec.schedule));
                return None;
            }
        };
        if let Some(next) = timing::next(&schedule, since, self.now) {
            self.plan.at(next);
        }
        let time = passed.latest?;
        if passed.is_many() {
            let advice = "Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.warn("TooManyMissedTimes", format!("too many missed start times. {advice}"));
        }
        if deadline.is_some_and(|deadline| time.saturating_add(deadline).is_ok_and(|last| last < self.now)) {
            let when = time.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
            self.warn("MissSchedule", format!("Missed scheduled time to start a job: {when}"));
            return None;
        }
        Some((zone, time))
    }

    /// Makes the Job for a time, unless it was made, or another one may not run beside it.
    fn start(&mut self, jobs: &[Arc<Job>], zone: &TimeZone, time: Timestamp) {
        let name = job::name(self.cron, time);
        let active: Vec<_> = self.status.active.iter().flatten().cloned().collect();
        if self.last_schedule() == Some(time) || active.iter().any(|one| one.name.as_ref() == Some(&name)) {
            return;
        }
        let policy = self.spec.concurrency_policy.as_deref().unwrap_or("Allow");
        if policy == "Forbid" && !active.is_empty() {
            let text = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.plan.note(Note::normal(self.cron, "JobAlreadyActive", text));
            return;
        }
        if policy == "Replace" {
            let running = jobs.iter().filter(|job| active.iter().any(|one| one.uid == job.metadata.uid));
            running.for_each(|job| self.delete(job));
        }
        self.plan.then();
        let about = reference(self.cron);
        let job = job::new(self.cron, self.spec, zone, time);
        let step = Step::create(&job).done(&about, "SuccessfulCreate", "Created job ");
        self.plan.push(step.failed(&about, "FailedCreate", "Error creating job: "));
    }
}

#[cfg(test)]
mod tests;
