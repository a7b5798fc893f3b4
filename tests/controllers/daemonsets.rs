//! DaemonSets.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use crate::world::World;

fn set() -> Value {
    json!({
        "metadata": {"name": "log"},
        "spec": {
            "selector": {"matchLabels": {"app": "log"}},
            "template": {
                "metadata": {"labels": {"app": "log"}},
                "spec": {"containers": [{"name": "c", "image": "one"}]},
            },
        },
    })
}

fn is_rolled_out(set: &DaemonSet, nodes: i32) -> bool {
    let status = set.status.clone().unwrap_or_default();
    status.observed_generation == set.metadata.generation
        && status.desired_number_scheduled == nodes
        && status.updated_number_scheduled.unwrap_or_default() == nodes
        && status.number_available.unwrap_or_default() == nodes
}

fn places(pods: &[Pod]) -> Vec<String> {
    let mut nodes: Vec<String> = pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
    nodes.sort();
    nodes
}

#[tokio::test]
async fn every_node_has_its_pod_while_nodes_come_and_go() {
    let world = World::new().await;
    let taint = json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}});
    world.add_node("node-1", taint).await;
    world.create::<DaemonSet>(set()).await;
    world.until::<DaemonSet>("log", |set| is_rolled_out(set, 1)).await;
    world.event("SuccessfulCreate", "Created pod: log-").await;

    world.add_node("node-2", json!({"spec": {"unschedulable": true}})).await;
    let pods = world.until_all::<Pod>(|pods| places(pods) == ["node-0", "node-2"]).await;
    assert!(pods.iter().all(|pod| pod.labels()["pod-template-generation"] == "1"));
    world.until::<DaemonSet>("log", |set| is_rolled_out(set, 2)).await;

    let nodes: Api<Node> = Api::all(world.client.clone());
    let evict = json!({"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}});
    nodes.patch("node-2", &Default::default(), &kube::api::Patch::Merge(&evict)).await.unwrap();
    world.until_all::<Pod>(|pods| places(pods) == ["node-0"]).await;
    world.until::<DaemonSet>("log", |set| is_rolled_out(set, 1)).await;
}

#[tokio::test]
async fn a_new_template_goes_from_node_to_node() {
    let world = World::new().await;
    world.add_node("node-1", json!({})).await;
    world.create::<DaemonSet>(set()).await;
    world.until::<DaemonSet>("log", |set| is_rolled_out(set, 2)).await;
    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    world.patch::<DaemonSet>("log", change).await;
    world.until::<DaemonSet>("log", |set| is_rolled_out(set, 2)).await;
    let pods = world.until_all::<Pod>(|pods| pods.len() == 2).await;
    assert!(pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("two")));
    assert!(pods.iter().all(|pod| pod.labels()["pod-template-generation"] == "2"));
}

#[tokio::test]
async fn on_delete_waits_for_someone_to_delete() {
    let world = World::new().await;
    let mut wanted = set();
    wanted["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    world.create::<DaemonSet>(wanted).await;
    world.until::<DaemonSet>("log", |set| is_rolled_out(set, 1)).await;
    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    world.patch::<DaemonSet>("log", change).await;
    let seen = |set: &DaemonSet| {
        let status = set.status.clone().unwrap_or_default();
        status.observed_generation == set.metadata.generation && status.updated_number_scheduled.is_none()
    };
    world.until::<DaemonSet>("log", seen).await;
    let pods = world.until_all::<Pod>(|pods| pods.len() == 1).await;
    world.api::<Pod>().delete(&pods[0].name_any(), &DeleteParams::default()).await.unwrap();
    world.until::<DaemonSet>("log", |set| is_rolled_out(set, 1)).await;
}
