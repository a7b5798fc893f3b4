//! Probes and hooks: what they decide.

use serde_json::json;

use crate::cluster::{Cluster, container};

#[tokio::test(flavor = "multi_thread")]
async fn liveness_restarts_and_readiness_only_tells() {
    let cluster = Cluster::start().await;
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "main", "image": "busybox", "command": ["sleep", "1000"],
            "livenessProbe": {"exec": {"command": ["sh", "-c", "echo sick; exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}},
        {"name": "unready", "image": "busybox", "command": ["sleep", "1000"],
            "readinessProbe": {"tcpSocket": {"port": 81}, "periodSeconds": 1, "failureThreshold": 1}},
        {"name": "starting", "image": "busybox", "command": ["sh", "-c", "touch /tmp/up; sleep 1000"],
            "startupProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1}}]});
    let pod = cluster.pod("probed", spec).await;
    let pod = cluster.until(&pod, "restarted", |p| container(p, "main")["restartCount"] == 1).await;
    let killing = cluster.until_event(&pod, "Killing").await;
    assert_eq!(killing.message.unwrap(), "Container main failed liveness probe, will be restarted");
    // Events are written in order: what led to it is there too.
    let events = cluster.events(&pod).await;
    let said = |word: &str| events.iter().filter_map(|e| e.message.as_deref()).any(|text| text.starts_with(word));
    assert!(said("Liveness probe failed: sick"), "{events:?}");
    let pod = cluster.until(&pod, "started", |p| container(p, "starting")["started"] == true).await;
    assert_eq!(container(&pod, "unready")["ready"], false);
    assert_eq!(container(&pod, "unready")["restartCount"], 0);
    cluster.delete(&pod, Some(0)).await;
    cluster.until_gone(&pod).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_start_hook_comes_before_readiness() {
    let cluster = Cluster::start().await;
    let spec = json!({"containers": [{"name": "main", "image": "busybox", "command": ["sleep", "1000"],
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "echo hooked > /proc/1/fd/1"]}}}}]});
    let pod = cluster.pod("hooked", spec).await;
    let pod = cluster.until(&pod, "ready", |p| container(p, "main")["ready"] == true).await;
    assert_eq!(cluster.logs(&pod, "main").await.unwrap(), "hooked\n");
    cluster.stop().await;
}
