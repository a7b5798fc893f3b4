//! The Spark operator with the rights that its manifests give it, from an application to its end. docs/spark-operator.md says which
//! of upstream's own cases is held where.

mod asked;
mod faults;
mod month;
mod scope;

use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::watch_object;
use serde_json::{Value, json};
use tinderbox_api::spark::{SparkApplication, State, labels};
use tinderbox_platform::{Account, JobNamespaces};
use tokio_util::sync::CancellationToken;

use crate::node::EXIT;
use crate::world::World;

/// Applies the operator's manifests.
async fn define(world: &World) {
    world.install("spark-operator").await;
    world.create::<ServiceAccount>(json!({"metadata": {"name": "spark"}})).await;
}

/// Starts the operator; it runs until the token that is returned is cancelled, or the world ends.
fn operate(world: &World) -> CancellationToken {
    operate_in(world, &[])
}

/// The same, which looks at these namespaces alone.
fn operate_in(world: &World, namespaces: &[&str]) -> CancellationToken {
    operate_for(world, namespaces, &JobNamespaces::default())
}

/// The same, which serves these jobs alone.
fn operate_for(world: &World, namespaces: &[&str], jobs: &JobNamespaces) -> CancellationToken {
    let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let token = world.token.child_token();
    let client = |account: Account| world.client_of(&account);
    let metrics = tinderbox_platform::Metrics::default();
    tinderbox_platform::spawn(client, world.clock.clone(), &namespaces, jobs, &metrics, &world.tracker, &token);
    token
}

fn application(spec: Value) -> Value {
    let mut app = json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "pi"},
        "spec": {
            "type": "Python", "sparkVersion": "4.0.1", "image": "i", "mainApplicationFile": "local:///pi.py",
            "driver": {"serviceAccount": "spark", "coreRequest": "10m"}, "executor": {"instances": 2},
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        match app["spec"][key].as_object_mut() {
            Some(fields) => fields.extend(value.as_object().unwrap().clone()),
            None => app["spec"][key] = value.clone(),
        }
    }
    app
}

/// Has a driver that runs end with a code.
async fn end(world: &World, driver: &str, code: &str) {
    world
        .until::<Pod>(driver, |pod| {
            pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
        })
        .await;
    world.patch::<Pod>(driver, json!({"metadata": {"annotations": {EXIT: code}}})).await;
}

fn state(app: &SparkApplication) -> State {
    app.status.as_ref().map(|status| status.application_state.state).unwrap_or_default()
}

/// Follows the application to its end, moving the clock while it waits; the states that it went through, but for those that
/// a driver which ends at once may leave out.
async fn run_to_end(world: &World) -> (Vec<State>, SparkApplication) {
    let events = watch_object(world.api::<SparkApplication>(), "pi");
    pin_mut!(events);
    let mut seen = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..2000 {
        tokio::select! {
            event = events.next() => {
                let Some(app) = event.unwrap().unwrap() else { continue };
                if seen.last() != Some(&state(&app)) && !matches!(state(&app), State::New | State::Running) {
                    seen.push(state(&app));
                }
                if state(&app).is_terminated() {
                    return (seen, app);
                }
            }
            _ = ticks.tick() => world.advance(Duration::from_millis(500)),
        }
    }
    panic!("never ends; went through {seen:?}");
}

#[tokio::test]
async fn an_application_is_submitted_followed_and_told_of() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    world.create::<SparkApplication>(application(json!({"driver": {"annotations": {EXIT: "0"}}}))).await;
    let (states, app) = run_to_end(&world).await;
    assert_eq!(states, [State::Submitted, State::Succeeding, State::Completed]);
    let status = app.status.clone().unwrap();
    assert_eq!((status.submission_attempts, status.execution_attempts), (1, 1));
    let driver = world.until::<Pod>("pi-driver", |_| true).await;
    assert_eq!(driver.labels()[labels::SUBMISSION], status.submission_id);
    assert_eq!(driver.owner_references()[0].uid, app.uid().unwrap());
    let maps = world.api::<ConfigMap>().list(&Default::default()).await.unwrap();
    let owned =
        maps.iter().filter(|map| map.owner_references().iter().any(|owner| Some(&owner.uid) == driver.uid().as_ref()));
    assert_eq!(owned.count(), 2);
    let page = world.until::<Service>("pi-ui-svc", |_| true).await;
    let address = format!("{}:4040", page.spec.unwrap().cluster_ip.unwrap());
    let told =
        |app: &SparkApplication| app.status.as_ref().is_some_and(|status| status.driver_info.web_ui_address == address);
    world.until::<SparkApplication>("pi", told).await;
    for reason in ["SparkApplicationSubmitted", "SparkDriverCompleted"] {
        world.event(reason, "pi").await;
    }
}

#[tokio::test]
async fn a_run_that_fails_is_run_again_as_often_as_it_may() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    let policy = json!({"type": "OnFailure", "onFailureRetries": 3, "onFailureRetryInterval": 2});
    let spec = json!({"driver": {"annotations": {EXIT: "2"}}, "restartPolicy": policy});
    world.create::<SparkApplication>(application(spec)).await;
    let (states, app) = run_to_end(&world).await;
    let run = [State::Submitted, State::Failing, State::PendingRerun];
    let mut wanted = run.repeat(4);
    wanted[11] = State::Failed;
    assert_eq!(states, wanted);
    let status = app.status.unwrap();
    assert_eq!((status.submission_attempts, status.execution_attempts), (4, 4));
    let message = &status.application_state.error_message;
    assert!(message.starts_with("driver container failed with ExitCode: 2, Reason: "), "{message}");
}

#[tokio::test]
async fn a_driver_that_the_api_refuses_is_a_failed_submission() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    let policy = json!({"type": "OnFailure", "onSubmissionFailureRetries": 3, "onSubmissionFailureRetryInterval": 1});
    world
        .create::<SparkApplication>(application(
            json!({"driver": {"serviceAccount": "nobody"}, "restartPolicy": policy}),
        ))
        .await;
    let (states, app) = run_to_end(&world).await;
    assert_eq!(states, [State::SubmissionFailed, State::Failed]);
    let status = app.status.unwrap();
    assert_eq!((status.submission_attempts, status.execution_attempts), (4, 0));
    let message = &status.application_state.error_message;
    assert!(message.contains("failed to run spark-submit") && message.contains("nobody"), "{message}");
    assert!(world.api::<Pod>().list(&Default::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn suspended_it_leaves_nothing_and_resumed_it_begins_anew() {
    let world = World::new().await;
    define(&world).await;
    operate(&world);
    world.create::<SparkApplication>(application(json!({}))).await;
    let running = world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    world.patch::<SparkApplication>("pi", json!({"spec": {"suspend": true}})).await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Suspended).await;
    world.gone::<Pod>("pi-driver").await;
    world.gone::<Service>("pi-ui-svc").await;
    world.patch::<SparkApplication>("pi", json!({"spec": {"suspend": false}})).await;
    let again = world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    let id = |app: &SparkApplication| app.status.as_ref().unwrap().submission_id.clone();
    assert_ne!(id(&running), id(&again));
    end(&world, "pi-driver", "0").await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Completed).await;
    for reason in ["SparkApplicationSuspending", "SparkApplicationSuspended", "SparkApplicationResuming"] {
        world.event(reason, "pi").await;
    }
}

#[tokio::test]
async fn a_change_of_the_spec_starts_the_run_anew() {
    let world = World::new().await;
    define(&world).await;
    operate(&world);
    world.create::<SparkApplication>(application(json!({}))).await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    let first = world.until::<Pod>("pi-driver", |_| true).await;
    world.patch::<SparkApplication>("pi", json!({"spec": {"arguments": ["20"]}})).await;
    let second = world.until::<Pod>("pi-driver", |pod| pod.uid() != first.uid()).await;
    let args = second.spec.unwrap().containers[0].args.clone().unwrap();
    assert_eq!(args.last().map(String::as_str), Some("20"));
    let again = world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    assert_eq!(again.status.unwrap().submission_attempts, 1);
}

#[tokio::test]
async fn a_submission_that_was_begun_by_another_is_continued() {
    let world = World::new().await;
    define(&world).await;
    world.create::<SparkApplication>(application(json!({}))).await;
    let claimed = json!({"status": {
        "submissionID": "00000000-0000-0000-0000-000000000007", "lastSubmissionAttemptTime": "2026-01-01T00:00:00Z",
        "submissionAttempts": 1, "driverInfo": {"podName": "pi-driver"}, "applicationState": {"state": ""},
    }});
    let api = world.api::<SparkApplication>();
    api.patch_status("pi", &PatchParams::default(), &Patch::Merge(claimed)).await.unwrap();
    let first = operate(&world);
    let app = world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    first.cancel();
    let status = app.status.unwrap();
    assert_eq!(status.submission_id, "00000000-0000-0000-0000-000000000007");
    assert_eq!((status.submission_attempts, status.execution_attempts), (1, 1));
    let driver = world.until::<Pod>("pi-driver", |_| true).await;
    operate(&world);
    world.patch::<SparkApplication>("pi", json!({"spec": {"suspend": true}})).await;
    world.gone::<Pod>("pi-driver").await;
    assert_eq!(driver.labels()[labels::SUBMISSION], "00000000-0000-0000-0000-000000000007");
}

#[tokio::test]
async fn a_finished_one_goes_when_its_time_is_over() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    let spec = json!({"driver": {"annotations": {EXIT: "0"}}, "timeToLiveSeconds": 60});
    world.create::<SparkApplication>(application(spec)).await;
    run_to_end(&world).await;
    world.advance(Duration::from_secs(61));
    world.gone::<SparkApplication>("pi").await;
    world.gone::<Pod>("pi-driver").await;
}
