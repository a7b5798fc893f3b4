//! A year of each CronWorkflow of `fixtures/cron-workflows`: when its runs begin, against the table that stands beside it. The tables
//! are written by hand, and only expanded here by the calendar, never by our own reading of schedules.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::civil::{Date, Time as Clock, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::*;

/// The year of the tables, in UTC.
const BEGIN: &str = "2026-01-01T00:00:00Z";
const END: &str = "2027-01-01T00:00:00Z";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Year {
    /// The behaviour.
    #[serde(rename = "about")]
    _about: String,
    /// The spec but for its workflow.
    spec: Value,
    /// When it was created; a second before the year.
    #[serde(default)]
    created: Option<String>,
    /// Seconds that a run takes.
    takes: i64,
    /// What somebody does, and when.
    #[serde(default)]
    moments: Vec<Moment>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Moment {
    at: String,
    /// A merge patch of the spec.
    #[serde(default)]
    patch: Option<Value>,
    /// How runs end from then on.
    #[serde(default)]
    outcome: Option<Phase>,
    /// The controller is ended, and another one begins at this time.
    #[serde(default)]
    away: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expect {
    /// When runs begin, in UTC; every day of the year is in one row.
    days: Vec<Days>,
    /// Runs that begin later than they were due: when they begin, and when they were due.
    #[serde(default)]
    late: BTreeMap<String, String>,
    succeeded: i64,
    #[serde(default)]
    failed: i64,
    #[serde(default)]
    terminated: usize,
    #[serde(default = "one")]
    at_once: usize,
    #[serde(default = "active")]
    phase: String,
}

fn one() -> usize {
    1
}

fn active() -> String {
    "Active".to_owned()
}

/// Days in a row, and the times at which a run begins on each of them, or on every so many, or on some days of the week.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Days {
    from: Date,
    #[serde(default)]
    to: Option<Date>,
    at: Vec<String>,
    #[serde(default = "one")]
    every: usize,
    #[serde(default)]
    on: Vec<String>,
}

impl Days {
    fn moments(&self) -> Vec<Timestamp> {
        let mut found = Vec::new();
        for (number, day) in self.from.series(jiff::Span::new().days(1)).enumerate() {
            if day > self.to.unwrap_or(self.from) {
                break;
            }
            let named = self.on.is_empty() || self.on.iter().any(|on| on == short(day.weekday()));
            if !named || number % self.every != 0 {
                continue;
            }
            for time in &self.at {
                let clock: Clock = time.parse().unwrap();
                found.push(TimeZone::UTC.to_timestamp(day.to_datetime(clock)).unwrap());
            }
        }
        found
    }
}

fn short(day: Weekday) -> &'static str {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::try_from(day.to_monday_zero_offset()).unwrap()]
}

/// When runs have to begin.
fn wanted(expect: &Expect) -> Vec<Timestamp> {
    let mut next: Date = "2026-01-01".parse().unwrap();
    let mut found = Vec::new();
    for row in &expect.days {
        assert_eq!(row.from, next, "a row begins where the one before it ended");
        next = row.to.unwrap_or(row.from).tomorrow().unwrap();
        found.extend(row.moments());
    }
    assert_eq!(next.to_string(), "2027-01-01", "the whole year is in the table");
    found.extend(expect.late.keys().map(|time| at(time)));
    found.sort();
    found
}

fn live(year: &Year) -> Life {
    let mut life = Life::new(year.spec.clone(), year.created.as_deref().unwrap_or("2025-12-31T23:59:59Z"), year.takes);
    let mut from = BEGIN.to_owned();
    for moment in &year.moments {
        life.live(&from, &moment.at);
        from.clone_from(moment.away.as_ref().unwrap_or(&moment.at));
        if moment.away.is_some() {
            life.seen = None;
        }
        life.outcome = moment.outcome.unwrap_or(life.outcome);
        if let Some(patch) = &moment.patch {
            let mut spec = json!(life.cron.spec);
            json_patch::merge(&mut spec, patch);
            life.cron.spec = serde_json::from_value(spec).unwrap();
        }
    }
    life.live(&from, END);
    life
}

#[test]
fn a_year_goes_as_the_tables_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cron-workflows");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10, "found only {} files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let year: Year =
            serde_yaml::from_str(&fs::read_to_string(&file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let life = live(&year);
        let (expect, status) = (&year.expect, life.status());
        let wanted = wanted(expect);
        let first = life.started.iter().zip(&wanted).find(|(have, wanted)| have != wanted);
        if life.started != wanted {
            wrong.push(format!(
                "{name}: {} runs, wanted {}; first other one: {first:?}",
                life.started.len(),
                wanted.len()
            ));
            continue;
        }
        let late = life.started.iter().zip(&life.due).filter(|(start, due)| start != due);
        let late: BTreeMap<String, String> = late.map(|(start, due)| (start.to_string(), due.to_string())).collect();
        let have = (status.succeeded, status.failed, life.terminated, life.most, status.phase, late);
        let wanted = (
            expect.succeeded,
            expect.failed,
            expect.terminated,
            expect.at_once,
            expect.phase.clone(),
            expect.late.clone(),
        );
        if have != wanted {
            wrong.push(format!("{name}: {have:?}, wanted {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
