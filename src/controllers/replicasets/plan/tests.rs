//! Whole plans of ReplicaSets.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;
use serde_json::{Value, json};

use super::*;

fn set(replicas: i32) -> ReplicaSet {
    let set = json!({
        "metadata": {"name": "web", "namespace": "n", "uid": "set", "generation": 1, "resourceVersion": "9"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}},
        },
    });
    serde_json::from_value(set).unwrap_or_default()
}

fn pod(name: &str, change: Value) -> Arc<Pod> {
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "n", "uid": name, "resourceVersion": "3", "labels": {"app": "web"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set", "controller": true}],
        },
        "spec": {"nodeName": "node-0", "containers": []},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}]},
    });
    json_patch(&mut pod, &change);
    Arc::new(serde_json::from_value(pod).unwrap_or_default())
}

fn json_patch(target: &mut Value, change: &Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    target.remove(key);
                } else {
                    json_patch(target.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (target, change) => *target = change.clone(),
    }
}

fn words<K: Keeper>(set: &K, pods: &[Arc<Pod>]) -> Vec<Vec<String>> {
    let plan = plan(set, pods, Timestamp::UNIX_EPOCH).unwrap_or_default();
    plan.stages.iter().map(|stage| stage.iter().map(Step::describe).collect()).collect()
}

#[test]
fn makes_what_is_missing_from_the_template() {
    let plan = plan(&set(2), &[], Timestamp::UNIX_EPOCH).unwrap_or_default();
    let steps: Vec<String> = plan.steps().map(Step::describe).collect();
    assert_eq!(steps, ["patch replicasets/status n/web", "create pods n/web-", "create pods n/web-"]);
    let made = plan.steps().last().map(|step| step.body().clone()).unwrap_or_default();
    assert_eq!(
        made["metadata"],
        json!({
            "generateName": "web-", "namespace": "n", "labels": {"app": "web"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set",
                "controller": true, "blockOwnerDeletion": true}],
        })
    );
    let status = plan.steps().next().map(|step| step.body()["status"].clone());
    assert_eq!(status, Some(json!({"replicas": 0, "observedGeneration": 1})));
}

#[test]
fn deletes_the_least_useful_first() {
    let pods = [
        pod("old", json!({"metadata": {"creationTimestamp": "1969-01-01T00:00:00Z"}})),
        pod("new", json!({"metadata": {"creationTimestamp": "1969-06-01T00:00:00Z"}})),
        pod("unready", json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}})),
        pod("pending", json!({"status": {"phase": "Pending", "conditions": null}})),
        pod("homeless", json!({"spec": {"nodeName": null}, "status": {"phase": "Pending", "conditions": null}})),
        pod("cheap", json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}})),
    ];
    let deleted = words(&set(1), &pods).pop().unwrap_or_default();
    let order = ["homeless", "pending", "unready", "cheap", "new"];
    assert_eq!(deleted, order.map(|name| format!("delete pods n/{name}")));
}

#[test]
fn finished_and_leaving_pods_are_replaced() {
    let pods = [
        pod("failed", json!({"status": {"phase": "Failed"}})),
        pod("leaving", json!({"metadata": {"deletionTimestamp": "1970-01-01T00:00:00Z"}})),
        pod("stays", json!({})),
    ];
    assert_eq!(words(&set(2), &pods)[1], ["create pods n/web-"]);
}

#[test]
fn adopts_and_releases_first() {
    let orphan = pod("orphan", json!({"metadata": {"ownerReferences": null}}));
    let stray = pod("stray", json!({"metadata": {"labels": {"app": "other"}}}));
    let foreign = pod(
        "foreign",
        json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x", "controller": true}]}}),
    );
    assert_eq!(
        words(&set(1), &[orphan, stray, foreign]),
        [["patch pods n/orphan", "patch pods n/stray", "patch replicasets/status n/web"]]
    );
}

#[test]
fn availability_waits_for_min_ready_seconds() {
    let mut set = set(1);
    if let Some(spec) = set.spec.as_mut() {
        spec.min_ready_seconds = Some(30);
    }
    let plan = plan(&set, &[pod("p", json!({}))], Timestamp::UNIX_EPOCH).unwrap_or_default();
    assert_eq!(plan.again.map(|at| at.as_second()), Some(30));
    let status = plan.steps().next().map(|step| step.body()["status"].clone()).unwrap_or_default();
    assert_eq!((status.get("readyReplicas"), status.get("availableReplicas")), (Some(&json!(1)), None));
}

#[test]
fn a_refused_pod_is_told_once_and_forgotten_when_all_are_there() {
    let mut set = set(1);
    let step = failed(&set, "no room", Timestamp::UNIX_EPOCH);
    let status = step.map(|step| step.body()["status"].clone()).unwrap_or_default();
    assert_eq!(status["conditions"][0]["reason"], "FailedCreate");
    set.status = serde_json::from_value(json!({"replicas": 0, "conditions": status["conditions"]})).ok();
    assert_eq!(failed(&set, "no room", Timestamp::UNIX_EPOCH), None);
    let plan = plan(&set, &[pod("p", json!({}))], Timestamp::UNIX_EPOCH).unwrap_or_default();
    let status = plan.steps().next().map(|step| step.body()["status"].clone()).unwrap_or_default();
    assert_eq!(status["conditions"], Value::Null);
}

#[test]
fn a_controller_of_the_older_form_plans_the_same() {
    let older: ReplicationController = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "n", "uid": "set", "generation": 4},
        "spec": {"replicas": 1, "selector": {"app": "web"}, "template": {"metadata": {"labels": {"app": "web"}}}},
        "status": {"replicas": 0, "conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]},
    }))
    .unwrap_or_default();
    let made = plan(&older, &[], Timestamp::UNIX_EPOCH).unwrap_or_default();
    let steps: Vec<String> = made.steps().map(Step::describe).collect();
    assert_eq!(steps, ["patch replicationcontrollers/status n/web", "create pods n/web-"]);
    let owner =
        &made.steps().last().map(|step| step.body().clone()).unwrap_or_default()["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["apiVersion"], &owner["kind"]), (&json!("v1"), &json!("ReplicationController")));
    let owned = pod(
        "a",
        json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ReplicationController",
        "name": "web", "uid": "set", "controller": true}]}}),
    );
    let there = plan(&older, &[owned], Timestamp::UNIX_EPOCH).unwrap_or_default();
    let status = there.steps().next().map(|step| step.body()["status"].clone());
    let wanted = json!({"availableReplicas": 1, "conditions": null, "fullyLabeledReplicas": 1, "observedGeneration": 4,
        "readyReplicas": 1, "replicas": 1});
    assert_eq!(status, Some(wanted));
}
