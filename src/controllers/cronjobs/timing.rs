//! Which time of a schedule is due and not met, and when the next one is. Pure.
//! Upstream rule: `mostRecentScheduleTime` in `pkg/controller/cronjob/utils.go`.

use jiff::{SignedDuration, Timestamp};
use tinderbox_api::cron::Schedule;

/// More times missed than this are told.
const MANY: i64 = 100;

/// The times of a schedule that have passed since another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// The last of them.
    pub(super) latest: Option<Timestamp>,
    /// About how many there are.
    pub(super) count: i64,
}

impl Passed {
    /// Whether so many have passed that something may be wrong.
    pub(super) fn is_many(self) -> bool {
        self.count > MANY
    }
}

/// The times between `since` and `now`.
pub(super) fn passed(schedule: &Schedule, since: Timestamp, now: Timestamp) -> Result<Passed, &'static str> {
    const NEVER: &str = "time difference between two schedules is less than 1 second";
    let first = schedule.next(since).ok_or(NEVER)?;
    if now < first {
        return Ok(Passed { latest: None, count: 0 });
    }
    let second = schedule.next(first).ok_or(NEVER)?;
    if now < second {
        return Ok(Passed { latest: Some(first), count: 0 });
    }
    let between = second.duration_since(first).as_secs();
    if between < 1 {
        return Err(NEVER);
    }
    let count = now.duration_since(first).as_secs() / between + 1;
    // One step before the last, so that it is found whether or not the steps are equal.
    let near = SignedDuration::from_secs((count - 2) * between);
    let mut latest = None;
    let mut time = schedule.next(first.saturating_add(near).unwrap_or(first));
    while let Some(found) = time.filter(|time| *time <= now) {
        latest = Some(found);
        time = schedule.next(found);
    }
    Ok(Passed { latest, count })
}

/// When to look at the schedule again.
pub(super) fn next(schedule: &Schedule, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let from = match passed(schedule, since, now) {
        Ok(Passed { latest: Some(latest), .. }) => latest,
        Ok(Passed { count: 0, .. }) => since,
        Ok(_) | Err(_) => now,
    };
    schedule.next(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_latest_time_counts() {
        let hourly = Schedule::parse("0 * * * *").unwrap();
        let odd = Schedule::parse("30 6-16/4 * * 1-5").unwrap();
        let since = at("2026-01-01T10:00:00Z");
        for (schedule, now, latest, count) in [
            (&hourly, "2026-01-01T10:59:59Z", None, 0),
            (&hourly, "2026-01-01T11:00:00Z", Some("2026-01-01T11:00:00Z"), 0),
            (&hourly, "2026-01-01T13:30:00Z", Some("2026-01-01T13:00:00Z"), 3),
            (&hourly, "2026-01-09T13:30:00Z", Some("2026-01-09T13:00:00Z"), 195),
            (&odd, "2026-01-02T15:00:00Z", Some("2026-01-02T14:30:00Z"), 8),
            // After a gap in the schedule the estimate lies behind the last time, and that one is let go, as upstream.
            (&odd, "2026-01-03T12:00:00Z", None, 13),
        ] {
            let wanted = Passed { latest: latest.map(at), count };
            assert_eq!(passed(schedule, since, at(now)), Ok(wanted), "{now}");
        }
        let never = Schedule::parse("59 23 31 2 *").unwrap();
        assert!(passed(&never, since, since).is_err());
    }

    #[test]
    fn the_next_time_follows_the_latest() {
        let hourly = Schedule::parse("0 * * * *").unwrap();
        let since = at("2026-01-01T10:00:00Z");
        for now in ["2026-01-01T10:30:00Z", "2026-01-01T13:30:00Z"] {
            let wanted = at(now).checked_add(SignedDuration::from_mins(30)).ok();
            assert_eq!(next(&hourly, since, at(now)), wanted);
        }
    }
}
