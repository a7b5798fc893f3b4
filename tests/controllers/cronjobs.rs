//! CronJobs, with a clock that the tests move.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::node::EXIT;
use crate::world::World;

fn cron(schedule: &str, exit: Option<&str>, with: Value) -> Value {
    let mut template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    if let Some(exit) = exit {
        template["metadata"] = json!({"annotations": {EXIT: exit}});
    }
    let mut cron = json!({"metadata": {"name": "cron"}, "spec": with});
    cron["spec"]["schedule"] = json!(schedule);
    cron["spec"]["jobTemplate"] = json!({"spec": {"backoffLimit": 0, "template": template}});
    cron
}

fn last(cron: &CronJob) -> Option<Timestamp> {
    Some(cron.status.as_ref()?.last_schedule_time.as_ref()?.0)
}

fn active(cron: &CronJob) -> usize {
    cron.status.as_ref().and_then(|status| status.active.as_ref()).map_or(0, Vec::len)
}

fn name(time: Timestamp) -> String {
    format!("cron-{}", time.as_second() / 60)
}

/// Moves the clock to a time that is not past.
fn go_to(world: &World, time: Timestamp) {
    world.advance(time.duration_since(world.clock.now()).unsigned_abs());
}

/// The next full hour.
fn next_hour(world: &World) -> Timestamp {
    Timestamp::from_second((world.clock.now().as_second() / 3600 + 1) * 3600).unwrap()
}

#[tokio::test]
async fn a_month_of_days() {
    let world = World::with_manual_clock().await;
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    world.create::<CronJob>(cron("30 3 * * *", Some("0"), json!({"timeZone": "Europe/Berlin"}))).await;
    let mut day = world.clock.now().to_zoned(zone).date();
    let due = |day: jiff::civil::Date| day.at(3, 30, 0, 0).in_tz("Europe/Berlin").unwrap().timestamp();
    if due(day) <= world.clock.now() {
        day = day.checked_add(1.day()).unwrap();
    }
    for _ in 0..30 {
        let time = due(day);
        go_to(&world, time);
        let done = |cron: &CronJob| {
            let success = cron.status.as_ref().and_then(|status| status.last_successful_time.as_ref());
            last(cron) == Some(time) && active(cron) == 0 && success.is_some_and(|at| at.0 >= time)
        };
        world.until::<CronJob>("cron", done).await;
        day = day.checked_add(1.day()).unwrap();
    }
    let kept = world.until_all::<Job>(|jobs| jobs.len() == 3).await;
    let mut names: Vec<String> = kept.iter().map(ResourceExt::name_any).collect();
    names.sort();
    let wanted: Vec<String> = (1..=3).rev().map(|back| name(due(day.checked_sub(back.days()).unwrap()))).collect();
    assert_eq!(names, wanted);
    world.event("SuccessfulCreate", &format!("Created job {}", names[2])).await;
    world.event("SawCompletedJob", &format!("Saw completed job: {}, condition: Complete", names[2])).await;
    world.event("SuccessfulDelete", "Deleted job cron-").await;
}

#[tokio::test]
async fn a_run_that_lasts_holds_up_or_is_replaced() {
    let world = World::with_manual_clock().await;
    world.create::<CronJob>(cron("0 * * * *", None, json!({"concurrencyPolicy": "Forbid"}))).await;
    let first = next_hour(&world);
    go_to(&world, first);
    world.until::<CronJob>("cron", |cron| last(cron) == Some(first) && active(cron) == 1).await;
    world.advance(Duration::from_secs(3600));
    world.event("JobAlreadyActive", "prior execution is running and concurrency policy is Forbid").await;
    assert_eq!(world.until_all::<Job>(|_| true).await.len(), 1);

    world.patch::<CronJob>("cron", json!({"spec": {"concurrencyPolicy": "Replace"}})).await;
    let second = first + 1.hour();
    world.until::<CronJob>("cron", |cron| last(cron) == Some(second) && active(cron) == 1).await;
    world.gone::<Job>(&name(first)).await;
    let job = world.until::<Job>(&name(second), |_| true).await;
    assert_eq!(job.annotations()["batch.kubernetes.io/cronjob-scheduled-timestamp"], second.to_string());
}

#[tokio::test]
async fn after_a_long_sleep_one_job_makes_up_for_all() {
    let world = World::with_manual_clock().await;
    world.create::<CronJob>(cron("* * * * *", Some("1"), json!({"suspend": true}))).await;
    world.advance(Duration::from_secs(3 * 3600));
    let now = Timestamp::from_second(world.clock.now().as_second() / 60 * 60).unwrap();
    world.patch::<CronJob>("cron", json!({"spec": {"suspend": false}})).await;
    world.until::<CronJob>("cron", |cron| last(cron) == Some(now) && active(cron) == 0).await;
    assert_eq!(world.until_all::<Job>(|_| true).await.len(), 1);
    world.event("TooManyMissedTimes", "too many missed start times").await;
    world.event("SawCompletedJob", "condition: Failed").await;
}
