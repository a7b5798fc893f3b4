//! Reading schedules, with cron's own words for what is wrong.

use std::ops::RangeInclusive;

use jiff::tz::TimeZone;

use super::{Fields, Schedule, Times, zone};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The words, and what they stand for.
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A field: what it counts from and to, and the names of its numbers.
struct Field {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { low: 0, high: 59, names: &[] };
const HOUR: Field = Field { low: 0, high: 23, names: &[] };
const DAY: Field = Field { low: 1, high: 31, names: &[] };
const MONTH: Field = Field { low: 1, high: 12, names: &MONTHS };
const WEEKDAY: Field = Field { low: 0, high: 6, names: &WEEKDAYS };

pub(super) fn schedule(text: &str, fallback: TimeZone) -> Result<Schedule, String> {
    if text.is_empty() {
        return Err("empty spec string".to_owned());
    }
    let (text, zone) = match text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
        Some(rest) => {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let found = zone(name).ok_or_else(|| format!("provided bad location {name}: unknown time zone {name}"));
            (rest.trim(), found?)
        }
        None => (text, fallback),
    };
    Ok(Schedule { times: times(text)?, zone })
}

fn times(text: &str) -> Result<Times, String> {
    if let Some(every) = text.strip_prefix("@every ") {
        let wrong = || format!("failed to parse duration {text}: time: invalid duration \"{every}\"");
        let seconds = seconds(every).ok_or_else(wrong)?;
        return Ok(Times::Every((seconds as i64).max(1)));
    }
    if text.starts_with('@') {
        let known = WORDS.iter().find(|(word, _)| *word == text);
        let (_, meaning) = known.ok_or_else(|| format!("unrecognized descriptor: {text}"))?;
        return times(meaning);
    }
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = parts.as_slice() else {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", parts.len(), parts.join(" ")));
    };
    let (minute, _) = MINUTE.read(minute)?;
    let (hour, _) = HOUR.read(hour)?;
    let (day, any_day) = DAY.read(day)?;
    let (month, _) = MONTH.read(month)?;
    let (weekday, any_weekday) = WEEKDAY.read(weekday)?;
    Ok(Times::Fields(Fields { minute, hour, day, month, weekday, open_days: any_day || any_weekday }))
}

impl Field {
    /// The numbers of a list of ranges, and whether it is left open.
    fn read(&self, text: &str) -> Result<(u64, bool), String> {
        let mut all = (0, false);
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (bits, open) = self.range(range)?;
            all = (all.0 | bits, all.1 || open);
        }
        Ok(all)
    }

    /// `*`, `?`, `3`, `3-7`, each with a step behind a slash.
    fn range(&self, text: &str) -> Result<(u64, bool), String> {
        let halves: Vec<&str> = text.split('/').collect();
        let ends: Vec<&str> = halves[0].split('-').collect();
        let any = matches!(ends[0], "*" | "?");
        let (start, end) = match (any, ends.as_slice()) {
            (true, _) => (self.low, self.high),
            (false, [one]) => (self.number(one)?, self.number(one)?),
            (false, [first, last]) => (self.number(first)?, self.number(last)?),
            _ => return Err(format!("too many hyphens: {text}")),
        };
        let (end, step) = match halves.as_slice() {
            [_] => (end, 1),
            [_, step] => (if ends.len() == 1 { self.high } else { end }, number(step)?),
            _ => return Err(format!("too many slashes: {text}")),
        };
        self.check(start..=end, step, text)?;
        let numbers = (start..=end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        Ok((numbers.fold(0, |bits, number| bits | 1 << number), any && step == 1))
    }

    fn check(&self, range: RangeInclusive<u32>, step: u32, text: &str) -> Result<(), String> {
        let (start, end) = range.into_inner();
        if start < self.low {
            return Err(format!("beginning of range ({start}) below minimum ({}): {text}", self.low));
        }
        if end > self.high {
            return Err(format!("end of range ({end}) above maximum ({}): {text}", self.high));
        }
        if start > end {
            return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {text}"));
        }
        Ok(())
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let name = text.to_lowercase();
        match (self.low..).zip(self.names).find(|(_, known)| **known == name) {
            Some((number, _)) => Ok(number),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(value) if value < 0 => Err(format!("negative number ({value}) not allowed: {text}")),
        Ok(value) => Ok(u32::try_from(value).unwrap_or(u32::MAX)),
        Err(_) => Err(format!("failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax")),
    }
}

/// The units of Go's durations, in seconds.
const UNITS: [(&str, f64); 8] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// `1h30m`, as Go writes durations.
fn seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let fitting = UNITS.iter().filter(|(unit, _)| tail.starts_with(unit));
        let (unit, size) = fitting.max_by_key(|(unit, _)| unit.len())?;
        sum += number.parse::<f64>().ok()? * size;
        rest = &tail[unit.len()..];
    }
    Some(sum)
}
