//! Four weeks of a schedule in the zone of Berlin, moment by moment, over each of the two changes of its clocks.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::json;
use tinderbox_api::spark::{ScheduledSparkApplication, ScheduledSparkApplicationStatus, SparkApplication, State};

use super::{application, define, end, operate, state};
use crate::node::EXIT;
use crate::world::World;

const WEEKS: Duration = Duration::from_secs(28 * 86_400);

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A world that begins at a moment, with a schedule for half past two in Berlin.
async fn scheduled(begin: &str, policy: &str, exit: Option<&str>) -> World {
    let world = World::beginning(at(begin)).await;
    define(&world).await;
    operate(&world);
    let annotations = exit.map_or_else(|| json!({}), |code| json!({EXIT: code}));
    let template = application(json!({"driver": {"annotations": annotations, "coreRequest": "1m"}}))["spec"].clone();
    let spec = json!({"schedule": "30 2 * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": policy, "template": template});
    world.create::<ScheduledSparkApplication>(json!({"metadata": {"name": "nightly"}, "spec": spec})).await;
    world
}

/// Waits for a status that is as wanted.
async fn told(
    world: &World,
    wanted: impl Fn(&ScheduledSparkApplicationStatus) -> bool,
) -> ScheduledSparkApplicationStatus {
    let fits = |schedule: &ScheduledSparkApplication| schedule.status.as_ref().is_some_and(&wanted);
    world.until::<ScheduledSparkApplication>("nightly", fits).await.status.unwrap()
}

/// Moves the clock to the next moment of the schedule; when that was, and the run that it started, if it started one.
async fn next(world: &World) -> (Timestamp, Option<String>) {
    let before = told(world, |status| status.next_run.is_some()).await;
    let due = before.next_run.clone().unwrap().0;
    let way = due.duration_since(world.clock.now());
    world.advance(way.unsigned_abs());
    let after = told(world, |status| status.next_run.as_ref().is_some_and(|next| *next > Time(due))).await;
    let run = format!("nightly-{}", due.as_nanosecond());
    (due, (after.last_run_name == run).then_some(run))
}

/// The moments at which there was a run in four weeks, each of which was over before the next.
async fn moments(begin: &str) -> Vec<String> {
    let world = scheduled(begin, "Allow", Some("0")).await;
    let over = at(begin) + WEEKS;
    let mut seen = Vec::new();
    loop {
        let due = told(&world, |status| status.next_run.is_some()).await.next_run.unwrap().0;
        if due > over {
            return seen;
        }
        let (at, run) = next(&world).await;
        let run = run.unwrap_or_else(|| panic!("none at {at}"));
        world.until::<SparkApplication>(&run, |app| state(app) == State::Completed).await;
        // The history is one run long.
        told(&world, |status| status.past_successful_run_names == [run.clone()]).await;
        seen.push(at.to_string());
    }
}

#[tokio::test]
async fn in_spring_a_night_has_no_half_past_two() {
    let seen = moments("2026-03-08T00:00:00Z").await;
    let winter = (8..=28).map(|day| format!("2026-03-{day:02}T01:30:00Z"));
    let summer = ["2026-03-30", "2026-03-31", "2026-04-01", "2026-04-02", "2026-04-03", "2026-04-04"];
    let wanted: Vec<String> = winter.chain(summer.map(|day| format!("{day}T00:30:00Z"))).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn in_autumn_a_night_has_two() {
    let seen = moments("2026-10-04T00:00:00Z").await;
    let summer = (4..=25).map(|day| format!("2026-10-{day:02}T00:30:00Z"));
    let winter = (25..=31).map(|day| format!("2026-10-{day:02}T01:30:00Z"));
    assert_eq!(seen, summer.chain(winter).collect::<Vec<_>>());
}

#[tokio::test]
async fn forbid_passes_over_nights_whose_last_run_has_not_ended() {
    let world = scheduled("2026-03-27T00:00:00Z", "Forbid", None).await;
    let mut seen = Vec::new();
    for night in 0..8 {
        let (at, run) = next(&world).await;
        seen.push((at.to_string(), run.is_some()));
        if let Some(run) = &run {
            world.until::<SparkApplication>(run, |app| state(app) == State::Running).await;
        }
        if night == 4 {
            let run = format!("nightly-{}", Timestamp::from_second(1_774_575_000).unwrap().as_nanosecond());
            end(&world, &format!("{run}-driver"), "0").await;
            world.until::<SparkApplication>(&run, |app| state(app) == State::Completed).await;
            told(&world, |status| !status.past_successful_run_names.is_empty()).await;
        }
    }
    let wanted = [
        ("2026-03-27T01:30:00Z", true),
        ("2026-03-28T01:30:00Z", false),
        ("2026-03-30T00:30:00Z", false),
        ("2026-03-31T00:30:00Z", false),
        ("2026-04-01T00:30:00Z", false),
        ("2026-04-02T00:30:00Z", true),
        ("2026-04-03T00:30:00Z", false),
        ("2026-04-04T00:30:00Z", false),
    ];
    assert_eq!(seen, wanted.map(|(at, run)| (at.to_owned(), run)));
}

#[tokio::test]
async fn replace_ends_the_run_of_the_night_before() {
    let world = scheduled("2026-10-22T00:00:00Z", "Replace", None).await;
    let mut seen = Vec::new();
    let mut last: Option<String> = None;
    for _ in 0..7 {
        let (at, run) = next(&world).await;
        let run = run.unwrap_or_else(|| panic!("none at {at}"));
        world.until::<SparkApplication>(&run, |app| state(app) == State::Running).await;
        if let Some(last) = last.replace(run.clone()) {
            world.gone::<SparkApplication>(&last).await;
        }
        let there = world.api::<SparkApplication>().list(&Default::default()).await.unwrap();
        assert_eq!(there.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), [run]);
        seen.push(at.to_string());
    }
    let wanted = ["22T00", "23T00", "24T00", "25T00", "25T01", "26T01", "27T01"];
    assert_eq!(seen, wanted.map(|time| format!("2026-10-{time}:30:00Z")));
}
