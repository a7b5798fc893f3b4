//! Moments and time spans, as Go reads them, and their parts.

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::Row;
use crate::error::Error;
use crate::library::patterns;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("timestamp_to_year", "getFullYear", ".timestamp -> int", |args| part(args, year)),
    ("timestamp_to_year_with_tz", "getFullYear", ".timestamp, string -> int", |args| part(args, year)),
    ("timestamp_to_month", "getMonth", ".timestamp -> int", |args| part(args, month)),
    ("timestamp_to_month_with_tz", "getMonth", ".timestamp, string -> int", |args| part(args, month)),
    ("timestamp_to_day_of_year", "getDayOfYear", ".timestamp -> int", |args| part(args, day_of_year)),
    ("timestamp_to_day_of_year_with_tz", "getDayOfYear", ".timestamp, string -> int", |args| part(args, day_of_year)),
    ("timestamp_to_day_of_month", "getDayOfMonth", ".timestamp -> int", |args| part(args, day_of_month)),
    ("timestamp_to_day_of_month_with_tz", "getDayOfMonth", ".timestamp, string -> int", |args| {
        part(args, day_of_month)
    }),
    ("timestamp_to_day_of_month_1_based", "getDate", ".timestamp -> int", |args| part(args, date)),
    ("timestamp_to_day_of_month_1_based_with_tz", "getDate", ".timestamp, string -> int", |args| part(args, date)),
    ("timestamp_to_day_of_week", "getDayOfWeek", ".timestamp -> int", |args| part(args, day_of_week)),
    ("timestamp_to_day_of_week_with_tz", "getDayOfWeek", ".timestamp, string -> int", |args| part(args, day_of_week)),
    ("timestamp_to_hours", "getHours", ".timestamp -> int", |args| part(args, hour)),
    ("timestamp_to_hours_with_tz", "getHours", ".timestamp, string -> int", |args| part(args, hour)),
    ("duration_to_hours", "getHours", ".duration -> int", |args| span(args, 3_600_000_000_000)),
    ("timestamp_to_minutes", "getMinutes", ".timestamp -> int", |args| part(args, minute)),
    ("timestamp_to_minutes_with_tz", "getMinutes", ".timestamp, string -> int", |args| part(args, minute)),
    ("duration_to_minutes", "getMinutes", ".duration -> int", |args| span(args, 60_000_000_000)),
    ("timestamp_to_seconds", "getSeconds", ".timestamp -> int", |args| part(args, second)),
    ("timestamp_to_seconds_tz", "getSeconds", ".timestamp, string -> int", |args| part(args, second)),
    ("duration_to_seconds", "getSeconds", ".duration -> int", |args| span(args, 1_000_000_000)),
    ("timestamp_to_milliseconds", "getMilliseconds", ".timestamp -> int", |args| part(args, millisecond)),
    ("timestamp_to_milliseconds_with_tz", "getMilliseconds", ".timestamp, string -> int", |args| {
        part(args, millisecond)
    }),
    ("duration_to_milliseconds", "getMilliseconds", ".duration -> int", |args| span(args, 1_000_000)),
];

fn year(at: &Zoned) -> i64 {
    at.year().into()
}

fn month(at: &Zoned) -> i64 {
    i64::from(at.month()) - 1
}

fn day_of_year(at: &Zoned) -> i64 {
    i64::from(at.day_of_year()) - 1
}

fn day_of_month(at: &Zoned) -> i64 {
    i64::from(at.day()) - 1
}

fn date(at: &Zoned) -> i64 {
    at.day().into()
}

fn day_of_week(at: &Zoned) -> i64 {
    at.weekday().to_sunday_zero_offset().into()
}

fn hour(at: &Zoned) -> i64 {
    at.hour().into()
}

fn minute(at: &Zoned) -> i64 {
    at.minute().into()
}

fn second(at: &Zoned) -> i64 {
    at.second().into()
}

fn millisecond(at: &Zoned) -> i64 {
    at.millisecond().into()
}

fn part<'a>(args: &[Value<'a>], of: fn(&Zoned) -> i64) -> Result<Value<'a>, Error> {
    let zone = match args {
        [Value::Timestamp(_)] => TimeZone::UTC,
        [Value::Timestamp(_), Value::String(name)] => zone(name)?,
        _ => return Err(Error::no_such_overload()),
    };
    match &args[0] {
        Value::Timestamp(moment) => Ok(Value::Int(of(&moment.to_zoned(zone)))),
        _ => Err(Error::no_such_overload()),
    }
}

/// A zone by its name or as `-08:00`.
fn zone(name: &str) -> Result<TimeZone, Error> {
    if let Some((hours, minutes)) = name.split_once(':') {
        let wrong = || Error::new(format!("invalid time zone offset: {name}"));
        let hour: i32 = hours.trim_start_matches('+').parse().map_err(|_| wrong())?;
        let minute: i32 = minutes.parse().map_err(|_| wrong())?;
        let minutes = hour * 60 + if hours.starts_with('-') { -minute } else { minute };
        return Offset::from_seconds(minutes * 60).map(TimeZone::fixed).map_err(|_| wrong());
    }
    TimeZone::get(name).map_err(|_| Error::new(format!("unknown time zone {name}")))
}

fn span<'a>(args: &[Value<'a>], unit: i64) -> Result<Value<'a>, Error> {
    match &args[0] {
        Value::Duration(nanos) => Ok(Value::Int(nanos / unit)),
        _ => Err(Error::no_such_overload()),
    }
}

/// A moment of RFC 3339.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let form = patterns::compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$").ok()?;
    if form.is_match(text) { text.parse().ok() } else { None }
}

/// Nanoseconds of a span like `1h15m30.918s`, as `time.ParseDuration` reads it.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        let mut digit = unit;
        for c in fraction.chars() {
            digit /= 10;
            total += i128::from(c.to_digit(10)?) * digit;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}
