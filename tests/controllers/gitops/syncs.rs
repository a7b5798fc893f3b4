//! Phases, waves and hooks with jobs that run, definitions beside their objects, namespaces that a sync makes.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;
use tinderbox_api::gitops::Application;

use super::stage::{Stage, application, is, map, message, state};
use crate::node::EXIT;
use crate::world::{World, gone_from, until_in};

/// A job that ends with a code, or runs on without one, as a hook or in a wave.
fn job(name: &str, code: &str, annotations: &str) -> String {
    let end = if code.is_empty() { json!({}) } else { json!({EXIT: code}) };
    let pod = json!({
        "metadata": {"annotations": end},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    });
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec: {{backoffLimit: 0, template: {pod}}}\n"
    )
}

const HOOK: &str = "argocd.argoproj.io/hook";
const WAVE: &str = "argocd.argoproj.io/sync-wave";

#[tokio::test]
async fn hooks_run_before_and_after_and_go_as_they_say() {
    let world = World::new().await;
    let stage = Stage::new(&world).await;
    stage.put(
        "a/pre.yaml",
        &job("pre", "0", &format!("{HOOK}: PreSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded")),
    );
    stage.put("a/map.yaml", &map("one", "1"));
    stage.put("a/post.yaml", &job("post", "0", &format!("{HOOK}: PostSync")));
    world.create::<Application>(application("shop", "a", json!({"automated": {}}))).await;
    let app = world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    let results = app.status.as_ref().unwrap().operation_state.clone().unwrap().sync_result.unwrap().resources;
    let told: Vec<_> =
        results.iter().map(|one| (one.name.as_str(), one.hook_type.as_str(), one.hook_phase.as_str())).collect();
    assert_eq!(told, [("pre", "PreSync", "Succeeded"), ("one", "", "Succeeded"), ("post", "PostSync", "Succeeded")]);
    world.gone::<Job>("pre").await;
    let post = world.until::<Job>("post", |_| true).await;
    let one = world.until::<ConfigMap>("one", |_| true).await;
    let time = |meta: &kube::core::ObjectMeta| meta.creation_timestamp.clone().unwrap();
    assert!(time(&post.metadata) >= time(&one.metadata));
    // A second sync makes the hook that is there anew.
    stage.revise("r2", |tree| tree.put("a/map.yaml", map("one", "2")));
    world.until::<Job>("post", |job| job.uid() != post.uid()).await;
    world
        .until::<Application>("shop", |app| {
            is(app, "Synced", "Healthy") && app.status.as_ref().unwrap().history.len() == 2
        })
        .await;
}

#[tokio::test]
async fn a_hook_that_fails_keeps_the_objects_back_and_calls_for_help() {
    let world = World::new().await;
    let stage = Stage::new(&world).await;
    stage.put("a/pre.yaml", &job("pre", "1", &format!("{HOOK}: PreSync")));
    stage.put("a/map.yaml", &map("one", "1"));
    stage.put("a/sorry.yaml", &job("sorry", "0", &format!("{HOOK}: SyncFail")));
    world.create::<Application>(application("shop", "a", json!({}))).await;
    world.until::<Application>("shop", |app| is(app, "OutOfSync", "Missing")).await;
    world.patch::<Application>("shop", json!({"operation": {"sync": {}}})).await;
    let app = world.until::<Application>("shop", |app| state(app) == "Failed").await;
    assert_eq!(message(&app), "one or more synchronization tasks completed unsuccessfully");
    world.until::<Job>("sorry", |_| true).await;
    assert!(world.api::<ConfigMap>().get_opt("one").await.unwrap().is_none());
}

#[tokio::test]
async fn waves_wait_for_each_other_also_across_a_restart() {
    let world = World::new().await;
    let mut stage = Stage::new(&world).await;
    stage.put("a/first.yaml", &job("first", "", &format!("{WAVE}: '1'")));
    stage.put(
        "a/second.yaml",
        &map("second", "1").replace("{name: second}", &format!("{{name: second, annotations: {{{WAVE}: '2'}}}}")),
    );
    world.create::<Application>(application("shop", "a", json!({"automated": {}}))).await;
    let waiting = |app: &Application| message(app) == "waiting for healthy state of batch/Job/first";
    world.until::<Application>("shop", waiting).await;
    let first = world.until::<Job>("first", |_| true).await;
    assert!(world.api::<ConfigMap>().get_opt("second").await.unwrap().is_none());
    stage.restart();
    let pods = world.until_all::<Pod>(|pods| !pods.is_empty()).await;
    world.patch::<Pod>(&pods[0].name_any(), json!({"metadata": {"annotations": {EXIT: "0"}}})).await;
    world.until::<ConfigMap>("second", |_| true).await;
    let app = world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    assert_eq!(app.status.unwrap().history.len(), 1, "one sync, continued");
    assert_eq!(world.until::<Job>("first", |_| true).await.uid(), first.uid());
}

#[tokio::test]
async fn a_definition_and_its_objects_in_one_sync_in_a_namespace_that_it_makes() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "wheels.cart.example"},
        "spec": {
            "group": "cart.example", "scope": "Namespaced", "names": {"kind": "Wheel", "plural": "wheels"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    });
    stage.put("a/definition.yaml", &definition.to_string());
    stage.put("a/wheel.yaml", "apiVersion: cart.example/v1\nkind: Wheel\nmetadata: {name: front}\nspec: {size: 3}\n");
    let policy = json!({
        "automated": {"prune": true}, "syncOptions": ["CreateNamespace=true"],
        "managedNamespaceMetadata": {"labels": {"team": "cart"}},
    });
    let mut app = application("cart", "a", policy);
    app["spec"]["destination"]["namespace"] = json!("cart");
    world.create::<Application>(app).await;
    world.until::<Application>("cart", |app| is(app, "Synced", "Healthy")).await;
    let namespace = until_in::<Namespace>(Api::all(world.client.clone()), "cart", |_| true).await;
    assert_eq!(namespace.labels()["team"], "cart");
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("cart.example", "v1", "Wheel"), "wheels");
    let wheels: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), "cart", &resource);
    assert_eq!(wheels.get("front").await.unwrap().data["spec"]["size"], 3);
    // The namespace is not the application's: it stays.
    stage.revise("r2", |tree| {
        tree.remove("a/wheel.yaml".as_ref());
        tree.put("a/map.yaml", map("one", "1"));
    });
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "cart");
    until_in(maps, "one", |_| true).await;
    world
        .until::<Application>("cart", |app| {
            is(app, "Synced", "Healthy") && app.status.as_ref().unwrap().history.len() == 2
        })
        .await;
    assert!(wheels.get_opt("front").await.unwrap().is_none());
}

#[tokio::test]
async fn a_sync_that_never_ends_is_terminated() {
    let world = World::new().await;
    let stage = Stage::new(&world).await;
    stage.put("a/pre.yaml", &job("pre", "", &format!("{HOOK}: PreSync")));
    stage.put("a/map.yaml", &map("one", "1"));
    world.create::<Application>(application("shop", "a", json!({}))).await;
    world.until::<Application>("shop", |app| is(app, "OutOfSync", "Missing")).await;
    world.patch::<Application>("shop", json!({"operation": {"sync": {}}})).await;
    world.until::<Application>("shop", |app| message(app) == "waiting for completion of hook batch/Job/pre").await;
    world.patch::<Application>("shop", json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    let app = world.until::<Application>("shop", |app| state(app) == "Failed").await;
    assert_eq!(message(&app), "Operation terminated");
    gone_from::<Job>(world.api(), "pre").await;
}
