//! What counts as a difference, and what cannot be compared.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tinderbox_api::gitops::Application;
use tinderbox_gitops::source::Helm;

use super::stage::{Stage, application, condition, is};
use crate::world::World;

#[tokio::test]
async fn fields_that_jq_names_are_others() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    let two = |k: &str, own: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{k: '{k}', own: '{own}'}}\n")
    };
    stage.put("a/m.yaml", &two("1", "1"));
    let policy = json!({"automated": {"selfHeal": true}, "syncOptions": ["RespectIgnoreDifferences=true"]});
    let mut app = application("shop", "a", policy);
    let ignored = |expression: &str| json!([{"kind": "ConfigMap", "jqPathExpressions": [expression]}]);
    app["spec"]["ignoreDifferences"] = ignored(".data | .k");
    world.create::<Application>(app).await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    // Somebody else's field stays, what is the tree's comes back.
    world.patch::<ConfigMap>("m", json!({"data": {"k": "theirs", "own": "theirs"}})).await;
    let data = |map: &ConfigMap, key: &str| map.data.clone().unwrap_or_default().remove(key).unwrap_or_default();
    world.until::<ConfigMap>("m", |map| data(map, "own") == "1" && data(map, "k") == "theirs").await;
    stage.put("a/m.yaml", &two("2", "2"));
    world.until::<ConfigMap>("m", |map| data(map, "own") == "2" && data(map, "k") == "theirs").await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    // What cannot be read is told, and nothing is synced by it.
    world.patch::<Application>("shop", json!({"spec": {"ignoreDifferences": ignored(".data |")}})).await;
    let told = "ignoreDifferences of ConfigMap: jqPathExpressions \".data |\": a term is missing at the end";
    let broken = world.until::<Application>("shop", |app| condition(app, "ComparisonError") == Some(told)).await;
    assert_eq!(broken.status.unwrap().sync.status, "Unknown");
}

#[tokio::test]
async fn a_chart_without_helm_is_told() {
    let world = World::bare().await;
    let stage = Stage::with(&world, Helm::at("/nonexistent/helm")).await;
    stage.put("a/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n");
    world.create::<Application>(application("shop", "a", json!({"automated": {}}))).await;
    let told = |app: &Application| {
        condition(app, "ComparisonError").is_some_and(|text| {
            text.starts_with(
                "Failed to load target state: a: there is no command `helm` to render this chart: install helm",
            )
        })
    };
    let app = world.until::<Application>("shop", told).await;
    assert_eq!(app.status.unwrap().sync.status, "Unknown");
}
