//! The loss of a node, from its silence to the end of its pods.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tinderbox_api::pools::{Capacity, Pools};

use crate::node::STUBBORN;
use crate::world::{NODE_GRACE, World, gone_from, pod_spec, until_in};

/// What a kubelet says when it is well, and when it says so.
fn ready(time: &str) -> Value {
    json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": time}]}})
}

fn taints(node: &Node) -> Vec<String> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
}

fn on(pod: &Pod, node: &str) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node)
}

fn condition(pod: &Pod, type_: &str) -> Option<(String, String)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|one| one.type_ == type_)?;
    Some((found.status.clone(), found.reason.clone().unwrap_or_default()))
}

#[tokio::test]
async fn pods_of_a_lost_node_are_replaced_and_the_rest_goes_with_the_node() {
    let world = World::with_manual_clock().await;
    world.add_node("node-1", json!({"metadata": {"labels": {"first": "yes"}}})).await;
    let nodes: Api<Node> = Api::all(world.client.clone());
    for name in ["node-0", "node-1"] {
        nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(ready("2026-01-01T00:00:00Z"))).await.unwrap();
    }
    let mut spec = pod_spec("1");
    spec["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchExpressions": [{"key": "first", "operator": "Exists"}]}}]}});
    let meta = json!({"labels": {"app": "web"}, "annotations": {STUBBORN: ""}});
    let selector = json!({"matchLabels": {"app": "web"}});
    let template = json!({"metadata": meta, "spec": spec});
    let web = json!({"metadata": {"name": "web"}, "spec": {"replicas": 1, "selector": selector, "template": template}});
    world.create::<Deployment>(web).await;
    let is_ready = |pod: &Pod| condition(pod, "Ready").is_some_and(|(status, _)| status == "True");
    let pods = world.until_all::<Pod>(|pods| pods.len() == 1 && is_ready(&pods[0])).await;
    assert!(on(&pods[0], "node-1"));
    let first = pods[0].name_any();

    world.advance(NODE_GRACE);
    let lost =
        until_in(nodes.clone(), "node-1", |node: &Node| taints(node) == ["node.kubernetes.io/unreachable:NoSchedule"])
            .await;
    let why = &lost.status.unwrap().conditions.unwrap()[0];
    assert_eq!((why.status.as_str(), why.reason.as_deref()), ("Unknown", Some("NodeStatusUnknown")));
    world.event("NodeNotReady", "Node is not ready").await;
    world.until::<Pod>(&first, |pod| !is_ready(pod)).await;

    // Both were silent: no pod is sent off before another node is there.
    nodes.patch_status("node-0", &PatchParams::default(), &Patch::Merge(ready("2026-02-01T00:00:00Z"))).await.unwrap();
    until_in(nodes.clone(), "node-0", |node: &Node| taints(node).is_empty()).await;
    let both = ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];
    until_in(nodes.clone(), "node-1", |node: &Node| taints(node) == both).await;
    world.advance(Duration::from_secs(299));
    assert!(world.api::<Pod>().get(&first).await.unwrap().metadata.deletion_timestamp.is_none());
    world.advance(Duration::from_secs(2));
    let leaving = world.until::<Pod>(&first, |pod| pod.metadata.deletion_timestamp.is_some()).await;
    assert_eq!(condition(&leaving, "DisruptionTarget"), Some(("True".into(), "DeletionByTaintManager".into())));
    world.event("TaintManagerEviction", &format!("Marking for deletion Pod default/{first}")).await;
    world.until_all::<Pod>(|pods| pods.iter().any(|pod| on(pod, "node-0") && is_ready(pod))).await;

    // Nobody is there to end the old one, until the node is given up.
    nodes.delete("node-1", &DeleteParams::default()).await.unwrap();
    gone_from(nodes, "node-1").await;
    world.create::<Pod>(json!({"metadata": {"name": "late"}, "spec": {"nodeName": "node-1", "containers": pod_spec("1")["containers"]}})).await;
    world.advance(Duration::from_secs(41));
    world.gone::<Pod>(&first).await;
    world.gone::<Pod>("late").await;
}

#[tokio::test]
async fn a_pool_grows_for_a_pod_and_shrinks_after_it() {
    let nodes = json!({"pools": [{"name": "work", "capacity": {"cpu": "2", "memory": "4Gi", "pods": 10}, "max": 2, "idleSeconds": 60}]});
    let machine = Capacity { cpu_millis: 8000, memory: 8 << 30, ephemeral_storage: 1 << 30, pods: 110 };
    let pools = Pools::new("c", &serde_json::from_value(nodes).unwrap(), machine);
    let world = World::with_pools(pools).await;
    world.create::<Pod>(json!({"metadata": {"name": "huge"}, "spec": pod_spec("3")})).await;
    world.event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 Insufficient cpu").await;
    world.create::<Pod>(json!({"metadata": {"name": "fits"}, "spec": pod_spec("1500m")})).await;
    world.event("TriggeredScaleUp", "pod triggered scale-up: [{work 0->1 (max: 2)}]").await;
    let nodes: Api<Node> = Api::all(world.client.clone());
    let made = until_in(nodes.clone(), "c-work-0", |_: &Node| true).await;
    assert_eq!(made.labels()["tinderbox.dev/pool"], "work");

    // The node comes to life.
    let amounts = json!({"cpu": "2", "memory": "4Gi", "pods": "10"});
    let mut alive = ready("2026-01-01T00:00:00Z");
    alive["status"]["allocatable"] = amounts;
    nodes.patch_status("c-work-0", &PatchParams::default(), &Patch::Merge(alive)).await.unwrap();
    world
        .until::<Pod>("fits", |pod| {
            on(pod, "c-work-0") && pod.status.as_ref().is_some_and(|one| one.phase.as_deref() == Some("Running"))
        })
        .await;

    world.api::<Pod>().delete("fits", &DeleteParams::default()).await.unwrap();
    world.gone::<Pod>("fits").await;
    // Whenever it is that the node is seen to be idle: a minute later it goes.
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let gone = gone_from(nodes, "c-work-0");
    tokio::pin!(gone);
    loop {
        tokio::select! {
            _ = ticks.tick() => world.advance(Duration::from_secs(20)),
            () = &mut gone => break,
        }
    }
    world.event("ScaleDown", "node removed by cluster autoscaler").await;
    let events: Api<Event> = Api::all(world.client.clone());
    let said = events.list(&Default::default()).await.unwrap().items;
    let of = |reason: &str| {
        let mut said: Vec<_> = said
            .iter()
            .filter(|one| one.reason.as_deref() == Some(reason))
            .filter_map(|one| one.message.clone())
            .collect();
        said.sort();
        said
    };
    assert_eq!(of("ScaleDownEmpty"), ["Scale-down: removing empty node \"c-work-0\""]);
    assert_eq!(of("ScaleDown"), ["marked the node as toBeDeleted/unschedulable", "node removed by cluster autoscaler"]);
}
