//! Limits of containers: memory, processors and disk, with the kernel's help and without.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tinderbox_api::streams::PodStreams;

use crate::cluster::{Cluster, container};

/// A pod of one container with limits.
fn limited(script: &str, policy: &str, limits: Value) -> Value {
    let main =
        json!({"name": "main", "image": "busybox", "command": ["sh", "-c", script], "resources": {"limits": limits}});
    json!({"restartPolicy": policy, "terminationGracePeriodSeconds": 0, "containers": [main]})
}

/// A container that takes more and more memory is killed and started again.
async fn runs_out_of_memory(cluster: &Cluster) {
    let pod = cluster.pod("hungry", limited("exec tail /dev/zero", "OnFailure", json!({"memory": "48Mi"}))).await;
    let restarted = |pod: &Pod| container(pod, "main")["restartCount"].as_i64() >= Some(1);
    let pod = cluster.until(&pod, "started again", restarted).await;
    let last = &container(&pod, "main")["lastState"]["terminated"];
    assert_eq!(json!([last["reason"], last["exitCode"]]), json!(["OOMKilled", 137]));
    cluster.delete(&pod, Some(0)).await;
    cluster.until_gone(&pod).await;
    let pod = cluster.pod("sated", limited("echo fine", "Never", json!({"memory": "48Mi"}))).await;
    cluster.until_phase(&pod, "Succeeded").await;
}

/// Folders of the place's control groups, where it could make some.
fn groups(cluster: &Cluster) -> Vec<PathBuf> {
    let noted = std::fs::read_to_string(cluster.state_dir().join("cgroups")).unwrap_or_default();
    noted.lines().map(PathBuf::from).filter(|path| path.exists()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_not_there_ends_a_container() {
    let mut cluster = Cluster::start().await;
    runs_out_of_memory(&cluster).await;
    let before = groups(&cluster);
    cluster.kill_kubelet().await;
    // Nobody has cleared up: the next start does.
    cluster.start_kubelet().await;
    assert_eq!(groups(&cluster), before);
    cluster.stop().await;
    assert!(before.iter().all(|path| !path.exists()), "{before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_watched_where_the_kernel_is_not_asked() {
    let mut cluster = Cluster::start().await;
    cluster.kill_kubelet().await;
    cluster.start_kubelet_with(None).await;
    runs_out_of_memory(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pods_use_is_measured_and_limited() {
    let cluster = Cluster::start().await;
    let busy = cluster.pod("busy", limited("while :; do :; done", "Never", json!({"cpu": "100m"}))).await;
    let idle = cluster.pod("idle", limited("exec sleep 1000", "Never", json!({"memory": "64Mi"}))).await;
    cluster.until_phase(&busy, "Running").await;
    cluster.until_phase(&idle, "Running").await;
    let mut usage = cluster.kubelet().usage().await;
    usage.sort_by(|one, other| one.pod.cmp(&other.pod));
    let of = |at: usize| (usage[at].pod.as_str(), usage[at].node.as_str(), usage[at].containers[0].name.as_str());
    assert_eq!([of(0), of(1)], [("busy", "local-0", "main"), ("idle", "local-0", "main")]);
    let [busy, idle] = [0, 1].map(|at: usize| usage[at].containers[0].clone());
    assert!(busy.cpu_nanos > 20_000_000 && busy.cpu_nanos > 5 * idle.cpu_nanos, "{usage:?}");
    assert!(idle.memory > 100 << 10 && idle.memory < 64 << 20, "{usage:?}");
    if !groups(&cluster).is_empty() {
        assert!(busy.cpu_nanos < 250_000_000, "{usage:?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_write_too_much_have_to_go() {
    let cluster = Cluster::start().await;
    let write = "head -c 3000000 /dev/zero > /data/file; exec sleep 1000";
    let mut spec = limited(write, "Never", json!({}));
    spec["volumes"] = json!([{"name": "data", "emptyDir": {"sizeLimit": "1Mi"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let volume = cluster.pod("volume", spec).await;
    let write = "head -c 3000000 /dev/zero > /tmp/file; exec sleep 1000";
    let root = cluster.pod("root", limited(write, "Never", json!({"ephemeral-storage": "1Mi"}))).await;
    for (pod, message) in [
        (volume, "Usage of EmptyDir volume \"data\" exceeds the limit \"1Mi\". "),
        (root, "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "),
    ] {
        let pod = cluster.until_phase(&pod, "Failed").await;
        let status = pod.status.clone().unwrap();
        assert_eq!((status.reason.as_deref(), status.message.as_deref()), (Some("Evicted"), Some(message)));
        let event = cluster.until_event(&pod, "Evicted").await;
        assert_eq!((event.type_.as_deref(), event.message.as_deref()), (Some("Warning"), Some(message)));
    }
    cluster.stop().await;
}
