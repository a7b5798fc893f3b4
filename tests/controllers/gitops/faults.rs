//! What goes wrong: broken files, projects that forbid, two owners, the end of everything, namespaces with something in them.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, PostParams};
use serde_json::json;
use tinderbox_api::gitops::{Application, marks};

use super::stage::{Stage, application, condition, is, map, message, state};
use crate::world::{World, gone_from};

#[tokio::test]
async fn a_broken_file_is_named_and_the_others_stay() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("good/one.yaml", &map("one", "1"));
    stage.put("bad/two.yaml", &map("two", "1"));
    for name in ["good", "bad"] {
        world
            .create::<Application>(application(name, name, json!({"automated": {"selfHeal": true, "prune": true}})))
            .await;
        world.until::<Application>(name, |app| is(app, "Synced", "Healthy")).await;
    }
    stage.revise("r2", |tree| {
        tree.put("bad/two.yaml", "apiVersion: v1\nkind: ConfigMap\n  metadata: {name: two}\n");
        tree.put("good/one.yaml", map("one", "2"));
    });
    let app = world.until::<Application>("bad", |app| condition(app, "ComparisonError").is_some()).await;
    let text = condition(&app, "ComparisonError").unwrap();
    assert!(text.starts_with("Failed to load target state: bad/two.yaml:3:"), "{text}");
    assert!(is(&app, "Unknown", "Unknown"));
    world.until::<ConfigMap>("one", |map| map.data.as_ref().is_some_and(|data| data["k"] == "2")).await;
    world.until::<ConfigMap>("two", |_| true).await;
    stage.revise("r3", |tree| tree.put("bad/two.yaml", map("two", "3")));
    let app = world.until::<Application>("bad", |app| is(app, "Synced", "Healthy")).await;
    assert_eq!(condition(&app, "ComparisonError"), None);
}

#[tokio::test]
async fn projects_forbid_sources_kinds_and_other_clusters() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    stage.project("narrow", json!({"sourceRepos": ["https://git.example/other"]})).await;
    stage.project("maps", json!({"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]})).await;
    let of = |name: &str, project: &str| {
        let mut app = application(name, "a", json!({"automated": {}}));
        app["spec"]["project"] = json!(project);
        app
    };
    let mut elsewhere = of("elsewhere", "default");
    elsewhere["spec"]["destination"]["server"] = json!("https://elsewhere.example");
    for (name, value, expected) in [
        (
            "narrow",
            of("narrow", "narrow"),
            "application repo https://git.example/repo is not permitted in project 'narrow'",
        ),
        ("missing", of("missing", "missing"), "Application referencing project missing which does not exist"),
        ("elsewhere", elsewhere, "application destination https://elsewhere.example is not known here"),
    ] {
        world.create::<Application>(value).await;
        let app = world.until::<Application>(name, |app| condition(app, "InvalidSpecError").is_some()).await;
        assert!(condition(&app, "InvalidSpecError").unwrap().starts_with(expected), "{app:?}");
    }
    let mut denied = of("denied", "maps");
    denied["spec"]["syncPolicy"]["retry"] = json!({"limit": 0});
    world.create::<Application>(denied).await;
    let app = world.until::<Application>("denied", |app| state(app) == "Failed").await;
    let text = "not valid: a/one.yaml:1:1: resource :ConfigMap is not permitted in project maps";
    assert!(message(&app).ends_with(text), "{}", message(&app));
    assert!(world.api::<ConfigMap>().get_opt("one").await.unwrap().is_none());
}

#[tokio::test]
async fn an_object_of_two_applications_is_told_of() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    world.create::<Application>(application("first", "a", json!({"automated": {}}))).await;
    world.until::<Application>("first", |app| is(app, "Synced", "Healthy")).await;
    let policy = json!({"automated": {}, "syncOptions": ["FailOnSharedResource=true"], "retry": {"limit": 0}});
    world.create::<Application>(application("second", "a", policy)).await;
    let app = world.until::<Application>("second", |app| state(app) == "Failed").await;
    assert_eq!(
        condition(&app, "SharedResourceWarning"),
        Some("/ConfigMap/one is part of applications second and first")
    );
    assert!(
        message(&app).contains("Shared resource found: /ConfigMap/one is part of application first"),
        "{}",
        message(&app)
    );
}

#[tokio::test]
async fn everything_is_only_deleted_when_that_is_allowed() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    stage.put("a/one.yaml", &map("one", "1"));
    stage.put("a/keep.txt", "the folder stays");
    world.create::<Application>(application("shop", "a", json!({"automated": {"prune": true}}))).await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    stage.revise("r2", |tree| tree.remove("a/one.yaml".as_ref()));
    let app = world.until::<Application>("shop", |app| condition(app, "SyncError").is_some()).await;
    let text = "Skipping sync attempt to [r2]: auto-sync will wipe out all resources";
    assert_eq!(condition(&app, "SyncError"), Some(text));
    world.until::<ConfigMap>("one", |_| true).await;
    world.patch::<Application>("shop", json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}})).await;
    world.gone::<ConfigMap>("one").await;
    let app = world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    assert_eq!(condition(&app, "SyncError"), None);
}

#[tokio::test]
async fn a_namespace_is_pruned_with_leave_only() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    let asks = "{name: jobs, annotations: {argocd.argoproj.io/sync-options: Prune=confirm}}";
    stage.put("a/jobs.yaml", &format!("apiVersion: v1\nkind: Namespace\nmetadata: {asks}\n"));
    stage.put("a/one.yaml", &map("one", "1"));
    world.create::<Application>(application("shop", "a", json!({"automated": {"prune": true}}))).await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    let inside: Api<ConfigMap> = Api::namespaced(world.client.clone(), "jobs");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "data"}})).unwrap();
    inside.create(&PostParams::default(), &map).await.unwrap();
    stage.revise("r2", |tree| tree.remove("a/jobs.yaml".as_ref()));
    let asked = |app: &Application| message(app) == "waiting for pruning confirmation of /Namespace/jobs";
    world.until::<Application>("shop", asked).await;
    assert!(inside.get_opt("data").await.unwrap().is_some());
    let approval = jiff::Timestamp::now().to_string();
    world
        .patch::<Application>("shop", json!({"metadata": {"annotations": {marks::DELETION_APPROVED: approval}}}))
        .await;
    gone_from::<Namespace>(Api::all(world.client.clone()), "jobs").await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
}
