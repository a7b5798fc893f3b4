//! When a CronWorkflow is due: at the times of any of its schedules. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tinderbox_api::cron::{self, Schedule};
use tinderbox_api::workflows::CronWorkflowSpec;

/// Steps over times that were missed, at most: what is older than that is as good as never.
const STEPS: usize = 10_000;

/// The zone of a schedule; upstream's machine is a container in UTC.
pub(super) fn zone(spec: &CronWorkflowSpec) -> Result<TimeZone, String> {
    match spec.timezone.as_deref().filter(|zone| !zone.is_empty() && *zone != "Local") {
        None => Ok(TimeZone::UTC),
        Some(name) => cron::zone(name).ok_or_else(|| format!("invalid timezone: unknown time zone {name}")),
    }
}

/// Reads all schedules, in the form of 3.x and of 4.x.
///
/// # Errors
/// What is wrong with them.
pub(super) fn schedules(spec: &CronWorkflowSpec) -> Result<Vec<Schedule>, String> {
    let zone = zone(spec)?;
    let all = spec.schedules.iter().chain(&spec.schedule).filter(|text| !text.is_empty());
    let read = all.map(|text| {
        Schedule::parse_in(text, zone.clone()).map_err(|why| format!("cron schedule {text:?} is malformed: {why}"))
    });
    let schedules = read.collect::<Result<Vec<_>, _>>()?;
    if schedules.is_empty() { Err("cron workflow must have at least one schedule".to_owned()) } else { Ok(schedules) }
}

/// The next time of any schedule.
pub(super) fn next(schedules: &[Schedule], after: Timestamp) -> Option<Timestamp> {
    schedules.iter().filter_map(|schedule| schedule.next(after)).min()
}

/// The last time of any schedule after `from` that is not after `now`.
pub(super) fn last(schedules: &[Schedule], from: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let mut found = None;
    let mut at = from;
    for _ in 0..STEPS {
        match next(schedules, at).filter(|next| *next <= now) {
            Some(next) => (found, at) = (Some(next), next),
            None => break,
        }
    }
    found
}
