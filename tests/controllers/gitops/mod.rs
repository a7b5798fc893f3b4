//! The controller of applications with the rights that its manifests give it, over sources in memory and on disk.

mod bench;
mod compared;
mod elsewhere;
mod faults;
mod sets;
mod stage;
mod syncs;

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use tinderbox_api::gitops::{Application, marks};

use crate::world::World;
use stage::{Stage, application, is, map, state};

#[tokio::test]
async fn an_application_is_synced_healed_changed_and_pruned() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    stage.put("a/two.yaml", &map("two", "1"));
    let policy = json!({"automated": {"prune": true, "selfHeal": true}});
    world.create::<Application>(application("shop", "a", policy)).await;
    let app = world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    let status = app.status.clone().unwrap();
    assert_eq!((status.sync.revision.as_str(), status.source_type.as_str()), ("r1", "Directory"));
    assert_eq!(status.history.len(), 1);
    let operation = status.operation_state.unwrap();
    assert_eq!(
        (operation.phase.as_str(), operation.message.as_str()),
        ("Succeeded", "successfully synced (all tasks run)")
    );
    let results = operation.sync_result.unwrap().resources;
    assert!(
        results.iter().all(|one| one.status == "Synced" && one.message.ends_with("serverside-applied")),
        "{results:?}"
    );
    let one = world.until::<ConfigMap>("one", |_| true).await;
    assert_eq!(one.annotations()[marks::TRACKING_ID], "shop:/ConfigMap:default/one");
    for (reason, text) in [
        ("OperationStarted", "Initiated automated sync to 'r1'"),
        ("OperationCompleted", "Sync operation to r1 succeeded"),
        ("ResourceUpdated", "OutOfSync -> Synced"),
    ] {
        world.event(reason, text).await;
    }
    // Somebody deletes an object, and somebody changes one.
    world.api::<ConfigMap>().delete("two", &DeleteParams::default()).await.unwrap();
    world.until::<ConfigMap>("two", |_| true).await;
    world.patch::<ConfigMap>("one", json!({"data": {"k": "changed"}})).await;
    world.until::<ConfigMap>("one", |map| map.data.as_ref().is_some_and(|data| data["k"] == "1")).await;
    // The source changes.
    stage.revise("r2", |tree| {
        tree.put("a/one.yaml", map("one", "2"));
        tree.remove("a/two.yaml".as_ref());
    });
    world.until::<ConfigMap>("one", |map| map.data.as_ref().is_some_and(|data| data["k"] == "2")).await;
    world.gone::<ConfigMap>("two").await;
    let app = world
        .until::<Application>("shop", |app| {
            is(app, "Synced", "Healthy") && app.status.as_ref().unwrap().sync.revision == "r2"
        })
        .await;
    let ids: Vec<_> = app.status.unwrap().history.iter().map(|one| (one.id, one.revision.clone())).collect();
    assert_eq!(ids, [(Some(0), "r1".to_owned()), (Some(1), "r2".to_owned())]);
}

#[tokio::test]
async fn without_a_policy_it_is_synced_when_asked_and_goes_back_when_asked() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    world.create::<Application>(application("shop", "a", json!({}))).await;
    let app = world.until::<Application>("shop", |app| is(app, "OutOfSync", "Missing")).await;
    assert!(app.status.unwrap().operation_state.is_none());
    let sync =
        |operation: serde_json::Value| json!({"operation": {"initiatedBy": {"username": "ada"}, "sync": operation}});
    world.patch::<Application>("shop", sync(json!({"revision": "r1"}))).await;
    let app = world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    assert!(app.operation.is_none());
    let first = app.status.unwrap().history[0].clone();
    assert_eq!(first.initiated_by.unwrap().username, "ada");
    world.event("OperationStarted", "ada initiated sync to 'r1'").await;
    stage.revise("r2", |tree| {
        tree.put("a/one.yaml", map("one", "2"));
        tree.put("a/two.yaml", map("two", "2"));
    });
    world.until::<Application>("shop", |app| is(app, "OutOfSync", "Healthy")).await;
    world.patch::<Application>("shop", sync(json!({}))).await;
    world
        .until::<Application>("shop", |app| {
            is(app, "Synced", "Healthy") && app.status.as_ref().unwrap().history.len() == 2
        })
        .await;
    // Back to the first revision, with its source.
    world.patch::<Application>("shop", sync(json!({"revision": "r1", "source": first.source, "prune": true}))).await;
    world.until::<ConfigMap>("one", |map| map.data.as_ref().is_some_and(|data| data["k"] == "1")).await;
    world.gone::<ConfigMap>("two").await;
    let app = world.until::<Application>("shop", |app| app.status.as_ref().unwrap().history.len() == 3).await;
    assert_eq!(app.status.unwrap().history[2].revision, "r1");
    world.until::<Application>("shop", |app| is(app, "OutOfSync", "Healthy")).await;
}

#[tokio::test]
async fn a_refresh_is_answered_and_what_is_extra_stays_without_pruning() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    stage.put("a/two.yaml", &map("two", "1"));
    world.create::<Application>(application("shop", "a", json!({"automated": {}}))).await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    stage.revise("r2", |tree| tree.remove("a/two.yaml".as_ref()));
    let app = world.until::<Application>("shop", |app| is(app, "OutOfSync", "Healthy")).await;
    let two = app.status.unwrap().resources.into_iter().find(|one| one.name == "two").unwrap();
    assert_eq!((two.status.as_str(), two.requires_pruning), ("OutOfSync", Some(true)));
    world.patch::<Application>("shop", json!({"metadata": {"annotations": {marks::REFRESH: "hard"}}})).await;
    world.until::<Application>("shop", |app| !app.annotations().contains_key(marks::REFRESH)).await;
    world.until::<ConfigMap>("two", |_| true).await;
}

#[tokio::test]
async fn with_its_finalizer_an_application_takes_its_objects_along() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    let keep = map("two", "1")
        .replace("{name: two}", "{name: two, annotations: {argocd.argoproj.io/sync-options: Delete=false}}");
    stage.put("a/two.yaml", &keep);
    stage.put("b/three.yaml", &map("three", "1"));
    let mut shop = application("shop", "a", json!({"automated": {}}));
    shop["metadata"]["finalizers"] = json!([marks::RESOURCES_FINALIZER]);
    world.create::<Application>(shop).await;
    world.create::<Application>(application("other", "b", json!({"automated": {}}))).await;
    for name in ["shop", "other"] {
        world.until::<Application>(name, |app| is(app, "Synced", "Healthy")).await;
    }
    for name in ["shop", "other"] {
        world.api::<Application>().delete(name, &DeleteParams::default()).await.unwrap();
        world.gone::<Application>(name).await;
    }
    world.gone::<ConfigMap>("one").await;
    for name in ["two", "three"] {
        world.until::<ConfigMap>(name, |_| true).await;
    }
}

#[tokio::test]
async fn an_application_of_applications() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    let child = application("child", "a", json!({"automated": {}}));
    stage.put("root/child.yaml", &child.to_string());
    stage.put("a/one.yaml", &map("one", "1"));
    world.create::<Application>(application("root", "root", json!({"automated": {}}))).await;
    for name in ["root", "child"] {
        world.until::<Application>(name, |app| is(app, "Synced", "Healthy")).await;
    }
    world.until::<ConfigMap>("one", |_| true).await;
    // What the child's own controller writes is no difference to its parent.
    let root = world.until::<Application>("root", |app| state(app) == "Succeeded").await;
    assert_eq!(root.status.unwrap().history.len(), 1);
}

#[tokio::test]
async fn a_saved_file_is_in_the_cluster() {
    let world = World::bare().await;
    let repository = stage::Repository::new();
    repository.write("a/one.yaml", &map("one", "1"));
    repository.commit("first");
    Stage::over(&world, repository.sources(&world)).await;
    let policy = json!({"automated": {"prune": true}});
    world.create::<Application>(application("shop", "a", policy)).await;
    let app = world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    let committed = app.status.unwrap().sync.revision;
    assert_eq!(committed.len(), 40);
    for value in ["2", "3"] {
        repository.write("a/one.yaml", &map("one", value));
        world.until::<ConfigMap>("one", |map| map.data.as_ref().is_some_and(|data| data["k"] == value)).await;
        let dirty = |app: &Application| {
            is(app, "Synced", "Healthy")
                && app.status.as_ref().unwrap().sync.revision.starts_with(&format!("{committed}+dirty."))
        };
        world.until::<Application>("shop", dirty).await;
    }
    repository.restore("a/one.yaml");
    world.until::<ConfigMap>("one", |map| map.data.as_ref().is_some_and(|data| data["k"] == "1")).await;
    world.until::<Application>("shop", |app| app.status.as_ref().unwrap().sync.revision == committed).await;
}

#[tokio::test]
async fn syncs_are_kept_back_by_windows_and_tried_again_after_pauses() {
    let world = World::with_manual_clock().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    let always = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}]);
    stage.project("closed", json!({"syncWindows": always})).await;
    let mut shop = application("shop", "a", json!({"automated": {}}));
    shop["spec"]["project"] = json!("closed");
    world.create::<Application>(shop).await;
    world.until::<Application>("shop", |app| is(app, "OutOfSync", "Missing")).await;
    world.patch::<Application>("shop", json!({"operation": {"sync": {}}})).await;
    let blocked = |app: &Application| stage::message(app) == "Sync operation blocked by sync window";
    world.until::<Application>("shop", blocked).await;
    stage.project("closed", json!({"syncWindows": []})).await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    // A map that nobody can write is tried as often as the policy has it.
    stage.put("b/bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n");
    let retry = json!({"limit": 2, "backoff": {"duration": "10s", "factor": 2}});
    world.create::<Application>(application("bad", "b", json!({"automated": {}, "retry": retry}))).await;
    let tried = |count: i64| {
        move |app: &Application| {
            let state = app.status.as_ref().and_then(|status| status.operation_state.as_ref());
            state.is_some_and(|state| state.retry_count == Some(count) && state.phase == "Running")
        }
    };
    let app = world.until::<Application>("bad", tried(1)).await;
    let message = stage::message(&app).to_owned();
    assert!(message.contains("b/bad.yaml:1:1: ") && message.contains("Retrying attempt #1 at"), "{message}");
    world.advance(Duration::from_secs(10));
    world.until::<Application>("bad", tried(2)).await;
    world.advance(Duration::from_secs(20));
    let app = world.until::<Application>("bad", |app| state(app) == "Failed").await;
    world.event("OperationCompleted", "Sync operation to r1 failed").await;
    let wrong = world.until::<Application>("bad", |app| stage::condition(app, "SyncError").is_some()).await;
    assert!(
        stage::condition(&wrong, "SyncError").unwrap().starts_with("Failed last sync attempt to [r1]: one or more")
    );
    assert!(app.status.unwrap().history.is_empty());
    let all: Api<ConfigMap> = world.api();
    assert!(all.get_opt("one").await.unwrap().is_some());
}
