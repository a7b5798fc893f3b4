//! Pools that grow and shrink: what is there, what is done, and what is said.

use super::*;
use k8s_openapi::api::core::v1::Taint;
use serde_json::{Value, json};
use tinderbox_api::pools::{Capacity, Nodes};
use tinderbox_client::{Plan, Step};

const MACHINE: Capacity = Capacity { cpu_millis: 8000, memory: 8 << 30, ephemeral_storage: 1 << 30, pods: 110 };

fn pools() -> Pools {
    let nodes: Nodes = serde_json::from_value(json!({"pools": [
        {"name": "base", "capacity": {"cpu": "2"}, "min": 1, "max": 2, "idleSeconds": 60},
        {"name": "big", "capacity": {"cpu": "4"}, "max": 3, "idleSeconds": 60,
            "taints": [{"key": "big", "effect": "NoSchedule"}]},
    ]}))
    .unwrap();
    Pools::new("c", &nodes, MACHINE)
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn node(pool: usize, index: usize) -> Arc<Node> {
    let pools = pools();
    let mut node = pools.template(pools.iter().nth(pool).unwrap(), index);
    let ready = json!([{"type": "Ready", "status": "True"}]);
    node.status.as_mut().unwrap().conditions = serde_json::from_value(ready).unwrap();
    Arc::new(node)
}

/// A pod that asks for CPUs; on a node, or told that it fits nowhere.
fn pod(name: &str, cpu: &str, on: Option<&str>, more: Value) -> Arc<Pod> {
    let main = json!({"name": "main", "resources": {"requests": {"cpu": cpu}}});
    let big = json!([{"key": "big", "operator": "Exists"}]);
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "web", "controller": true});
    let told = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]);
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web"}, "ownerReferences": [owner]},
        "spec": {"containers": [main], "tolerations": big},
        "status": {"phase": "Pending", "conditions": told},
    });
    if let Some(node) = on {
        pod["spec"]["nodeName"] = node.into();
        pod["status"] = json!({"phase": "Running"});
    }
    json_patch(&mut pod, &more);
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn json_patch(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            patch.iter().for_each(|(key, value)| json_patch(target.entry(key).or_insert(Value::Null), value));
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn observed(nodes: Vec<Arc<Node>>, pods: Vec<Arc<Pod>>) -> Observed {
    Observed { nodes, pods, budgets: Vec::new(), namespaces: Vec::new() }
}

fn said(plan: &Plan) -> Vec<String> {
    plan.notes.iter().map(|note| format!("{}: {}", note.reason, note.message)).collect()
}

fn done(plan: &Plan) -> Vec<String> {
    plan.steps().map(Step::describe).collect()
}

#[test]
fn a_pool_grows_for_what_fits_nowhere() {
    let waiting = ["a", "b", "c"].map(|name| pod(name, "1500m", None, json!({}))).to_vec();
    let there = observed(vec![node(0, 0)], [vec![pod("old", "1", Some("c-base-0"), json!({}))], waiting].concat());
    let mut memory = Memory::default();
    let plan = grow::plan(&there, &pools(), &mut memory);
    // One more of the first pool, which is full then; two of them fit together on one of the second.
    assert_eq!(done(&plan), ["create nodes c-base-1", "create nodes c-big-0"]);
    assert_eq!(
        said(&plan),
        [
            "ScaledUpGroup: Scale-up: setting group base size to 2 instead of 1 (max: 2)",
            "TriggeredScaleUp: pod triggered scale-up: [{base 1->2 (max: 2)}]",
            "ScaledUpGroup: Scale-up: setting group big size to 1 instead of 0 (max: 3)",
            "TriggeredScaleUp: pod triggered scale-up: [{big 0->1 (max: 3)}]",
            "TriggeredScaleUp: pod triggered scale-up: [{big 0->1 (max: 3)}]",
        ]
    );
    // The nodes are on their way: no more are made for the same pods.
    let coming = |pool, index| {
        let mut node = (*node(pool, index)).clone();
        node.status = None;
        Arc::new(node)
    };
    let there = observed(vec![node(0, 0), coming(0, 1), coming(1, 0)], there.pods.clone());
    let plan = grow::plan(&there, &pools(), &mut memory);
    assert_eq!((done(&plan), said(&plan)), (vec![], vec![]));
}

#[test]
fn what_would_not_help_is_said_once() {
    let there = observed(vec![node(0, 0), node(0, 1)], vec![pod("huge", "6", None, json!({}))]);
    let mut memory = Memory::default();
    let plan = grow::plan(&there, &pools(), &mut memory);
    let wanted = "NotTriggerScaleUp: pod didn't trigger scale-up: 1 Insufficient cpu, 1 max node group size reached";
    assert_eq!((done(&plan), said(&plan)), (vec![], vec![wanted.to_owned()]));
    assert_eq!(said(&grow::plan(&there, &pools(), &mut memory)), Vec::<String>::new());
}

#[test]
fn the_minimum_is_kept() {
    let plan = grow::plan(&observed(vec![], vec![]), &pools(), &mut Memory::default());
    assert_eq!((done(&plan), said(&plan)), (vec!["create nodes c-base-0".to_owned()], vec![]));
}

/// What is done and said at `seconds` after the nodes were first seen as they are.
fn later(there: &Observed, seconds: u64) -> (Vec<String>, Vec<String>) {
    let mut memory = Memory::default();
    shrink::plan(there, &pools(), &mut memory, now());
    let plans = shrink::plan(there, &pools(), &mut memory, after(now(), Duration::from_secs(seconds)));
    (plans.iter().flat_map(done).collect(), plans.iter().flat_map(said).collect())
}

#[test]
fn an_idle_node_leaves_in_the_end() {
    let there = observed(vec![node(0, 0), node(0, 1)], vec![]);
    assert_eq!(later(&there, 59), (vec![], vec![]));
    assert_eq!(
        later(&there, 60),
        (
            vec!["patch nodes c-base-1".to_owned()],
            vec![
                "ScaleDownEmpty: Scale-down: removing empty node \"c-base-1\"".to_owned(),
                "ScaleDown: marked the node as toBeDeleted/unschedulable".to_owned(),
            ]
        )
    );
    let only = observed(vec![node(0, 0)], vec![]);
    assert_eq!(later(&only, 600), (vec![], vec![]), "the minimum stays");
}

#[test]
fn pods_that_can_move_do_not_keep_a_node() {
    let on = |name: &str, more: Value| pod(name, "500m", Some("c-base-1"), more);
    // The other one stays in any case.
    let mut other = (*node(0, 0)).clone();
    let disabled = ("cluster-autoscaler.kubernetes.io/scale-down-disabled".to_owned(), "true".to_owned());
    other.metadata.annotations = Some([disabled].into());
    let other = Arc::new(other);
    let keeps = |pod: Arc<Pod>| later(&observed(vec![other.clone(), node(0, 1)], vec![pod]), 60).0.is_empty();
    assert!(!keeps(on("a", json!({}))));
    assert!(keeps(on(
        "busy",
        json!({"spec": {"containers": [{"name": "m", "resources": {"requests": {"cpu": "1"}}}]}})
    )));
    assert!(keeps(on("alone", json!({"metadata": {"ownerReferences": null}}))));
    assert!(keeps(on("local", json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}))));
    assert!(keeps(on(
        "precious",
        json!({"metadata": {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}})
    )));
    let daemon = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": true}]);
    assert!(!keeps(on("daemon", json!({"metadata": {"ownerReferences": daemon}}))));
    // Nothing is moved that would fit nowhere.
    let full = pod("full", "1800m", Some("c-base-0"), json!({}));
    assert_eq!(
        later(&observed(vec![other.clone(), node(0, 1)], vec![full, on("a", json!({}))]), 60).0,
        Vec::<String>::new()
    );
    let mut guarded = observed(vec![other.clone(), node(0, 1)], vec![on("a", json!({}))]);
    let budget = json!({"metadata": {"name": "b", "namespace": "default"}, "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}});
    guarded.budgets = vec![Arc::new(serde_json::from_value(budget).unwrap())];
    assert_eq!(later(&guarded, 60).0, Vec::<String>::new(), "a budget keeps it");
}

#[test]
fn a_node_that_leaves_is_emptied_first() {
    let mut leaving = (*node(0, 1)).clone();
    let taint = Taint { key: LEAVING.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    leaving.spec.get_or_insert_default().taints = Some(vec![taint]);
    let leaving = Arc::new(leaving);
    let there = observed(vec![node(0, 0), leaving.clone()], vec![pod("a", "500m", Some("c-base-1"), json!({}))]);
    assert_eq!(later(&there, 0).0, ["create pods/eviction default/a"]);
    let there = observed(vec![node(0, 0), leaving], vec![]);
    let (done, said) = later(&there, 0);
    assert_eq!(
        (done, said),
        (vec!["delete nodes c-base-1".to_owned()], vec!["ScaleDown: node removed by cluster autoscaler".to_owned()])
    );
}
