//! The scheduler.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use crate::node;
use crate::world::{World, from, pod_spec};

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn complaint(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    (scheduled.status == "False").then(|| scheduled.message.clone())?
}

#[tokio::test]
async fn a_pod_waits_with_a_reason_until_a_node_is_there() {
    let world = World::bare().await;
    world.create::<Pod>(json!({"metadata": {"name": "p"}, "spec": pod_spec("1")})).await;
    world.event("FailedScheduling", "no nodes available to schedule pods").await;
    world.add_node("node-0", json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}})).await;
    let text = "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    world.until::<Pod>("p", |pod| complaint(pod).as_deref() == Some(text)).await;
    world.add_node("node-1", json!({})).await;
    let pod = world.until::<Pod>("p", |pod| node_of(pod).is_some()).await;
    assert_eq!(node_of(&pod), Some("node-1"));
    world.event("Scheduled", "Successfully assigned default/p to node-1").await;
}

#[tokio::test]
async fn pods_that_do_not_fit_together_follow_each_other() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.create::<Pod>(json!({"metadata": {"name": name}, "spec": pod_spec("3")})).await;
    }
    let text = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    let pods = world.until_all::<Pod>(|pods| pods.iter().any(|pod| complaint(pod).as_deref() == Some(text))).await;
    let (runs, waits): (Vec<Pod>, Vec<Pod>) = pods.into_iter().partition(|pod| node_of(pod).is_some());
    assert_eq!((runs.len(), waits.len()), (1, 1));
    let name = runs[0].metadata.name.clone().unwrap();
    world.api::<Pod>().delete(&name, &DeleteParams::default()).await.unwrap();
    world.until::<Pod>(&waits[0].metadata.name.clone().unwrap(), |pod| node_of(pod).is_some()).await;
}

#[tokio::test]
async fn many_pods_at_once_never_overfill_a_node() {
    let world = World::new().await;
    for number in 0..12 {
        world.create::<Pod>(json!({"metadata": {"name": format!("p{number}")}, "spec": pod_spec("500m")})).await;
    }
    let pods = world
        .until_all::<Pod>(|pods| {
            pods.iter().filter(|pod| node_of(pod).is_some()).count()
                + pods.iter().filter(|pod| complaint(pod).is_some()).count()
                == 12
        })
        .await;
    assert_eq!(pods.iter().filter(|pod| node_of(pod).is_some()).count(), 8);
}

#[tokio::test]
async fn finished_pods_take_no_room() {
    let world = World::new().await;
    let done = json!({"metadata": {"name": "done", "annotations": {node::EXIT: "0"}}, "spec": pod_spec("4")});
    world.create::<Pod>(done).await;
    world
        .until::<Pod>("done", |pod| {
            pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Succeeded"))
        })
        .await;
    world.create::<Pod>(json!({"metadata": {"name": "next"}, "spec": pod_spec("4")})).await;
    world.until::<Pod>("next", |pod| node_of(pod).is_some()).await;
}

#[tokio::test]
async fn a_pod_that_matters_more_takes_the_place_of_one_that_matters_less() {
    let world = World::new().await;
    let classes: Api<PriorityClass> = Api::all(world.client.clone());
    for (name, value, policy) in [("high", 1000, "PreemptLowerPriority"), ("polite", 500, "Never")] {
        let class = json!({"metadata": {"name": name}, "value": value, "preemptionPolicy": policy});
        classes.create(&PostParams::default(), &from(class)).await.unwrap();
    }
    let of_class = |class: &str| {
        let mut spec = pod_spec("3");
        spec["priorityClassName"] = json!(class);
        spec
    };
    let low = json!({"metadata": {"name": "low", "annotations": {node::STUBBORN: ""}}, "spec": pod_spec("3")});
    world.create::<Pod>(low).await;
    world.until::<Pod>("low", |pod| node_of(pod).is_some()).await;
    world.create::<Pod>(json!({"metadata": {"name": "polite"}, "spec": of_class("polite")})).await;
    let text = "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.";
    world.until::<Pod>("polite", |pod| complaint(pod).as_deref() == Some(text)).await;

    let high = world.create::<Pod>(json!({"metadata": {"name": "high"}, "spec": of_class("high")})).await;
    let nominated = |pod: &Pod| pod.status.as_ref().and_then(|status| status.nominated_node_name.clone());
    world.until::<Pod>("high", |pod| nominated(pod).as_deref() == Some("node-0")).await;
    let victim = world.until::<Pod>("low", |pod| pod.metadata.deletion_timestamp.is_some()).await;
    let conditions = victim.status.unwrap().conditions.unwrap();
    let target = conditions.iter().find(|condition| condition.type_ == "DisruptionTarget").unwrap();
    assert_eq!(target.reason.as_deref(), Some("PreemptionByScheduler"));
    world.event("Preempted", &format!("Preempted by pod {} on node node-0", high.metadata.uid.unwrap())).await;
    world.api::<Pod>().delete("low", &DeleteParams::default().grace_period(0)).await.unwrap();
    world.until::<Pod>("high", |pod| node_of(pod) == Some("node-0")).await;
    let polite = world.until::<Pod>("polite", |_| true).await;
    assert_eq!(node_of(&polite), None);
}
