//! Endpoints and EndpointSlices.

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::node::STUBBORN;
use crate::world::World;

fn slice_of(slices: &[EndpointSlice]) -> Option<EndpointSlice> {
    let ours =
        slices.iter().find(|slice| slice.labels().get("kubernetes.io/service-name").is_some_and(|name| name == "web"));
    ours.cloned()
}

fn conditions(slices: &[EndpointSlice]) -> Vec<[Option<bool>; 3]> {
    let slice = slice_of(slices);
    let endpoints = slice.map(|slice| slice.endpoints).unwrap_or_default();
    let conditions = endpoints.into_iter().filter_map(|endpoint| endpoint.conditions);
    conditions.map(|one| [one.ready, one.serving, one.terminating]).collect()
}

#[tokio::test]
async fn endpoints_follow_readiness_and_deletion() {
    let world = World::new().await;
    let service = json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
    });
    world.create::<Service>(service).await;
    world.until_all::<EndpointSlice>(|slices| slice_of(slices).is_some()).await;
    let pod = json!({
        "metadata": {"name": "p", "labels": {"app": "web"}, "annotations": {STUBBORN: ""}},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": 8080}]}]},
    });
    world.create::<Pod>(pod).await;
    let slices =
        world.until_all::<EndpointSlice>(|slices| conditions(slices) == [[Some(true), Some(true), Some(false)]]).await;
    let slice = slice_of(&slices).unwrap();
    assert_eq!(slice.ports.unwrap()[0].port, Some(8080));
    assert_eq!(slice.endpoints[0].node_name.as_deref(), Some("node-0"));
    let endpoints = world.until::<Endpoints>("web", |one| one.subsets.is_some()).await;
    let subset = &endpoints.subsets.unwrap()[0];
    assert_eq!(subset.addresses.as_ref().unwrap()[0].target_ref.as_ref().unwrap().name.as_deref(), Some("p"));

    let sick = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    world.api::<Pod>().patch_status("p", &PatchParams::default(), &Patch::Merge(sick)).await.unwrap();
    world.until_all::<EndpointSlice>(|slices| conditions(slices) == [[Some(false), Some(false), Some(false)]]).await;
    world
        .until::<Endpoints>("web", |one| one.subsets.as_ref().is_some_and(|subsets| subsets[0].addresses.is_none()))
        .await;

    let well = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    world.api::<Pod>().patch_status("p", &PatchParams::default(), &Patch::Merge(well)).await.unwrap();
    world.api::<Pod>().delete("p", &DeleteParams::default()).await.unwrap();
    world.until_all::<EndpointSlice>(|slices| conditions(slices) == [[Some(false), Some(true), Some(true)]]).await;
    world.api::<Pod>().delete("p", &DeleteParams::default().grace_period(0)).await.unwrap();
    world.until_all::<EndpointSlice>(|slices| conditions(slices).is_empty() && slice_of(slices).is_some()).await;

    world.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    world.until_all::<EndpointSlice>(|slices| slice_of(slices).is_none()).await;
    world.gone::<Endpoints>("web").await;
}
