//! What a Job wants done next: its count and conditions, pods to make, to delete and to let go of, its own removal. Pure.
//! Upstream rule: `syncJob` in `pkg/controller/job/job_controller.go`.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::PropagationPolicy;
use tinderbox_client::clock::after;
use tinderbox_client::events::reference;
use tinderbox_client::{Error, Note, Plan, Result, Step, Verb};

use super::course::Course;
use super::tally::{Tally, number, replaces_only_failed};
use super::{TRACKING, backoff, conditions, index, pod};
use crate::meta::{has_finalizer, is_deleting, remove_finalizer};
use crate::pods::{phase, seconds, sort_for_deletion};

/// At most so many pods are made at a time.
const BURST: usize = 500;
const CONTROLLER: &str = "kubernetes.io/job-controller";

/// What one Job wants done, given the pods that it controls.
pub(super) fn plan(job: &Job, pods: &[Arc<Pod>], now: Timestamp) -> Result<Plan> {
    let spec = job.spec.as_ref();
    let spec = spec.ok_or_else(|| Error::Invalid(format!("{} has no spec", job.name_any())))?;
    let mut plan = Plan::default();
    if spec.managed_by.as_deref().is_some_and(|manager| manager != CONTROLLER) {
        return Ok(plan);
    }
    if is_deleting(job) || conditions::end(job).is_some() {
        for pod in pods.iter().filter(|pod| has_finalizer(&***pod, TRACKING)) {
            remove_finalizer(&**pod, TRACKING).into_iter().for_each(|step| plan.push(step));
        }
        if !is_deleting(job) {
            expire(job, spec, now, &mut plan);
        }
        return Ok(plan);
    }
    let tally = Tally::of(job, spec, pods);
    let mut status = job.status.clone().unwrap_or_default();
    tally.write(&mut status);
    let course = Course::of(job, spec, &tally, pods, now);
    let mut notes = Vec::new();
    enact(job, spec, &course, &tally, &mut status, now, &mut notes);
    if let Some(step) = Step::status(job, job.status.as_ref(), &status) {
        plan.push(step);
    }
    plan.then();
    for pod in &tally.release {
        remove_finalizer(&**pod, TRACKING).into_iter().for_each(|step| plan.push(step));
    }
    match course {
        Course::Running => run(job, spec, &tally, pods, now, &mut plan),
        _ => delete(job, &tally.active, &mut plan),
    }
    if let (Course::Running, Some(deadline), Some(start)) = (&course, spec.active_deadline_seconds, &status.start_time)
    {
        plan.at(after(start.0, seconds(deadline)));
    }
    plan.stages.retain(|stage| !stage.is_empty());
    plan.notes = notes;
    Ok(plan)
}

/// A finished Job goes away after its time to live.
fn expire(job: &Job, spec: &JobSpec, now: Timestamp, plan: &mut Plan) {
    let ended = conditions::end(job).and_then(|end| end.last_transition_time.as_ref());
    let (Some(ttl), Some(ended)) = (spec.ttl_seconds_after_finished, ended) else {
        return;
    };
    let expiry = after(ended.0, seconds(ttl));
    if expiry > now {
        plan.at(expiry);
        return;
    }
    let mut step = Step::delete(job);
    if let Verb::Delete { propagation, .. } = &mut step.verb {
        *propagation = Some(PropagationPolicy::Foreground);
    }
    plan.push(step);
}

fn enact(
    job: &Job,
    spec: &JobSpec,
    course: &Course,
    tally: &Tally,
    status: &mut JobStatus,
    now: Timestamp,
    notes: &mut Vec<Note>,
) {
    let had = |type_: &str| conditions::holding(job, type_).is_some();
    match course {
        Course::Failing { reason, message } => {
            conditions::set(status, "FailureTarget", "True", (reason, message), now);
            if tally.is_settled() && conditions::set(status, "Failed", "True", (reason, message), now) {
                notes.push(Note::warning(job, reason, message.clone()));
            }
        }
        Course::Completing { reason, message } => {
            conditions::set(status, "SuccessCriteriaMet", "True", (reason, message), now);
            if tally.is_settled() && conditions::set(status, "Complete", "True", (reason, message), now) {
                status.completion_time = Some(Time(now));
                notes.push(Note::normal(job, "Completed", "Job completed"));
            }
        }
        Course::Suspended => {
            if conditions::set(status, "Suspended", "True", ("JobSuspended", "Job suspended"), now) {
                notes.push(Note::normal(job, "Suspended", "Job suspended"));
            }
        }
        Course::Running => {
            if had("Suspended") {
                conditions::set(status, "Suspended", "False", ("JobResumed", "Job resumed"), now);
                notes.push(Note::normal(job, "Resumed", "Job resumed"));
                status.start_time = Some(Time(now));
            }
        }
    }
    if status.start_time.is_none() && spec.suspend != Some(true) {
        status.start_time = Some(Time(now));
    }
}

fn run(job: &Job, spec: &JobSpec, tally: &Tally, pods: &[Arc<Pod>], now: Timestamp, plan: &mut Plan) {
    let parallelism = spec.parallelism.unwrap_or(1).max(0);
    let active = number(tally.active.len());
    let wanted = match spec.completions {
        None if tally.successes() > 0 => active.min(parallelism),
        None => parallelism,
        Some(completions) => parallelism.min(completions - tally.successes()).max(0),
    };
    let surplus = surplus(spec, tally, usize::try_from(active - wanted).unwrap_or_default());
    if !surplus.is_empty() {
        delete(job, &surplus, plan);
        return;
    }
    let waiting = if replaces_only_failed(spec) { number(tally.terminating) } else { 0 };
    let missing = usize::try_from(wanted - active - waiting).unwrap_or_default().min(BURST);
    if missing == 0 {
        return;
    }
    if spec.backoff_limit_per_index.is_none()
        && let Some(start) = backoff::next_start(pods, now).filter(|start| *start > now)
    {
        plan.at(start);
        return;
    }
    match next_indexes(spec, tally, pods, missing, now) {
        Ok(indexes) => create(job, spec, tally, indexes, plan),
        Err(Some(later)) => plan.at(later),
        Err(None) => (),
    }
}

/// Who is to have a pod now: an index each, or nobody in particular.
fn next_indexes(
    spec: &JobSpec,
    tally: &Tally,
    pods: &[Arc<Pod>],
    missing: usize,
    now: Timestamp,
) -> Result<Vec<Option<i32>>, Option<Timestamp>> {
    let Some(mut free) = free_indexes(spec, tally, pods) else {
        return Ok(vec![None; missing]);
    };
    free.truncate(missing);
    if free.is_empty() {
        return Ok(Vec::new());
    }
    Ok(index::ready(free, &tally.delayed, now)?.into_iter().map(Some).collect())
}

fn create(job: &Job, spec: &JobSpec, tally: &Tally, indexes: Vec<Option<i32>>, plan: &mut Plan) {
    let about = reference(job);
    for index in indexes {
        let replaced = index.and_then(|index| tally.delayed.get(&index));
        let pod = pod::new(job, spec, index, replaced.map(|pod| &**pod));
        plan.push(Step::create(&pod).done(&about, "SuccessfulCreate", "Created pod: ").failed(
            &about,
            "FailedCreate",
            "Error creating: ",
        ));
    }
}

/// The indexes that want a pod, lowest first; nothing when the Job has none.
fn free_indexes(spec: &JobSpec, tally: &Tally, pods: &[Arc<Pod>]) -> Option<Vec<i32>> {
    let done = tally.done.as_ref()?;
    let is_held = |held: &&Arc<Pod>| {
        let ended = matches!(phase(held), "Succeeded" | "Failed");
        !ended && (!is_deleting(&***held) || replaces_only_failed(spec))
    };
    let held: BTreeSet<i32> = pods.iter().filter(is_held).filter_map(|held| pod::index(held)).collect();
    let failed = |index: &i32| tally.failed_indexes.as_ref().is_some_and(|failed| failed.contains(index));
    let all = 0..spec.completions.unwrap_or_default();
    Some(all.filter(|index| !done.contains(index) && !held.contains(index) && !failed(index)).collect())
}

/// Active pods that are too many: those of an index that has another or is no more, and then so many that `most` go.
fn surplus(spec: &JobSpec, tally: &Tally, most: usize) -> Vec<Arc<Pod>> {
    let mut active = tally.active.clone();
    sort_for_deletion(&mut active);
    let mut gone = Vec::new();
    if tally.done.is_some() {
        let mut seen = BTreeSet::new();
        let exists = |index: i32| index < spec.completions.unwrap_or_default();
        // The pods that would go last keep their index.
        let mut kept = Vec::new();
        for one in active.into_iter().rev() {
            match pod::index(&one) {
                Some(index) if exists(index) && seen.insert(index) => kept.push(one),
                _ => gone.push(one),
            }
        }
        kept.reverse();
        active = kept;
    }
    let more = most.saturating_sub(gone.len());
    gone.extend(active.into_iter().take(more));
    gone
}

fn delete(job: &Job, pods: &[Arc<Pod>], plan: &mut Plan) {
    let about = reference(job);
    for pod in pods.iter().take(BURST) {
        plan.push(Step::delete(&**pod).done(&about, "SuccessfulDelete", "Deleted pod: ").failed(
            &about,
            "FailedDelete",
            "Error deleting: ",
        ));
    }
}

#[cfg(test)]
mod tests;
