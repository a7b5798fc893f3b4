//! Volumes and environments: what a container finds, and how it changes.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn once(script: &str, mounts: Value, volumes: Value) -> Value {
    json!({"restartPolicy": "Never", "volumes": volumes,
        "containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", script], "volumeMounts": mounts}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_volume() {
    let cluster = Cluster::start().await;
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "conf"}, "data": {"a": "1", "b": "2"}})).await;
    cluster.create::<Secret>(json!({"metadata": {"name": "pass"}, "stringData": {"word": "geheim"}})).await;
    let host = cluster.state_dir().join("shared");
    let folder = cluster.state_dir().join("volumes/data");
    let volume = json!({"metadata": {"name": "pv"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": folder}, "claimRef": {"namespace": "default", "name": "claim"}}});
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    volumes.create(&PostParams::default(), &serde_json::from_value(volume).unwrap()).await.unwrap();
    let claim = json!({"metadata": {"name": "claim"}, "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "pv",
        "resources": {"requests": {"storage": "1Gi"}}}});
    cluster.create::<PersistentVolumeClaim>(claim).await;
    let bound = Patch::Merge(json!({"status": {"phase": "Bound"}}));
    let claims: Api<PersistentVolumeClaim> = cluster.api();
    claims.patch_status("claim", &PatchParams::default(), &bound).await.unwrap();
    let script = "set -e; cat /conf/a /items/deep/b; echo; cat /pass/word; echo; stat -Lc %a /pass/word; cat /down/labels; echo; \
        cat /down/cpu; echo; echo x > /disk/f; echo y > /memory/f; cat /disk/f /memory/f; stat -fc %T /memory; echo z > /host/f; \
        cat /sub; echo; echo kept > /claim/kept; ! sh -c 'echo no > /conf/a' 2>/dev/null; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; \
        test -s /var/run/secrets/kubernetes.io/serviceaccount/token; ls -A /part; echo end";
    let mounts = json!([
        {"name": "conf", "mountPath": "/conf"}, {"name": "items", "mountPath": "/items"}, {"name": "pass", "mountPath": "/pass"},
        {"name": "down", "mountPath": "/down"}, {"name": "disk", "mountPath": "/disk"}, {"name": "memory", "mountPath": "/memory"},
        {"name": "host", "mountPath": "/host"}, {"name": "conf", "mountPath": "/sub", "subPath": "b"},
        {"name": "claim", "mountPath": "/claim"}, {"name": "disk", "mountPath": "/part", "subPathExpr": "$(NAME)"}]);
    let list = json!([
        {"name": "conf", "configMap": {"name": "conf"}},
        {"name": "items", "configMap": {"name": "conf", "items": [{"key": "b", "path": "deep/b"}]}},
        {"name": "pass", "secret": {"secretName": "pass", "defaultMode": 0o440}},
        {"name": "down", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}}]}},
        {"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "host", "hostPath": {"path": host, "type": "DirectoryOrCreate"}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}}]);
    std::fs::create_dir(&host).unwrap();
    std::fs::set_permissions(&host, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut spec = once(script, mounts, list);
    spec["containers"][0]["env"] = json!([{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    spec["containers"][0]["resources"] = json!({"limits": {"cpu": "1500m"}});
    let pod = cluster.pod_with(json!({"name": "all", "labels": {"app": "x"}}), spec).await;
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    let log = cluster.logs(&pod, "main").await.unwrap();
    for wanted in ["12\ngeheim\n440\napp=\"x\"\n1500\nx\ny\ntmpfs\n2\n", "default\nend\n"] {
        assert!(log.contains(wanted), "{log}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("kept")).unwrap(), "kept\n");
    assert_eq!(std::fs::read_to_string(host.join("f")).unwrap(), "z\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_waits_for_its_config_map_and_follows_it() {
    let cluster = Cluster::start().await;
    let script = "cat /conf/a; until grep -q new /conf/a; do sleep 0.05; done; cat /conf/a";
    let spec = once(
        script,
        json!([{"name": "conf", "mountPath": "/conf"}]),
        json!([{"name": "conf", "configMap": {"name": "late"}}]),
    );
    let pod = cluster.pod("patient", spec).await;
    let event = cluster.until_event(&pod, "FailedMount").await;
    let text = event.message.unwrap();
    assert_eq!(text, "MountVolume.SetUp failed for volume \"conf\" : configmap \"late\" not found");
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "late"}, "data": {"a": "old\n"}})).await;
    cluster.until_log(&pod, "old\n").await;
    let patch = Patch::Merge(json!({"data": {"a": "new\n"}}));
    cluster.api::<ConfigMap>().patch("late", &PatchParams::default(), &patch).await.unwrap();
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    assert_eq!(cluster.logs(&pod, "main").await.unwrap(), "old\nnew\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn environments() {
    let cluster = Cluster::start().await;
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "conf"}, "data": {"A": "1"}})).await;
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox",
        "command": ["sh", "-c", "echo $(GREETING) \"$P_A $IP $KUBERNETES_SERVICE_HOST $HOSTNAME\"; echo \"$1\"", "sh"], "args": ["$(GREETING)!"],
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "conf"}}],
        "env": [{"name": "GREETING", "value": "hello"}, {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}]});
    let pod = cluster.pod("told", spec).await;
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    let address = pod.status.as_ref().unwrap().pod_ip.clone().unwrap();
    let log = cluster.logs(&pod, "main").await.unwrap();
    assert_eq!(log, format!("hello 1 {address} 10.96.0.1 told\nhello!\n"));
    let missing = json!({"containers": [{"name": "main", "image": "busybox",
        "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}], "command": ["sleep", "1000"]}]});
    let pod = cluster.pod("lacking", missing).await;
    let pod = cluster
        .until(&pod, "says what it lacks", |p| {
            crate::cluster::container(p, "main")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
        })
        .await;
    let waiting = &crate::cluster::container(&pod, "main")["state"]["waiting"];
    assert_eq!(waiting["message"], "secret \"none\" not found");
    cluster.create::<Secret>(json!({"metadata": {"name": "none"}, "stringData": {"k": "v"}})).await;
    cluster.until_phase(&pod, "Running").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_groups() {
    let cluster = Cluster::start().await;
    let mut spec = once(
        "id -u; id -g; id -G; touch /data/f && stat -c '%u %g' /data/f; touch /etc/x 2>/dev/null || echo read-only",
        json!([{"name": "data", "mountPath": "/data"}]),
        json!([{"name": "data", "emptyDir": {}}]),
    );
    spec["securityContext"] =
        json!({"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 3000, "supplementalGroups": [4000]});
    spec["containers"][0]["securityContext"] =
        json!({"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    let pod = cluster.pod("who", spec).await;
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    let log = cluster.logs(&pod, "main").await.unwrap();
    assert_eq!(log, "1000\n2000\n2000 3000 4000\n1000 3000\nread-only\n");
    cluster.stop().await;
}
