//! The Jobs of a CronJob: one per time, whose name tells the time, so that none is made twice. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use tinderbox_client::events::reference;

use crate::jobs::conditions::end;
use crate::meta::controller_reference;

const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The name of the Job for a time.
pub(super) fn name(cron: &CronJob, time: Timestamp) -> String {
    format!("{}-{}", cron.name_any(), time.as_second() / 60)
}

/// The Job for a time.
pub(super) fn new(cron: &CronJob, spec: &CronJobSpec, zone: &TimeZone, time: Timestamp) -> Job {
    let template = &spec.job_template;
    let meta = template.metadata.as_ref();
    let mut annotations = meta.and_then(|meta| meta.annotations.clone()).unwrap_or_default();
    annotations.insert(SCHEDULED.to_owned(), rfc3339(zone, time));
    Job {
        metadata: ObjectMeta {
            name: Some(name(cron, time)),
            namespace: cron.namespace(),
            labels: meta.and_then(|meta| meta.labels.clone()),
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(cron)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

fn rfc3339(zone: &TimeZone, time: Timestamp) -> String {
    let local = time.to_zoned(zone.clone());
    let form = if *zone == TimeZone::UTC { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
    local.strftime(form).to_string()
}

/// The time that a Job was made for, if its CronJob made it.
pub(super) fn time(cron: &CronJob, job: &Job) -> Option<Timestamp> {
    let time: Timestamp = job.annotations().get(SCHEDULED)?.parse().ok()?;
    (job.name_any() == name(cron, time)).then_some(time)
}

/// `Complete` or `Failed`, once the Job has ended.
pub(super) fn outcome(job: &Job) -> Option<&str> {
    end(job).map(|end| end.type_.as_str())
}

/// The oldest Jobs with an outcome, beyond a limit.
pub(super) fn beyond(jobs: &[Arc<Job>], wanted: &str, limit: Option<i32>) -> Vec<Arc<Job>> {
    let Some(limit) = limit else {
        return Vec::new();
    };
    let mut ended: Vec<_> = jobs.iter().filter(|job| outcome(job) == Some(wanted)).cloned().collect();
    let start = |job: &Job| job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
    ended.sort_by_key(|job| (start(job).is_none(), start(job), job.name_any()));
    ended.truncate(ended.len().saturating_sub(usize::try_from(limit).unwrap_or_default()));
    ended
}

/// How `status.active` names a Job.
pub(super) fn active(job: &Job) -> ObjectReference {
    reference(job)
}
