//! The command line as a user meets it: a cluster's whole life, looked at from outside by kubectl and the kernel. Of the
//! library it asks only where Spark lies on this machine.

mod child;
mod kubectl;
mod machine;
mod names;
mod program;
mod spark;
mod terminal;

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

#[test]
fn a_killed_node_takes_its_pods_along_and_keeps_every_object() {
    let cluster = Cluster::new("kill");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).succeeded();
    let marker = 600_000_000 + std::process::id();
    cluster.kubectl_reads(&["create", "-f", "-"], &pod(marker)).succeeded();
    cluster.kubectl(&["wait", "pod/one", "--for=condition=Ready", "--timeout=60s"]).succeeded();
    let process = machine::process_with(&format!("sleep\0{marker}")).expect("the pod is a process of this machine");

    machine::kill(cluster.node());
    machine::wait_for_end(process);

    cluster.run(&["up"]).succeeded();
    let kept = cluster.kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]).succeeded();
    assert_eq!(kept, "b");
    cluster.kubectl(&["wait", "pod/one", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s"]).succeeded();
    let code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
    assert_eq!(cluster.kubectl(&["get", "pod", "one", "-o", code]).succeeded(), "137");
}

#[test]
fn wrong_words_are_told_with_the_near_one() {
    let cluster = Cluster::new("words");
    let said = cluster.run(&["stauts"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("status"), "{}", said.err);
    let said = cluster.run(&["run", "hello-spark-submti"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("hello-spark-submit"), "{}", said.err);
    assert_eq!(said.out, "");
}
