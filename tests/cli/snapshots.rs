//! Snapshots: a cluster at work is kept as it was at one moment, and comes back beside itself under another name.

use std::process::Command;

use serde_json::json;

use crate::program::{Cluster, program};

/// Writes the same number into one file and then into another, as fast as it can, and never empties one; what it finds at its start
/// it keeps.
const WRITER: &str = "cd /data; for file in a b; do [ ! -e $file ] || cp $file seen-$file; done; \
                      n=0; while :; do echo $n 1<>a; echo $n 1<>b; n=$((n + 1)); done";

fn objects() -> String {
    let container = json!({"name": "main", "image": "busybox", "command": ["sh", "-c", WRITER],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"exec": {"command": ["test", "-s", "/data/b"]}, "periodSeconds": 1}});
    let labels = json!({"app": "writer"});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "writer"}, "spec": {
        "serviceName": "writer", "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}});
    let done = json!({"name": "main", "image": "busybox", "command": ["echo", "this was said before"]});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "done"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [done]}}}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}});
    json!({"apiVersion": "v1", "kind": "List", "items": [map, job, set]}).to_string()
}

fn ready(cluster: &Cluster) {
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}{\"\\n\"}";
    cluster.watch(&["get", "pod", "writer-0", "-o", ready], |line| line == "True");
}

fn number(cluster: &Cluster, file: &str) -> u64 {
    let text = cluster.kubectl(&["exec", "writer-0", "--", "cat", &format!("/data/{file}")]).succeeded();
    text.trim().parse().unwrap_or_else(|_| panic!("{file}: {text:?}"))
}

#[test]
fn a_cluster_at_work_is_kept_and_comes_back_beside_itself() {
    let mut cluster = Cluster::of_own_project("snap");
    assert_eq!(cluster.run(&["snapshot", "list"]).succeeded(), "there are no snapshots\n");
    let told = cluster.tidy(&cluster.run(&["snapshot", "save", "monday"]).failed(2));
    assert_eq!(told, "error: there is no cluster NAME to take a snapshot of\nhint: `cargo xtask up` brings it up");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl_reads(&["create", "-f", "-"], &objects()).succeeded();
    cluster.kubectl(&["wait", "job/done", "--for=condition=Complete", "--timeout=60s"]).succeeded();
    cluster.kubectl(&["wait", "pod/writer-0", "--for=condition=Ready", "--timeout=60s"]).succeeded();

    let said = cluster.run(&["snapshot", "save", "monday"]).succeeded();
    assert!(cluster.tidy(&said).starts_with("snapshot monday of cluster NAME: "), "{said}");
    let told = cluster.run(&["snapshot", "save", "monday"]).failed(2);
    assert!(told.starts_with("error: there is a snapshot \"monday\" already\n"), "{told}");
    let all = cluster.run(&["snapshot", "list", "-o", "json"]).json(0);
    assert_eq!((&all[0]["name"], &all[0]["cluster"], &all[1]), (&json!("monday"), &json!(cluster.name), &json!(null)));
    let told = cluster.tidy(&cluster.run(&["snapshot", "restore", "monday"]).failed(2));
    assert!(told.contains("error: there is a cluster NAME already\nhint: take it away with "), "{told}");
    // It goes on where it was.
    let before = number(&cluster, "b");
    while number(&cluster, "b") == before {}

    let first = std::mem::replace(&mut cluster.name, format!("other-{}", std::process::id()));
    let restored = cluster.run(&["snapshot", "restore", "monday", "-o", "json"]).json(0);
    assert_eq!((&restored["up"]["arrival"], &restored["up"]["cluster"]), (&json!("continued"), &json!(cluster.name)));
    let nodes = cluster.kubectl(&["get", "nodes", "-o", "name"]).succeeded();
    assert_eq!(nodes, format!("node/{}-0\n", cluster.name));
    assert_eq!(cluster.kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]).succeeded(), "b");
    assert_eq!(cluster.kubectl(&["logs", "job/done"]).succeeded(), "this was said before\n");
    let phase = "jsonpath={.items[*].status.phase}";
    assert_eq!(cluster.kubectl(&["get", "pods", "-l", "job-name=done", "-o", phase]).succeeded(), "Succeeded");
    ready(&cluster);
    // Of one moment: nothing was written between the two copies.
    let [a, b] = ["seen-a", "seen-b"].map(|file| number(&cluster, file));
    assert!(a == b || a == b + 1, "{a} and {b}");
    let node = cluster.kubectl(&["get", "pod", "writer-0", "-o", "jsonpath={.spec.nodeName}"]).succeeded();
    assert_eq!(node, format!("{}-0", cluster.name));
    // And the other one still has its own volume.
    let other = std::mem::replace(&mut cluster.name, first);
    assert!(!cluster.kubectl(&["exec", "writer-0", "--", "test", "-e", "/data/seen-a"]).err.is_empty());
    cluster.run(&["down"]).succeeded();
    cluster.name = other;
    assert_eq!(cluster.run(&["snapshot", "rm", "monday"]).succeeded(), "snapshot monday is gone\n");
    let told = cluster.run(&["snapshot", "restore", "monday"]).failed(2);
    assert!(told.ends_with("hint: there are none: `cargo xtask snapshot save NAME` takes one\n"), "{told}");
    number(&cluster, "b");
}

#[test]
fn what_is_cut_off_leaves_nothing_and_nobody_stands_still() {
    let cluster = Cluster::of_own_project("cut");
    cluster.run(&["up"]).succeeded();
    // Enough of it for a while.
    let many = cluster.folder().join("volumes/many");
    std::fs::create_dir(&many).expect("made");
    (0..4000).for_each(|number| std::fs::write(many.join(number.to_string()), "x").expect("written"));
    let state = || {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", cluster.node())).expect("it runs");
        text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).expect("a state")
    };
    let begun = cluster.start(&["snapshot", "save", "killed"]);
    while state() != 'T' {
        std::thread::yield_now();
    }
    begun.kill();
    assert_eq!(begun.end().code, None);
    while state() == 'T' {
        std::thread::yield_now();
    }
    cluster.kubectl(&["get", "nodes"]).succeeded();
    assert_eq!(cluster.run(&["snapshot", "list"]).succeeded(), "there are no snapshots\n");

    // Too little space, in namespaces of the command's own, from where it could not stop the node.
    crate::machine::kill(cluster.node());
    let folder = cluster.home().join("snapshots");
    let script = format!(
        "mount -t tmpfs -o size=64k tmpfs {0}; \"$@\" -q snapshot save full && exit 0; code=$?; ls {0}; exit $code",
        folder.display()
    );
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-uc", &script, "sh"]).arg(program());
    cluster.aim(&mut command);
    let said = crate::program::Said::from(command.output().expect("unshare runs"));
    assert_eq!((said.code, said.out.as_str()), (Some(3), "lock\n"), "{said:?}");
    assert!(said.err.ends_with("No space left on device\nhint: free some space on that file system\n"), "{said:?}");
    cluster.run(&["snapshot", "save", "whole"]).succeeded();
    let names: Vec<_> = std::fs::read_dir(&folder).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert!(names.iter().all(|name| name == "lock" || name == "whole"), "{names:?}");
    cluster.run(&["snapshot", "rm", "whole"]).succeeded();
    cluster.run(&["down"]).succeeded();
    cluster.assert_gone();
}
