//! When a ScheduledSparkApplication is due. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tinderbox_api::cron::{self, Schedule};
use tinderbox_api::spark::ScheduledSparkApplicationSpec;

/// The zone that upstream means where none is given: the operator's own, which in a container is UTC. Here it always is.
const LOCAL: &str = "Local";

/// Reads the schedule.
///
/// # Errors
/// What is wrong with it, as upstream's `status.reason` says it.
pub(super) fn schedule(spec: &ScheduledSparkApplicationSpec) -> Result<Schedule, String> {
    let zone = match spec.time_zone.as_deref().filter(|zone| !zone.is_empty() && *zone != LOCAL) {
        None => TimeZone::UTC,
        Some(name) => cron::zone(name).ok_or_else(|| format!("Invalid timezone: unknown time zone {name}"))?,
    };
    Schedule::parse_in(spec.schedule.as_deref().unwrap_or_default(), zone)
}

/// The next time after `now`, given the one that is planned: a planned time that the schedule does not have (any more) is
/// planned anew.
pub(super) fn next(schedule: &Schedule, planned: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let next = schedule.next(now);
    match planned {
        Some(planned) if schedule.has(planned) && next.is_none_or(|next| planned <= next) => Some(planned),
        _ => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(schedule: &str, zone: Option<&str>) -> ScheduledSparkApplicationSpec {
        ScheduledSparkApplicationSpec {
            schedule: Some(schedule.to_owned()),
            time_zone: zone.map(str::to_owned),
            ..ScheduledSparkApplicationSpec::default()
        }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_zone_is_utc_unless_it_is_named() {
        let now = at("2026-07-01T00:00:00Z");
        for (text, zone, wanted) in [
            ("0 2 * * *", None, "2026-07-01T02:00:00Z"),
            ("0 2 * * *", Some(""), "2026-07-01T02:00:00Z"),
            ("0 2 * * *", Some("Local"), "2026-07-01T02:00:00Z"),
            ("0 4 * * *", Some("Europe/Berlin"), "2026-07-01T02:00:00Z"),
            ("CRON_TZ=Europe/Berlin 0 4 * * *", None, "2026-07-01T02:00:00Z"),
            ("CRON_TZ=UTC 0 2 * * *", Some("Asia/Tokyo"), "2026-07-01T02:00:00Z"),
            ("@every 90s", Some("Asia/Tokyo"), "2026-07-01T00:01:30Z"),
        ] {
            assert_eq!(schedule(&spec(text, zone)).unwrap().next(now), Some(at(wanted)), "{text} in {zone:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_as_upstream_tells_it() {
        assert_eq!(
            schedule(&spec("0 2 * * *", Some("Mars/Olympus"))).unwrap_err(),
            "Invalid timezone: unknown time zone Mars/Olympus"
        );
        assert_eq!(schedule(&spec("nightly", None)).unwrap_err(), "expected exactly 5 fields, found 1: [nightly]");
    }

    #[test]
    fn a_planned_time_stays_while_the_schedule_has_it() {
        let nightly = schedule(&spec("0 2 * * *", None)).unwrap();
        let often = schedule(&spec("@every 3m", None)).unwrap();
        let now = at("2026-01-01T12:00:00Z");
        for (schedule, planned, wanted) in [
            (&nightly, None, "2026-01-02T02:00:00Z"),
            (&nightly, Some("2026-01-02T02:00:00Z"), "2026-01-02T02:00:00Z"),
            // Missed: still due.
            (&nightly, Some("2025-12-24T02:00:00Z"), "2025-12-24T02:00:00Z"),
            // Of a schedule that has been changed.
            (&nightly, Some("2026-01-01T13:00:00Z"), "2026-01-02T02:00:00Z"),
            (&nightly, Some("2026-01-09T02:00:00Z"), "2026-01-02T02:00:00Z"),
            (&nightly, Some("2026-01-01T11:00:00Z"), "2026-01-02T02:00:00Z"),
            (&often, Some("2026-01-01T12:01:07Z"), "2026-01-01T12:01:07Z"),
            (&often, Some("2026-01-01T13:00:00Z"), "2026-01-01T12:03:00Z"),
        ] {
            assert_eq!(next(schedule, planned.map(at), now), Some(at(wanted)), "{planned:?}");
        }
    }
}
