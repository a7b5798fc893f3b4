//! What goes wrong around an application: its controller is killed, its driver taken away, the clock jumps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::runtime::watcher::{Config as Watch, Event, watch_object, watcher};
use serde_json::{Value, json};
use tinderbox_api::spark::{SparkApplication, State, labels};

use super::{application, define, end, operate, run_to_end, state};
use crate::node::EXIT;
use crate::world::World;

/// The submissions of all drivers that ever were, by the pods' uids.
type Drivers = Arc<Mutex<BTreeMap<String, String>>>;

/// Writes down every driver from now on.
fn drivers(world: &World) -> Drivers {
    let (seen, api, token) = (Drivers::default(), world.api::<Pod>(), world.token.clone());
    let known = seen.clone();
    world.tracker.spawn(async move {
        let events = watcher(api, Watch::default().labels("spark-role=driver"));
        pin_mut!(events);
        while let Some(event) = tokio::select! { event = events.next() => event, () = token.cancelled() => None } {
            if let Ok(Event::Apply(pod) | Event::InitApply(pod)) = event {
                known.lock().unwrap().insert(pod.uid().unwrap(), pod.labels()[labels::SUBMISSION].clone());
            }
        }
    });
    seen
}

/// Each driver was of a submission of its own.
fn assert_submitted_once_each(drivers: &Drivers, wanted: usize) {
    let seen = drivers.lock().unwrap();
    let mut ids: Vec<_> = seen.values().collect();
    ids.sort();
    ids.dedup();
    assert_eq!((seen.len(), ids.len()), (wanted, wanted), "{seen:?}");
}

/// The controller is killed whenever the application has come to another state, and another one goes on; meanwhile a user
/// suspends the application, resumes it and changes it.
#[tokio::test]
async fn a_controller_that_is_killed_in_every_state_submits_nothing_twice() {
    let world = World::new().await;
    define(&world).await;
    let drivers = drivers(&world);
    world.create::<SparkApplication>(application(json!({}))).await;
    let mut running = operate(&world);
    let events = watch_object(world.api::<SparkApplication>(), "pi");
    pin_mut!(events);
    let mut seen = vec![State::New];
    let mut runs = 0;
    while !seen.last().unwrap().is_terminated() {
        let next = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        let Some(app) = next.unwrap_or_else(|_| panic!("stays in {seen:?}")).unwrap().unwrap() else { continue };
        if seen.last() == Some(&state(&app)) {
            continue;
        }
        seen.push(state(&app));
        running.cancel();
        running = operate(&world);
        match state(&app) {
            State::Running => {
                runs += 1;
                match runs {
                    1 => drop(world.patch::<SparkApplication>("pi", json!({"spec": {"suspend": true}})).await),
                    2 => drop(world.patch::<SparkApplication>("pi", json!({"spec": {"arguments": ["20"]}})).await),
                    _ => end(&world, "pi-driver", "0").await,
                }
            }
            State::Suspended => drop(world.patch::<SparkApplication>("pi", json!({"spec": {"suspend": false}})).await),
            _ => {}
        }
    }
    let run = [State::Submitted, State::Running];
    let wanted = [
        &[State::New][..],
        &run,
        &[State::Suspending, State::Suspended, State::Resuming],
        &run,
        &[State::Invalidating, State::PendingRerun],
        &run,
        &[State::Succeeding, State::Completed],
    ];
    assert_eq!(seen, wanted.concat());
    assert_submitted_once_each(&drivers, 3);
}

/// The same, of a run that fails and a submission that is refused.
#[tokio::test]
async fn a_controller_that_is_killed_between_retries_counts_on() {
    let world = World::new().await;
    define(&world).await;
    let drivers = drivers(&world);
    let policy = json!({"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1,
        "onSubmissionFailureRetries": 1, "onSubmissionFailureRetryInterval": 1});
    let failing = |account: &str| {
        application(json!({"driver": {"annotations": {EXIT: "2"}, "serviceAccount": account}, "restartPolicy": policy}))
    };
    for (account, wanted, attempts) in [
        (
            "spark",
            &[State::Submitted, State::Failing, State::PendingRerun, State::Submitted, State::Failing][..],
            (2, 2),
        ),
        ("nobody", &[State::SubmissionFailed], (2, 0)),
    ] {
        let mut running = operate(&world);
        world.create::<SparkApplication>(failing(account)).await;
        let events = watch_object(world.api::<SparkApplication>(), "pi");
        pin_mut!(events);
        let (mut seen, mut last) = (Vec::new(), None);
        while last.as_ref().is_none_or(|app| !state(app).is_terminated()) {
            let next = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
            let Some(app) = next.unwrap_or_else(|_| panic!("stays in {seen:?}")).unwrap().unwrap() else { continue };
            // A driver that ends at once may never be seen to run.
            if seen.last() != Some(&state(&app)) && !matches!(state(&app), State::New | State::Running) {
                seen.push(state(&app));
                running.cancel();
                running = operate(&world);
            }
            last = Some(app);
        }
        assert_eq!(seen.pop(), Some(State::Failed));
        assert_eq!(seen, wanted);
        let status = last.unwrap().status.unwrap();
        assert_eq!((status.submission_attempts, status.execution_attempts), attempts, "{account}");
        running.cancel();
        world.api::<SparkApplication>().delete("pi", &DeleteParams::default()).await.unwrap();
        world.gone::<SparkApplication>("pi").await;
        world.gone::<Pod>("pi-driver").await;
    }
    assert_submitted_once_each(&drivers, 2);
}

async fn take_away(world: &World, driver: &str) {
    world.api::<Pod>().delete(driver, &DeleteParams::default().grace_period(0)).await.unwrap();
}

/// Follows an application whose driver was taken away to its end.
async fn assert_lost(world: &World) {
    let (_, app) = run_to_end(world).await;
    assert_eq!(state(&app), State::Failed);
    let status = app.status.unwrap();
    assert_eq!(status.application_state.error_message, "driver pod not found");
    assert!(status.termination_time.is_some());
    world.event("SparkDriverNotFound", "pi-driver").await;
}

#[tokio::test]
async fn a_driver_that_is_taken_away_before_it_runs_is_missed_after_a_while() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    let nowhere = json!({"driver": {"nodeSelector": {"no": "where"}}});
    world.create::<SparkApplication>(application(nowhere)).await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Submitted).await;
    take_away(&world, "pi-driver").await;
    assert_lost(&world).await;
}

#[tokio::test]
async fn a_driver_that_is_taken_away_while_it_runs_is_missed_at_once() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    operate(&world);
    world.create::<SparkApplication>(application(json!({}))).await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    take_away(&world, "pi-driver").await;
    assert_lost(&world).await;
}

#[tokio::test]
async fn a_driver_that_is_taken_away_is_made_again_where_the_policy_says_so() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    let drivers = drivers(&world);
    operate(&world);
    let policy = json!({"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1});
    world.create::<SparkApplication>(application(json!({"restartPolicy": policy}))).await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    take_away(&world, "pi-driver").await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Failing).await;
    world.advance(Duration::from_secs(2));
    end(&world, "pi-driver", "0").await;
    let app = world.until::<SparkApplication>("pi", |app| state(app) == State::Completed).await;
    assert_eq!(app.status.unwrap().execution_attempts, 2);
    assert_submitted_once_each(&drivers, 2);
}

#[tokio::test]
async fn an_end_stays_an_end_when_its_driver_is_taken_away() {
    for (code, wanted) in [("0", State::Completed), ("1", State::Failed)] {
        let world = World::with_manual_clock().await;
        define(&world).await;
        operate(&world);
        world.create::<SparkApplication>(application(json!({"driver": {"annotations": {EXIT: code}}}))).await;
        let (_, before) = run_to_end(&world).await;
        assert_eq!(state(&before), wanted);
        take_away(&world, "pi-driver").await;
        world.gone::<Pod>("pi-driver").await;
        // Another application shows that the operator has looked since.
        let mut other: Value = application(json!({"driver": {"annotations": {EXIT: "0"}}}));
        other["metadata"]["name"] = json!("other");
        world.create::<SparkApplication>(other).await;
        world.until::<SparkApplication>("other", |app| state(app) == State::Completed).await;
        let after = world.until::<SparkApplication>("pi", |_| true).await;
        let told = |app: &SparkApplication| {
            let status = app.status.clone().unwrap();
            (status.application_state, status.termination_time, status.execution_attempts)
        };
        assert_eq!(told(&before), told(&after));
    }
}

#[tokio::test]
async fn a_clock_that_jumps_weeks_ahead_changes_nothing_that_runs() {
    let world = World::with_manual_clock().await;
    define(&world).await;
    let drivers = drivers(&world);
    operate(&world);
    let policy = json!({"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 3600});
    let spec = json!({"restartPolicy": policy, "timeToLiveSeconds": 60});
    world.create::<SparkApplication>(application(spec)).await;
    world.until::<SparkApplication>("pi", |app| state(app) == State::Running).await;
    world.advance(Duration::from_secs(50 * 86_400));
    end(&world, "pi-driver", "1").await;
    // The retry was due long ago, and is made once.
    world.until::<Pod>("pi-driver", |pod| !pod.annotations().contains_key(EXIT)).await;
    end(&world, "pi-driver", "0").await;
    let app = world.until::<SparkApplication>("pi", |app| state(app) == State::Completed).await;
    assert_eq!(app.status.unwrap().execution_attempts, 2);
    assert_submitted_once_each(&drivers, 2);
}
