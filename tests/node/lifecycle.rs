//! From Pending to the end: phases, exit codes, restarts, deletion.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::ResourceExt;
use serde_json::json;
use tinderbox_api::streams::LogOptions;

use crate::cluster::{Cluster, NODE, container};

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_to_its_end() {
    let cluster = Cluster::start().await;
    let pod = cluster.script("hello", "echo hello; echo error >&2; id -u; cat /etc/hosts; hostname; exit 0").await;
    let running =
        cluster.until(&pod, "has an address", |p| p.status.as_ref().is_some_and(|s| s.pod_ip.is_some())).await;
    let address = running.status.unwrap().pod_ip.unwrap();
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    let status = container(&pod, "main");
    assert_eq!(status["state"]["terminated"]["reason"], "Completed");
    assert_eq!(status["state"]["terminated"]["exitCode"], 0);
    let log = cluster.logs(&pod, "main").await.unwrap();
    assert!(log.contains("hello\n") && log.contains("error\n"), "{log}");
    assert!(log.contains(&format!("{address}\thello\n")), "{log}");
    assert_eq!(log.lines().filter(|line| *line == "hello").count(), 2, "its word and its host name: {log}");
    for reason in ["Pulled", "Created", "Started"] {
        cluster.until_event(&pod, reason).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_whole_seconds_and_in_order() {
    let cluster = Cluster::start().await;
    let pod = cluster.script("timed", "true").await;
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    let status = serde_json::to_value(&pod.status).unwrap();
    let terminated = &container(&pod, "main")["state"]["terminated"];
    let times =
        [&status["startTime"], &terminated["startedAt"], &terminated["finishedAt"]].map(|t| t.as_str().unwrap());
    assert!(times.iter().all(|time| time.len() == "2026-01-01T00:00:00Z".len()), "{times:?}");
    assert!(times.is_sorted(), "{times:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_is_ready_and_has_a_lease() {
    let cluster = Cluster::start().await;
    let node = Api::<Node>::all(cluster.client.clone()).get(NODE).await.unwrap();
    assert_eq!(node.labels()["tinderbox.dev/pool"], "default");
    let conditions = node.status.unwrap().conditions.unwrap();
    assert!(conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_their_codes_and_messages() {
    let cluster = Cluster::start().await;
    let failing = cluster.script("failing", "echo why > /dev/termination-log; exit 3").await;
    let killed = cluster.script("killed", "kill -9 $$").await;
    let missing = cluster
        .pod("missing", json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["/no/such"]}]}))
        .await;
    let failing = cluster.until_phase(&failing, "Failed").await;
    let terminated = &container(&failing, "main")["state"]["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(3), &json!("Error")));
    assert_eq!(terminated["message"], "why\n");
    let missing = cluster.until_phase(&missing, "Failed").await;
    let terminated = &container(&missing, "main")["state"]["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(128), &json!("StartError")));
    assert!(terminated["message"].as_str().unwrap().contains("/no/such"), "{terminated}");
    cluster
        .until(&killed, "an end", |p| {
            let phase = p.status.as_ref().and_then(|s| s.phase.clone());
            matches!(phase.as_deref(), Some("Failed" | "Succeeded"))
        })
        .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_restart_with_back_off() {
    let cluster = Cluster::start().await;
    let spec =
        json!({"containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", "echo run; exit 1"]}]});
    let pod = cluster.pod("crashing", spec).await;
    let pod = cluster
        .until(&pod, "CrashLoopBackOff", |p| container(p, "main")["state"]["waiting"]["reason"] == "CrashLoopBackOff")
        .await;
    let status = container(&pod, "main");
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
    cluster.until_event(&pod, "BackOff").await;
    let previous = LogOptions { previous: true, ..LogOptions::default() };
    assert_eq!(cluster.logs_with(&pod, "main", previous).await.unwrap(), "run\n");
    cluster.delete(&pod, None).await;
    cluster.until_gone(&pod).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_runs_the_hook_then_the_signal() {
    let cluster = Cluster::start().await;
    let script = "trap 'echo term; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let spec = json!({"containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", script],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}}}}]});
    let pod = cluster.pod("polite", spec).await;
    let pod = cluster.until_phase(&pod, "Running").await;
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    let following = cluster.logs_with(&pod, "main", follow);
    let deleting = async {
        cluster.until(&pod, "ready", |p| container(p, "main")["ready"] == true).await;
        cluster.delete(&pod, None).await;
    };
    let (log, ()) = tokio::join!(following, deleting);
    let log = log.unwrap();
    let at = |word: &str| log.find(word).unwrap_or_else(|| panic!("{word} is not in {log:?}"));
    assert!(at("hook") < at("term"), "{log}");
    cluster.until_gone(&pod).await;
    let folder = cluster.state_dir().join("pods").join(pod.uid().unwrap());
    let mut waited = 0;
    while folder.exists() && waited < 1000 {
        tokio::task::yield_now().await;
        waited += 1;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_sidecars_and_main_in_order() {
    let cluster = Cluster::start().await;
    let shell = |name: &str, script: &str| {
        json!({"name": name, "image": "busybox", "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    };
    let mut sidecar = shell("side", "echo side >> /v/log; trap 'exit 0' TERM; while :; do sleep 0.05; done");
    sidecar["restartPolicy"] = "Always".into();
    sidecar["startupProbe"] = json!({"exec": {"command": ["grep", "side", "/v/log"]}, "periodSeconds": 1});
    let spec = json!({"restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [shell("first", "echo first >> /v/log"), sidecar, shell("last", "echo last >> /v/log")],
        "containers": [shell("main", "cat /v/log")]});
    let pod = cluster.pod("ordered", spec).await;
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    assert_eq!(cluster.logs(&pod, "main").await.unwrap(), "first\nside\nlast\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_cannot_give_is_named() {
    let cluster = Cluster::start().await;
    let privileged =
        json!({"containers": [{"name": "main", "image": "busybox", "securityContext": {"privileged": true}}]});
    let pod = cluster.pod("strong", privileged).await;
    let pod = cluster.until_phase(&pod, "Failed").await;
    assert!(pod.status.unwrap().message.unwrap().contains("privileged"));
    let root = json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "main", "image": "busybox"}]});
    let pod = cluster.pod("root", root).await;
    let pod = cluster
        .until(&pod, "refused", |p| container(p, "main")["state"]["waiting"]["reason"] == "CreateContainerConfigError")
        .await;
    let message = container(&pod, "main")["state"]["waiting"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("container has runAsNonRoot and image will run as root"), "{message}");
    let unknown = json!({"containers": [{"name": "main", "image": "localhost:1/none:1"}]});
    let pod = cluster.pod("unknown", unknown).await;
    cluster
        .until(&pod, "ImagePullBackOff", |p| container(p, "main")["state"]["waiting"]["reason"] == "ImagePullBackOff")
        .await;
    cluster.delete(&pod, None).await;
    cluster.until_gone(&pod).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_process_takes_up_what_the_old_one_left() {
    let mut cluster = Cluster::start().await;
    let once = cluster.script("once", "sleep 1000").await;
    let spec = json!({"containers": [{"name": "main", "image": "busybox", "command": ["sleep", "1000"]}]});
    let always = cluster.pod("always", spec).await;
    cluster.until_phase(&once, "Running").await;
    cluster.until_phase(&always, "Running").await;
    cluster.kill_kubelet().await;
    cluster.start_kubelet().await;
    let once = cluster.until_phase(&once, "Failed").await;
    assert_eq!(container(&once, "main")["state"]["terminated"]["exitCode"], 137);
    let always = cluster
        .until(&always, "runs again", |p| {
            let status = container(p, "main");
            status["restartCount"] == 1 && status["ready"] == true
        })
        .await;
    assert_eq!(container(&always, "main")["lastState"]["terminated"]["exitCode"], 137);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_end_pods() {
    let cluster = Cluster::start().await;
    let spec = json!({"restartPolicy": "Never", "activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "1000"]}]});
    let pod = cluster.pod("late", spec).await;
    let pod = cluster.until_phase(&pod, "Failed").await;
    assert_eq!(pod.status.unwrap().reason.as_deref(), Some("DeadlineExceeded"));
    cluster.stop().await;
}
