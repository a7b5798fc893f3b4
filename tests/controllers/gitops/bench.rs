//! Figures of the issue that are held by tests: a sync that changes nothing asks little of the API.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tinderbox_api::gitops::{Application, marks};

use super::stage::{Stage, application, is, map};
use crate::world::World;

const OBJECTS: usize = 200;
/// The limit is far above what is usual, so that a busy machine does not fail it.
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn many_objects_are_compared_quickly() {
    let world = World::bare().await;
    let stage = Stage::new(&world).await;
    let all: Vec<String> = (0..OBJECTS).map(|index| map(&format!("m{index}"), "1")).collect();
    stage.put("a/all.yaml", &all.join("---\n"));
    world.create::<Application>(application("shop", "a", json!({"automated": {}}))).await;
    world.until::<Application>("shop", |app| is(app, "Synced", "Healthy")).await;
    let begun = Instant::now();
    world.patch::<Application>("shop", json!({"metadata": {"annotations": {marks::REFRESH: "normal"}}})).await;
    world
        .until::<Application>("shop", |app| {
            app.metadata.annotations.as_ref().is_none_or(|all| !all.contains_key(marks::REFRESH))
        })
        .await;
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    let maps = world.api::<ConfigMap>().list(&Default::default()).await.unwrap();
    assert!(maps.items.len() >= OBJECTS);
}
