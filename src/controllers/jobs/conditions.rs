//! The conditions of a Job: which hold, and how one is added. Pure.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A condition that holds.
pub(super) fn holding<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
}

/// The condition that ended a Job.
pub(crate) fn end(job: &Job) -> Option<&JobCondition> {
    holding(job, "Complete").or_else(|| holding(job, "Failed"))
}

/// Sets a condition; whether that changed its status.
pub(super) fn set(
    status: &mut JobStatus,
    type_: &str,
    word: &str,
    (reason, message): (&str, &str),
    now: Timestamp,
) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    let have = conditions.iter_mut().find(|condition| condition.type_ == type_);
    if have.as_ref().is_some_and(|have| have.status == word) {
        return false;
    }
    let condition = JobCondition {
        type_: type_.to_owned(),
        status: word.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    match have {
        Some(have) => *have = condition,
        None => conditions.push(condition),
    }
    true
}
