//! Where a Job is going: on, to rest, to failure or to success, and why. Pure.
//! Upstream rule: `syncJob` in `pkg/controller/job/job_controller.go`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Pod;
use tinderbox_client::clock::after;

use super::tally::{Tally, number};
use super::{conditions, index};
use crate::pods::{phase, restarts, seconds};

/// How a Job stands.
pub(super) enum Course {
    Running,
    Suspended,
    Failing { reason: String, message: String },
    Completing { reason: String, message: String },
}

impl Course {
    /// Judges a Job: what was decided before holds.
    pub(super) fn of(job: &Job, spec: &JobSpec, tally: &Tally, pods: &[Arc<Pod>], now: Timestamp) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        if let Some(target) = conditions::holding(job, "SuccessCriteriaMet") {
            return Self::Completing { reason: text(&target.reason), message: text(&target.message) };
        }
        if let Some(target) = conditions::holding(job, "FailureTarget") {
            return Self::Failing { reason: text(&target.reason), message: text(&target.message) };
        }
        if let Some((reason, message)) = failure(job, spec, tally, pods, now) {
            return Self::Failing { reason: reason.to_owned(), message };
        }
        if let Some((reason, message)) = success(spec, tally) {
            return Self::Completing { reason: reason.to_owned(), message };
        }
        if spec.suspend == Some(true) { Self::Suspended } else { Self::Running }
    }
}

type Verdict = (&'static str, String);

fn failure(job: &Job, spec: &JobSpec, tally: &Tally, pods: &[Arc<Pod>], now: Timestamp) -> Option<Verdict> {
    if let Some(why) = &tally.verdict {
        return Some(("PodFailurePolicy", why.clone()));
    }
    if tally.failures(spec) > spec.backoff_limit.unwrap_or(6) || restarts_exceed(spec, pods) {
        return Some(("BackoffLimitExceeded", "Job has reached the specified backoff limit".to_owned()));
    }
    let start = job.status.as_ref().and_then(|status| status.start_time.as_ref());
    if let (Some(deadline), Some(start), false) = (spec.active_deadline_seconds, start, spec.suspend == Some(true))
        && after(start.0, seconds(deadline)) <= now
    {
        return Some(("DeadlineExceeded", "Job was active longer than specified deadline".to_owned()));
    }
    let failed = number(tally.failed_indexes.as_ref()?.len());
    if spec.max_failed_indexes.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(("MaxFailedIndexesExceeded", message.to_owned()));
    }
    let done = tally.done.as_ref().map_or(0, |done| number(done.len()));
    let all = failed > 0 && failed + done >= spec.completions.unwrap_or_default();
    all.then(|| ("FailedIndexes", "Job has failed indexes".to_owned()))
}

fn success(spec: &JobSpec, tally: &Tally) -> Option<Verdict> {
    if let Some(message) = tally.done.as_ref().and_then(|done| index::success(spec, done)) {
        return Some(("SuccessPolicy", message));
    }
    let enough = match spec.completions {
        None => tally.successes() > 0,
        Some(completions) => tally.successes() >= completions,
    };
    let complete = enough && tally.active.is_empty();
    complete.then(|| ("CompletionsReached", "Reached expected number of succeeded pods".to_owned()))
}

/// With `restartPolicy: OnFailure` the restarts of running pods count against the limit.
fn restarts_exceed(spec: &JobSpec, pods: &[Arc<Pod>]) -> bool {
    let policy = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    if policy != Some("OnFailure") {
        return false;
    }
    let counting = pods.iter().filter(|pod| matches!(phase(pod), "Running" | "Pending"));
    let total = counting.map(|pod| restarts(pod)).fold(0, i32::saturating_add);
    match spec.backoff_limit.unwrap_or(6) {
        0 => total > 0,
        limit => total >= limit,
    }
}
