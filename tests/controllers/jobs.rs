//! Jobs.

use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::runtime::watcher::watch_object;
use serde_json::{Value, json};

use crate::node::EXIT;
use crate::world::World;

fn job(exit: Option<&str>, with: Value) -> Value {
    let mut template = json!({
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    });
    if let Some(exit) = exit {
        template["metadata"] = json!({"annotations": {EXIT: exit}});
    }
    let mut job = json!({"metadata": {"name": "job"}, "spec": with});
    job["spec"]["template"] = template;
    job
}

fn history(job: &Job) -> Vec<String> {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let word = |condition: &k8s_openapi::api::batch::v1::JobCondition| {
        format!("{}={}:{}", condition.type_, condition.status, condition.reason.clone().unwrap_or_default())
    };
    conditions.iter().map(word).collect()
}

fn numbers(job: &Job) -> (i32, i32, i32) {
    let status = job.status.clone().unwrap_or_default();
    let number = |number: Option<i32>| number.unwrap_or_default();
    (number(status.active), number(status.succeeded), number(status.failed))
}

fn has_ended(job: &Job) -> bool {
    history(job).iter().any(|word| word.starts_with("Complete=True") || word.starts_with("Failed=True"))
}

/// Moves the clock each time the job changes to waiting for it, and collects what its conditions were.
async fn run_to_end(world: &World) -> Vec<Vec<String>> {
    let events = watch_object(world.api::<Job>(), "job");
    pin_mut!(events);
    let mut seen: Vec<Vec<String>> = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..2000 {
        tokio::select! {
            event = events.next() => {
                let Some(job) = event.unwrap().unwrap() else { continue };
                if seen.last() != Some(&history(&job)) {
                    seen.push(history(&job));
                }
                if has_ended(&job) {
                    return seen;
                }
            }
            _ = ticks.tick() => world.advance(Duration::from_secs(2)),
        }
    }
    panic!("the job never ends: {seen:?}");
}

#[tokio::test]
async fn a_job_completes_and_lets_its_pods_go() {
    let world = World::new().await;
    world.create::<Job>(job(Some("0"), json!({"completions": 3, "parallelism": 2}))).await;
    let done = world.until::<Job>("job", has_ended).await;
    assert_eq!(history(&done), ["SuccessCriteriaMet=True:CompletionsReached", "Complete=True:CompletionsReached"]);
    assert_eq!(numbers(&done), (0, 3, 0));
    let status = done.status.unwrap();
    assert!(status.start_time.is_some() && status.completion_time.is_some());
    let pods = world.until_all::<Pod>(|pods| pods.iter().all(|pod| pod.finalizers().is_empty())).await;
    assert_eq!(pods.len(), 3);
    for pod in &pods {
        assert_eq!(pod.labels()["batch.kubernetes.io/job-name"], "job");
        assert_eq!(pod.labels()["batch.kubernetes.io/controller-uid"], done.metadata.uid.clone().unwrap());
    }
    world.event("Completed", "Job completed").await;
    world.api::<Job>().delete("job", &DeleteParams::background()).await.unwrap();
    world.until_all::<Pod>(|pods| pods.is_empty()).await;
}

#[tokio::test]
async fn a_job_fails_at_its_backoff_limit_with_its_whole_history() {
    let world = World::with_manual_clock().await;
    world.create::<Job>(job(Some("1"), json!({"backoffLimit": 2}))).await;
    let seen = run_to_end(&world).await;
    let last =
        vec!["FailureTarget=True:BackoffLimitExceeded".to_owned(), "Failed=True:BackoffLimitExceeded".to_owned()];
    assert_eq!(seen, [vec![], vec![last[0].clone()], last]);
    let failed = world.until::<Job>("job", has_ended).await;
    assert_eq!(numbers(&failed), (0, 0, 3));
    assert!(failed.status.unwrap().completion_time.is_none());
    world.event("BackoffLimitExceeded", "Job has reached the specified backoff limit").await;
}

#[tokio::test]
async fn a_job_over_its_deadline_deletes_its_pods() {
    let world = World::with_manual_clock().await;
    world.create::<Job>(job(None, json!({"activeDeadlineSeconds": 30}))).await;
    world.until::<Job>("job", |job| job.status.as_ref().is_some_and(|status| status.ready == Some(1))).await;
    world.advance(Duration::from_secs(31));
    let failed = world.until::<Job>("job", has_ended).await;
    assert_eq!(history(&failed), ["FailureTarget=True:DeadlineExceeded", "Failed=True:DeadlineExceeded"]);
    assert_eq!(numbers(&failed), (0, 0, 1));
    world.until_all::<Pod>(|pods| pods.is_empty()).await;
}

#[tokio::test]
async fn a_job_is_suspended_resumed_and_forgotten_in_time() {
    let world = World::with_manual_clock().await;
    let with = json!({"suspend": true, "ttlSecondsAfterFinished": 100});
    world.create::<Job>(job(Some("0"), with)).await;
    let waiting = world.until::<Job>("job", |job| !history(job).is_empty()).await;
    assert_eq!(history(&waiting), ["Suspended=True:JobSuspended"]);
    assert!(waiting.status.unwrap().start_time.is_none());
    world.patch::<Job>("job", json!({"spec": {"suspend": false}})).await;
    let done = world.until::<Job>("job", has_ended).await;
    assert_eq!(
        history(&done),
        [
            "Suspended=False:JobResumed",
            "SuccessCriteriaMet=True:CompletionsReached",
            "Complete=True:CompletionsReached"
        ]
    );
    world.advance(Duration::from_secs(101));
    world.gone::<Job>("job").await;
}

#[tokio::test]
async fn an_indexed_job_runs_each_index_once() {
    let world = World::new().await;
    world.create::<Job>(job(Some("0"), json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"}))).await;
    let done = world.until::<Job>("job", has_ended).await;
    assert_eq!(done.status.unwrap().completed_indexes.as_deref(), Some("0-2"));
    let pods = world.until_all::<Pod>(|_| true).await;
    let mut hosts: Vec<String> = pods.iter().filter_map(|pod| pod.spec.as_ref()?.hostname.clone()).collect();
    hosts.sort();
    assert_eq!(hosts, ["job-0", "job-1", "job-2"]);
}

#[tokio::test]
async fn indexes_fail_each_for_itself() {
    let world = World::with_manual_clock().await;
    let with = json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
    world.create::<Job>(job(Some("1"), with)).await;
    let seen = run_to_end(&world).await;
    let last = ["FailureTarget=True:FailedIndexes", "Failed=True:FailedIndexes"];
    assert_eq!(seen.last().unwrap(), &last);
    let failed = world.until::<Job>("job", has_ended).await;
    assert_eq!(numbers(&failed), (0, 0, 4));
    assert_eq!(failed.status.unwrap().failed_indexes.as_deref(), Some("0,1"));
    world.event("FailedIndexes", "Job has failed indexes").await;
    world.until_all::<Pod>(|pods| pods.iter().all(|pod| pod.finalizers().is_empty())).await;
}

#[tokio::test]
async fn a_success_policy_is_content_with_less() {
    let world = World::new().await;
    let with = json!({"completions": 3, "parallelism": 1, "completionMode": "Indexed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]}});
    world.create::<Job>(job(Some("0"), with)).await;
    let done = world.until::<Job>("job", has_ended).await;
    assert_eq!(history(&done), ["SuccessCriteriaMet=True:SuccessPolicy", "Complete=True:SuccessPolicy"]);
    assert_eq!(done.status.unwrap().completed_indexes.as_deref(), Some("0"));
    assert_eq!(world.until_all::<Pod>(|_| true).await.len(), 1);
}

#[tokio::test]
async fn an_indexed_job_shrinks_and_grows() {
    let world = World::new().await;
    world.create::<Job>(job(None, json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"}))).await;
    let indexes = |pods: &[Pod]| {
        let mut indexes: Vec<String> =
            pods.iter().map(|pod| pod.labels()["batch.kubernetes.io/job-completion-index"].clone()).collect();
        indexes.sort();
        indexes
    };
    world.until_all::<Pod>(|pods| indexes(pods) == ["0", "1", "2"]).await;
    world.patch::<Job>("job", json!({"spec": {"completions": 1, "parallelism": 1}})).await;
    world.until_all::<Pod>(|pods| indexes(pods) == ["0"]).await;
    world.event("SuccessfulDelete", "Deleted pod: job-2-").await;
    world.patch::<Job>("job", json!({"spec": {"completions": 2, "parallelism": 2}})).await;
    world.until_all::<Pod>(|pods| indexes(pods) == ["0", "1"]).await;
}

#[tokio::test]
async fn a_replacement_waits_for_the_end_of_its_predecessor_where_it_must() {
    let world = World::new().await;
    let mut wanted = job(None, json!({"podReplacementPolicy": "Failed"}));
    wanted["spec"]["template"]["metadata"] = json!({"annotations": {crate::node::STUBBORN: ""}});
    world.create::<Job>(wanted).await;
    let first = world.until_all::<Pod>(|pods| pods.len() == 1).await.remove(0).name_any();
    world.until::<Job>("job", |job| job.status.as_ref().is_some_and(|status| status.ready == Some(1))).await;
    world.api::<Pod>().delete(&first, &DeleteParams::default()).await.unwrap();
    world.until::<Job>("job", |job| job.status.as_ref().is_some_and(|status| status.terminating == Some(1))).await;
    assert_eq!(world.until_all::<Pod>(|_| true).await.len(), 1);
    world.patch::<Job>("job", json!({"metadata": {"annotations": {"look": "again"}}})).await;
    let failed = json!({"status": {"phase": "Failed"}});
    let patch = kube::api::Patch::Merge(&failed);
    world.api::<Pod>().patch_status(&first, &Default::default(), &patch).await.unwrap();
    let failed = world.until::<Job>("job", |job| numbers(job).2 == 1).await;
    assert_eq!(failed.status.unwrap().terminating, Some(0));
}
