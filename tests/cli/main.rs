//! The command line as a user meets it: a cluster's whole life, looked at from outside by kubectl and the kernel. Of the
//! library it asks only where Spark lies on this machine.

mod child;
mod conformance;
mod console;
mod data;
mod demo;
mod existing;
mod explain;
mod gitops;
mod grafana;
mod images;
mod ingress;
mod interrupts;
mod jobs;
mod kind;
mod kubectl;
mod load;
mod machine;
mod mistakes;
mod monitoring;
mod names;
mod nodes;
mod output;
mod program;
mod refusals;
mod sealed;
mod snapshots;
mod spark;
mod state;
mod terminal;
mod verify;
mod work;
mod workflows;

use program::Cluster;
use serde_json::json;

/// A pod whose process can be told from all others on the machine.
fn pod(marker: u32) -> String {
    let main = json!({"name": "main", "image": "busybox", "command": ["sh", "-c", format!("echo hello; exec sleep {marker}")]});
    let spec = json!({"restartPolicy": "Never", "containers": [main]});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}).to_string()
}

#[test]
fn a_life_leaves_nothing_behind() {
    let mounts = machine::mounts();
    let cluster = Cluster::new("life");
    assert!(!cluster.kubeconfig().exists());

    let up = cluster.run(&["up"]).succeeded();
    assert!(up.contains("API         https://127.0.0.1:"), "{up}");
    let again = cluster.run(&["up"]).succeeded();
    assert!(again.contains("is up"), "{again}");
    assert_eq!(cluster.kubectl(&["get", "nodes", "-o", "name"]).succeeded(), format!("node/{}-0\n", cluster.name));

    let marker = 500_000_000 + std::process::id();
    cluster.kubectl_reads(&["create", "-f", "-"], &pod(marker)).succeeded();
    cluster.kubectl(&["wait", "pod/one", "--for=condition=Ready", "--timeout=60s"]).succeeded();
    assert_eq!(cluster.kubectl(&["logs", "one"]).succeeded(), "hello\n");
    assert_eq!(cluster.kubectl(&["exec", "one", "--", "hostname"]).succeeded(), "one\n");
    // The node's own sparing of memory is no limit of its pods.
    let pages = cluster.kubectl(&["exec", "one", "--", "grep", "THP_enabled", "/proc/1/status"]).succeeded();
    assert_eq!(pages, "THP_enabled:\t1\n");
    let process = machine::process_with(&format!("sleep\0{marker}")).expect("the pod is a process of this machine");

    let port = cluster.port();
    assert!(machine::listens(port));
    cluster.run(&["down"]).succeeded();
    machine::wait_for_end(process);
    assert!(!machine::listens(port), "port {port} is still open");
    assert_eq!(machine::process_with(&cluster.name), None);
    assert_eq!(machine::mounts(), mounts);
    assert_eq!(cluster.left(), Vec::<String>::new());
    cluster.run(&["down"]).succeeded();
}

/// A job that works for ever the first time, and is done at once when it finds what it wrote then.
const JOB: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec:
  template:
    spec:
      restartPolicy: Never
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
      containers:
      - name: main
        image: busybox
        command: [sh, -c, "test -e /data/begun && exit 0; touch /data/begun; exec sleep MARKER"]
        volumeMounts: [{name: data, mountPath: /data}]
"#;

#[test]
fn a_killed_node_takes_its_pods_along_and_keeps_every_object() {
    let cluster = Cluster::new("kill");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).succeeded();
    let [marker, marker_of_job] = [600_000_000, 700_000_000].map(|base| base + std::process::id());
    cluster.kubectl_reads(&["create", "-f", "-"], &pod(marker)).succeeded();
    cluster.kubectl_reads(&["create", "-f", "-"], &JOB.replace("MARKER", &marker_of_job.to_string())).succeeded();
    cluster.kubectl(&["wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s"]).succeeded();
    cluster.kubectl(&["wait", "job/work", "--for=jsonpath={.status.ready}=1", "--timeout=60s"]).succeeded();
    let process = |marker: u32| machine::process_with(&format!("sleep\0{marker}"));
    let pods = [marker, marker_of_job].map(|marker| process(marker).expect("the pod is a process of this machine"));
    let names = |kind: &str| cluster.kubectl(&["get", kind, "-A", "-o", "name"]).succeeded();
    let kinds =
        ["configmaps", "secrets", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "jobs", "pods"];
    let before = kinds.map(names);

    machine::kill(cluster.node());
    pods.into_iter().for_each(machine::wait_for_end);

    cluster.run(&["up"]).succeeded();
    let kept = cluster.kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]).succeeded();
    assert_eq!(kept, "b");
    cluster.kubectl(&["wait", "pod/one", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s"]).succeeded();
    let code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
    assert_eq!(cluster.kubectl(&["get", "pod", "one", "-o", code]).succeeded(), "137");
    cluster.kubectl(&["wait", "job/work", "--for=condition=Complete", "--timeout=60s"]).succeeded();
    let counts = "jsonpath={.status.failed} {.status.succeeded}";
    assert_eq!(cluster.kubectl(&["get", "job", "work", "-o", counts]).succeeded(), "1 1");
    for (before, after) in before.iter().zip(kinds.map(names)) {
        before.lines().for_each(|name| assert!(after.lines().any(|after| after == name), "{name} is lost"));
    }
}
