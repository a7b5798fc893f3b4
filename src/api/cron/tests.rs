//! When schedules are due, and what is wrong with those that cannot be read.

use super::*;

const BERLIN: &str = "Europe/Berlin";

/// The next times after `from`, in the zone's local time with its offset.
fn due(text: &str, name: &str, from: &str, count: usize) -> Vec<String> {
    let zone = zone(name).unwrap();
    let schedule = Schedule::parse_in(text, zone.clone()).unwrap();
    let mut time: Timestamp = from.parse().unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        let Some(next) = schedule.next(time) else { break };
        time = next;
        found.push(next.to_zoned(zone.clone()).strftime("%a %Y-%m-%dT%H:%M%:z").to_string());
    }
    found
}

#[test]
fn fields_ranges_steps_and_names() {
    let from = "2026-01-01T00:00:00Z";
    for (text, times) in [
        ("* * * * *", ["Thu 2026-01-01T00:01+00:00", "Thu 2026-01-01T00:02+00:00"]),
        ("*/20 * * * *", ["Thu 2026-01-01T00:20+00:00", "Thu 2026-01-01T00:40+00:00"]),
        ("5/30 3 * * *", ["Thu 2026-01-01T03:05+00:00", "Thu 2026-01-01T03:35+00:00"]),
        ("10-14/3 0,12 * * ?", ["Thu 2026-01-01T00:10+00:00", "Thu 2026-01-01T00:13+00:00"]),
        ("0 0 * FEB mon-Tue", ["Mon 2026-02-02T00:00+00:00", "Tue 2026-02-03T00:00+00:00"]),
        ("0 0 13 * FRI", ["Fri 2026-01-02T00:00+00:00", "Fri 2026-01-09T00:00+00:00"]),
        ("0 0 13 * *", ["Tue 2026-01-13T00:00+00:00", "Fri 2026-02-13T00:00+00:00"]),
        ("0 0 */2 * 1", ["Sat 2026-01-03T00:00+00:00", "Mon 2026-01-05T00:00+00:00"]),
        ("0 0 29 2 *", ["Tue 2028-02-29T00:00+00:00", "Sun 2032-02-29T00:00+00:00"]),
        ("0 0 31 * *", ["Sat 2026-01-31T00:00+00:00", "Tue 2026-03-31T00:00+00:00"]),
        ("@hourly", ["Thu 2026-01-01T01:00+00:00", "Thu 2026-01-01T02:00+00:00"]),
        ("@midnight", ["Fri 2026-01-02T00:00+00:00", "Sat 2026-01-03T00:00+00:00"]),
        ("@weekly", ["Sun 2026-01-04T00:00+00:00", "Sun 2026-01-11T00:00+00:00"]),
        ("@monthly", ["Sun 2026-02-01T00:00+00:00", "Sun 2026-03-01T00:00+00:00"]),
        ("@annually", ["Fri 2027-01-01T00:00+00:00", "Sat 2028-01-01T00:00+00:00"]),
        ("@every 1h30m", ["Thu 2026-01-01T01:30+00:00", "Thu 2026-01-01T03:00+00:00"]),
    ] {
        assert_eq!(due(text, "UTC", from, 2), times, "{text}");
    }
    assert_eq!(due("0 0 30 2 *", "UTC", from, 1), [""; 0]);
    assert_eq!(
        Schedule::parse("* * * * *").unwrap().next("2026-01-01T00:00:59.5Z".parse().unwrap()),
        "2026-01-01T00:01:00Z".parse().ok()
    );
}

#[test]
fn an_hour_that_spring_skips_is_not_due_that_day() {
    let from = "2026-03-28T00:00:00Z";
    for (text, times) in [
        ("30 2 * * *", ["Sat 2026-03-28T02:30+01:00", "Mon 2026-03-30T02:30+02:00", "Tue 2026-03-31T02:30+02:00"]),
        ("0 3 * * *", ["Sat 2026-03-28T03:00+01:00", "Sun 2026-03-29T03:00+02:00", "Mon 2026-03-30T03:00+02:00"]),
        ("0 9 * * *", ["Sat 2026-03-28T09:00+01:00", "Sun 2026-03-29T09:00+02:00", "Mon 2026-03-30T09:00+02:00"]),
    ] {
        assert_eq!(due(text, BERLIN, from, 3), times, "{text}");
    }
    let hours = due("0 * * * *", BERLIN, "2026-03-29T00:30:00Z", 2);
    assert_eq!(hours, ["Sun 2026-03-29T03:00+02:00", "Sun 2026-03-29T04:00+02:00"]);
}

#[test]
fn an_hour_that_autumn_repeats_is_due_twice() {
    let from = "2026-10-24T12:00:00Z";
    assert_eq!(
        due("30 2 * * *", BERLIN, from, 3),
        ["Sun 2026-10-25T02:30+02:00", "Sun 2026-10-25T02:30+01:00", "Mon 2026-10-26T02:30+01:00"]
    );
    assert_eq!(due("0 0 * * *", BERLIN, from, 2), ["Sun 2026-10-25T00:00+02:00", "Mon 2026-10-26T00:00+01:00"]);
    let new_york = due("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 3);
    assert_eq!(new_york, ["Sun 2026-11-01T01:30-04:00", "Sun 2026-11-01T01:30-05:00", "Mon 2026-11-02T01:30-05:00"]);
}

#[test]
fn a_midnight_that_does_not_exist_is_not_due() {
    // Cairo goes from 23:59:59 to 01:00 on the last Friday of April.
    let times = due("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", 2);
    assert_eq!(times, ["Sat 2026-04-25T00:00+03:00", "Sun 2026-04-26T00:00+03:00"]);
    let times = due("30 * 24 4 *", "Africa/Cairo", "2026-04-23T12:00:00Z", 2);
    assert_eq!(times, ["Fri 2026-04-24T01:30+03:00", "Fri 2026-04-24T02:30+03:00"]);
}

#[test]
fn half_an_hour_of_daylight_saving() {
    // Lord Howe goes from 02:00 back to 01:30.
    let times = due("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 3);
    assert_eq!(times, ["Sun 2026-04-05T01:45+11:00", "Sun 2026-04-05T01:45+10:30", "Mon 2026-04-06T01:45+10:30"]);
}

#[test]
fn a_prefix_names_the_zone() {
    let schedule = Schedule::parse("CRON_TZ=Asia/Tokyo 0 6 * * *").unwrap();
    assert_eq!(schedule.next(Timestamp::UNIX_EPOCH), "1970-01-01T21:00:00Z".parse().ok());
    assert_eq!(
        Schedule::parse("TZ=Nowhere 0 6 * * *").unwrap_err(),
        "provided bad location Nowhere: unknown time zone Nowhere"
    );
    assert!(zone("Europe/Nowhere").is_none());
}

#[test]
fn what_is_wrong_is_said_in_crons_words() {
    for (text, error) in [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("-1 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
        ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
        ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
    ] {
        assert_eq!(Schedule::parse(text).unwrap_err(), error, "{text}");
    }
}
