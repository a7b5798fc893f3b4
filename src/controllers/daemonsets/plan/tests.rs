//! Whole plans of DaemonSets.

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn set(strategy: Value) -> DaemonSet {
    let set = json!({
        "metadata": {"name": "log", "namespace": "n", "uid": "set", "generation": 1, "resourceVersion": "9",
            "annotations": {"deprecated.daemonset.template.generation": "4"}},
        "spec": {
            "selector": {"matchLabels": {"app": "log"}},
            "template": {"metadata": {"labels": {"app": "log"}}, "spec": {
                "containers": [{"name": "c", "image": "one"}], "nodeSelector": {"pool": "a"},
            }},
            "updateStrategy": strategy,
        },
    });
    serde_json::from_value(set).unwrap()
}

fn rolling(surge: i32, unavailable: i32) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

fn node(name: &str, pool: &str, taints: Value) -> Arc<Node> {
    let node = json!({"metadata": {"name": name, "labels": {"pool": pool}}, "spec": {"taints": taints}});
    Arc::new(serde_json::from_value(node).unwrap())
}

fn nodes(names: &[&str]) -> Vec<Arc<Node>> {
    names.iter().map(|name| node(name, "a", json!([]))).collect()
}

/// A pod on a node: `ready`, `running` or `failed`.
fn pod(name: &str, node: &str, hash: &str, state: &str) -> Arc<Pod> {
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "n", "uid": name, "labels": {"app": "log", "controller-revision-hash": hash},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "log", "uid": "set", "controller": true}],
        },
        "spec": {"nodeName": node, "containers": []},
        "status": {"phase": if state == "failed" { "Failed" } else { "Running" }},
    });
    if state == "ready" {
        pod["status"]["conditions"] =
            json!([{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}]);
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn planned(set: &DaemonSet, nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> Wish {
    plan(set, &Seen { pods, nodes, revisions: &[], held: &BTreeMap::new() }, NOW).unwrap()
}

/// The hash of the present template.
fn hash(set: &DaemonSet) -> String {
    let wish = planned(set, &[], &[]);
    let revision = wish.plan.steps().find(|step| step.resource.kind == "ControllerRevision").unwrap();
    revision.body()["metadata"]["labels"]["controller-revision-hash"].as_str().unwrap().to_owned()
}

fn acts(wish: &Wish) -> Vec<String> {
    wish.plan.steps().filter(|step| step.resource.kind == "Pod").map(Step::describe).collect()
}

fn created_on(wish: &Wish) -> Vec<Value> {
    let place = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    wish.plan.steps().filter_map(|step| step.body().pointer(place).cloned()).collect()
}

#[test]
fn every_node_that_fits_gets_a_pod() {
    let nodes = [
        node("a", "a", json!([])),
        node("cordoned", "a", json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])),
        node("other", "b", json!([])),
        node("tainted", "a", json!([{"key": "k", "effect": "NoSchedule"}])),
    ];
    let set = set(rolling(0, 1));
    let wish = planned(&set, &nodes, &[]);
    assert_eq!(created_on(&wish), ["a", "cordoned"]);
    let made = wish.plan.steps().last().unwrap().body();
    assert_eq!(
        made["metadata"]["labels"],
        json!({"app": "log", "controller-revision-hash": hash(&set), "pod-template-generation": "4"})
    );
    assert_eq!(made["spec"]["tolerations"].as_array().unwrap().len(), 6);
    let status = wish.plan.steps().find(|step| step.describe().contains("/status")).unwrap().body()["status"].clone();
    assert_eq!((&status["desiredNumberScheduled"], &status["numberUnavailable"]), (&json!(2), &json!(2)));
}

#[test]
fn pods_stay_where_they_may_not_be_made_and_go_where_they_may_not_stay() {
    let taint = |effect: &str| json!([{"key": "k", "effect": effect}]);
    let nodes = [
        node("schedule", "a", taint("NoSchedule")),
        node("execute", "a", taint("NoExecute")),
        node("other", "b", json!([])),
    ];
    let set = set(rolling(0, 1));
    let pods = ["schedule", "execute", "other"].map(|name| pod(name, name, &hash(&set), "ready"));
    let wish = planned(&set, &nodes, &pods);
    assert_eq!(acts(&wish), ["delete pods n/execute", "delete pods n/other"]);
    let status = wish.plan.steps().find(|step| step.describe().contains("/status")).unwrap().body()["status"].clone();
    assert_eq!(status["numberMisscheduled"], 3);
}

#[test]
fn failed_pods_are_replaced_after_a_pause() {
    let set = set(rolling(0, 1));
    let (nodes, pods) = (nodes(&["a"]), [pod("p", "a", &hash(&set), "failed")]);
    let wish = planned(&set, &nodes, &pods);
    assert_eq!((acts(&wish), wish.failed), (vec!["delete pods n/p".to_owned()], vec!["a".to_owned()]));
    assert_eq!(wish.plan.notes[0].message, "Found failed daemon pod n/p on node a, will try to kill it");
    let held = BTreeMap::from([("a".to_owned(), Timestamp::MAX)]);
    let wish = plan(&set, &Seen { pods: &pods, nodes: &nodes, revisions: &[], held: &held }, NOW).unwrap();
    assert_eq!((acts(&wish), wish.plan.again), (vec![], Some(Timestamp::MAX)));
}

#[test]
fn old_pods_go_within_what_may_be_unavailable() {
    let names = ["a", "b", "c"];
    for (unavailable, states, wanted) in [
        (1, ["old ready", "old ready", "old ready"], vec!["a"]),
        (2, ["old ready", "old ready", "old ready"], vec!["a", "b"]),
        (1, ["new running", "old ready", "old ready"], vec![]),
        (1, ["new ready", "old ready", "old ready"], vec!["b"]),
        (1, ["old running", "old ready", "old ready"], vec!["a"]),
    ] {
        let set = set(rolling(0, unavailable));
        let wish = planned(&set, &nodes(&names), &standing(&set, &names, &states));
        assert_eq!(
            acts(&wish),
            wanted.iter().map(|name| format!("delete pods n/{name}")).collect::<Vec<_>>(),
            "{states:?}"
        );
    }
    let set = set(json!({"type": "OnDelete"}));
    let wish = planned(&set, &nodes(&names), &standing(&set, &names, &["old ready"; 3]));
    assert_eq!(acts(&wish), [""; 0]);
}

fn standing(set: &DaemonSet, names: &[&str], states: &[&str]) -> Vec<Arc<Pod>> {
    let present = hash(set);
    let pod = |(name, words): (&&str, &&str)| {
        let (age, state) = words.split_once(' ').unwrap();
        pod(name, name, if age == "new" { &present } else { "old" }, state)
    };
    names.iter().zip(states).map(pod).collect()
}

#[test]
fn with_a_surge_the_new_pod_comes_first() {
    let set = set(rolling(1, 0));
    let (names, present) = (["a", "b"], hash(&set));
    let old = standing(&set, &names, &["old ready"; 2]);
    let wish = planned(&set, &nodes(&names), &old);
    assert_eq!((created_on(&wish), acts(&wish).len()), (vec![json!("a")], 1));
    for (state, wanted) in [("running", vec![]), ("ready", vec!["delete pods n/a"])] {
        let pods = [old.clone(), vec![pod("a2", "a", &present, state)]].concat();
        assert_eq!(acts(&planned(&set, &nodes(&names), &pods)), wanted, "{state}");
    }
}
