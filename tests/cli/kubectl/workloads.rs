//! Deployments brought up, scaled, waited for and taken away.

use serde_json::{Value, json};

use crate::program::Cluster;

/// A Deployment whose pods become ready by a file in them.
fn web(replicas: u32) -> Value {
    let probe = json!({"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1});
    let main = json!({"name": "main", "image": "busybox", "command": ["sleep", "1000"], "readinessProbe": probe});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [main]}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}})
}

fn pods(cluster: &Cluster) -> Vec<String> {
    cluster.out(&["get", "pods", "-l", "app=web", "-o", "name"]).lines().map(str::to_owned).collect()
}

fn make_ready(cluster: &Cluster, pod: &str) {
    cluster.out(&["wait", pod, "--for=jsonpath={.status.phase}=Running", "--timeout=60s"]);
    cluster.out(&["exec", pod, "--", "touch", "/tmp/ready"]);
}

#[test]
fn a_rollout_is_followed_until_it_is_up_and_then_scaled() {
    let cluster = Cluster::up("rollout");
    cluster.apply(&web(2));
    let rollout = cluster.begin(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let waits = |done: u32| format!("rollout to finish: {done} of 2 updated replicas are available...");
    rollout.until(&waits(0));
    make_ready(&cluster, &pods(&cluster)[0]);
    rollout.until(&waits(1));
    make_ready(&cluster, &pods(&cluster)[1]);
    let (rest, code) = rollout.end();
    assert_eq!((rest.last().map(String::as_str), code), (Some("deployment \"web\" successfully rolled out"), Some(0)));
    let ready = cluster.out(&["wait", "deployment/web", "--for=condition=Available", "--timeout=60s"]);
    assert_eq!(ready, "deployment.apps/web condition met\n");

    let refused = cluster.kubectl(&["scale", "deployment/web", "--replicas=3", "--current-replicas=7"]);
    assert!(refused.err.contains("Expected replicas to be 7, was 2"), "{refused:?}");
    let scaled = cluster.out(&["scale", "deployment/web", "--replicas=3", "--current-replicas=2"]);
    assert_eq!(scaled, "deployment.apps/web scaled\n");
    cluster.out(&["wait", "deployment/web", "--for=jsonpath={.status.replicas}=3", "--timeout=60s"]);
    assert_eq!(pods(&cluster).len(), 3);
    cluster.out(&["scale", "deployment/web", "--replicas=1"]);
    cluster.out(&["wait", "deployment/web", "--for=jsonpath={.status.replicas}=1", "--timeout=60s"]);
    let goes = cluster.json(&["get", "pods", "-l", "app=web"]);
    let stay = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let stay: Vec<&Value> = goes["items"].as_array().expect("a list").iter().filter(stay).collect();
    assert_eq!(stay.len(), 1, "{goes}");

    cluster.out(&["set", "env", "deployment/web", "COLOUR=green"]);
    let undone = cluster.begin(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    undone.until("Waiting for deployment \"web\" rollout to finish: 1 old replicas are pending termination...");
    assert_eq!(cluster.out(&["rollout", "undo", "deployment/web"]), "deployment.apps/web rolled back\n");
    assert_eq!(undone.end().1, Some(0));
    let history = cluster.out(&["rollout", "history", "deployment/web"]);
    assert_eq!(history.lines().filter(|line| line.ends_with("<none>")).count(), 2, "{history}");
    assert!(history.contains("\n3 "), "{history}");
}

#[test]
fn a_foreground_delete_ends_with_the_owner() {
    let cluster = Cluster::up("foreground");
    let mut wanted = web(1);
    wanted["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = Value::Null;
    cluster.apply(&wanted);
    cluster.out(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let pod = pods(&cluster).remove(0);
    let hold = |finalizers: Value| {
        let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
        cluster.out(&["patch", &pod, "--type=merge", "-p", &patch]);
    };
    hold(json!(["tests.example/hold"]));
    let mut going = cluster.begin(&["delete", "deployment", "web", "--cascade=foreground"]);
    assert_eq!(going.line(), "deployment.apps \"web\" deleted");
    cluster.out(&["wait", &pod, "--for=jsonpath={.metadata.deletionTimestamp}", "--timeout=60s"]);
    for owner in ["deployments", "replicasets"] {
        let left = cluster.json(&["get", owner]);
        let metadata = &left["items"][0]["metadata"];
        assert_eq!(metadata["finalizers"], json!(["foregroundDeletion"]), "{owner}");
        assert!(metadata["deletionTimestamp"].is_string(), "{owner}");
    }
    assert!(going.runs(), "it waits for what blocks it");
    hold(Value::Null);
    assert_eq!(going.end(), (Vec::new(), Some(0)));
    assert_eq!(cluster.out(&["get", "deployments,replicasets,pods", "-o", "name"]), "");
}

#[test]
fn waits_end_when_it_is_so() {
    let cluster = Cluster::up("waits");
    let created = cluster.begin(&["wait", "pod/late", "--for=create", "--timeout=60s"]);
    let succeeded = ["wait", "pod/late", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"];
    cluster.script("late", &super::wait_for("/tmp/go"));
    assert_eq!(created.end(), (vec!["pod/late condition met".to_owned()], Some(0)));
    let late = cluster.kubectl(&["wait", "pod/late", "--for=condition=Initialized=false", "--timeout=1s"]);
    assert_eq!(late.err, "error: timed out waiting for the condition on pods/late\n");
    let ends = cluster.begin(&succeeded);
    cluster.out(&["exec", "late", "--", "touch", "/tmp/go"]);
    assert_eq!(ends.end(), (vec!["pod/late condition met".to_owned()], Some(0)));
    // With its requests in its log, so that it is known to wait already.
    let gone = cluster.begin(&["wait", "pod/late", "--for=delete", "--timeout=60s", "-v=6"]);
    gone.until("watch=true");
    cluster.out(&["delete", "pod", "late"]);
    let (said, code) = gone.end();
    assert!(code == Some(0) && said.contains(&"pod/late condition met".to_owned()), "{code:?} {said:?}");
}

#[test]
fn a_node_is_cordoned_drained_and_taken_back() {
    let cluster = Cluster::up("drain");
    let node = format!("{}-0", cluster.name);
    let mut wanted = web(2);
    wanted["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = Value::Null;
    cluster.apply(&wanted);
    cluster.out(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let before = pods(&cluster);
    let drained = cluster.out(&["drain", &node, "--ignore-daemonsets"]);
    assert!(before.iter().all(|pod| drained.contains(&format!("{pod} evicted"))), "{drained}");
    assert!(drained.ends_with(&format!("node/{node} drained\n")), "{drained}");
    let status = cluster.out(&["get", "node", &node]);
    assert!(status.contains("Ready,SchedulingDisabled"), "{status}");
    let taint = r#"--for=jsonpath={.spec.taints[?(@.key=="node.kubernetes.io/unschedulable")].effect}=NoSchedule"#;
    cluster.out(&["wait", "node", &node, taint, "--timeout=60s"]);
    let waits = "--for=jsonpath={.status.conditions[?(@.type==\"PodScheduled\")].reason}=Unschedulable";
    for pod in pods(&cluster) {
        assert!(!before.contains(&pod));
        cluster.out(&["wait", &pod, waits, "--timeout=60s"]);
    }
    cluster.out(&["uncordon", &node]);
    cluster.out(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert_eq!(cluster.json(&["get", "node", &node])["spec"]["taints"], Value::Null);
}
