//! CronWorkflows, with a clock that the tests move.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};
use tinderbox_api::workflows::{CronWorkflow, Phase, Workflow, labels};

use super::{control, ends, phase};
use crate::world::World;

fn cron(with: Value) -> Value {
    let mut cron = json!({"metadata": {"name": "nightly"}, "spec": with});
    cron["spec"]["workflowSpec"] = json!({"entrypoint": "say", "templates": [ends("say", "0", None)]});
    cron
}

/// Moves the clock to the next time that fits a period in seconds.
fn go_to_next(world: &World, period: i64) -> Timestamp {
    let due = Timestamp::from_second((world.clock.now().as_second() / period + 1) * period).unwrap();
    world.advance(due.duration_since(world.clock.now()).unsigned_abs());
    due
}

#[tokio::test]
async fn a_run_is_started_at_its_time_and_counted_at_its_end() {
    let world = World::with_manual_clock().await;
    world.install("argo-workflows").await;
    control(&world);
    world.create::<CronWorkflow>(cron(json!({"schedules": ["0 * * * *"]}))).await;
    let active = |cron: &CronWorkflow| cron.status.as_ref().is_some_and(|status| status.phase == "Active");
    world.until::<CronWorkflow>("nightly", active).await;
    for count in 1..=3 {
        let due = go_to_next(&world, 3600);
        let name = format!("nightly-{}", due.as_second());
        let run = world.until::<Workflow>(&name, |run| phase(run) == Phase::Succeeded).await;
        assert_eq!(run.labels()[labels::CRON_WORKFLOW], "nightly");
        assert_eq!(run.annotations()[labels::SCHEDULED_TIME], due.to_string());
        assert_eq!(run.owner_references()[0].kind, "CronWorkflow");
        let counted = |cron: &CronWorkflow| {
            let status = cron.status.clone().unwrap_or_default();
            status.succeeded == count && status.active.is_empty()
        };
        world.until::<CronWorkflow>("nightly", counted).await;
    }
    world.event("WorkflowSubmitted", "nightly-").await;
}

#[tokio::test]
async fn a_replaced_run_is_terminated() {
    let world = World::with_manual_clock().await;
    world.install("argo-workflows").await;
    control(&world);
    let mut object = cron(json!({"schedule": "0 * * * *", "concurrencyPolicy": "Replace"}));
    object["spec"]["workflowSpec"]["templates"][0]["metadata"] = json!({});
    world.create::<CronWorkflow>(object).await;
    world.until::<CronWorkflow>("nightly", |cron| cron.status.is_some()).await;
    let first = format!("nightly-{}", go_to_next(&world, 3600).as_second());
    world.until::<Workflow>(&first, |run| phase(run) == Phase::Running).await;
    let second = format!("nightly-{}", go_to_next(&world, 3600).as_second());
    world.until::<Workflow>(&first, |run| phase(run) == Phase::Failed).await;
    world.until::<Workflow>(&second, |run| phase(run) == Phase::Running).await;
    world.advance(Duration::from_secs(1));
    let cron = world
        .until::<CronWorkflow>("nightly", |cron| cron.status.as_ref().is_some_and(|status| status.failed == 1))
        .await;
    assert_eq!(cron.status.unwrap().active[0].name.as_deref(), Some(second.as_str()));
}
