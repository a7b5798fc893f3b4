//! Which pods have to go.

use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use super::*;

fn node(name: &str) -> Arc<Node> {
    let node =
        json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "9"}}});
    Arc::new(serde_json::from_value(node).unwrap())
}

fn pod(name: &str, priority: i32, cpu: &str) -> Arc<Pod> {
    Arc::new(raw(name, priority, cpu, json!({})))
}

fn raw(name: &str, priority: i32, cpu: &str, more: Value) -> Pod {
    let container = json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "n", "labels": {"app": name}},
        "spec": {"priority": priority, "containers": [container]},
    });
    for (path, value) in more.as_object().unwrap() {
        pod[path] = value.clone();
    }
    serde_json::from_value(pod).unwrap()
}

fn hall(seats: &[(&str, &[Arc<Pod>])]) -> Hall {
    let seats = seats.iter().map(|(name, pods)| Seat::with(node(name), pods)).collect();
    Hall { seats, namespaces: Vec::new() }
}

fn words(preemption: Preemption) -> Option<(String, Vec<String>)> {
    match preemption {
        Preemption::Victims(node, pods) => Some((node, pods.iter().map(|pod| pod.name_any()).collect())),
        _ => None,
    }
}

fn gone(node: &str, names: &[&str]) -> Option<(String, Vec<String>)> {
    Some((node.to_owned(), names.iter().map(|name| (*name).to_owned()).collect()))
}

#[test]
fn as_little_as_possible_goes() {
    let urgent = pod("urgent", 100, "2");
    let busy = [pod("low", 1, "1"), pod("lower", 0, "2"), pod("high", 200, "1")];
    assert_eq!(words(preempt(&urgent, &hall(&[("a", &busy)]), &[])), gone("a", &["lower"]));
    let other = [pod("middle", 50, "4")];
    assert_eq!(words(preempt(&urgent, &hall(&[("b", &other), ("a", &busy)]), &[])), gone("a", &["lower"]));
    let equals = [pod("equal", 100, "4")];
    assert_eq!(preempt(&urgent, &hall(&[("a", &equals)]), &[]), Preemption::Useless);
    let too_much = [pod("low", 1, "1"), pod("high", 200, "3")];
    assert_eq!(preempt(&urgent, &hall(&[("a", &too_much)]), &[]), Preemption::Useless);
}

#[test]
fn budgets_are_kept_where_they_can_be() {
    let urgent = pod("urgent", 100, "4");
    let budget = json!({"metadata": {"name": "b", "namespace": "n"}, "status": {"disruptionsAllowed": 0},
        "spec": {"selector": {"matchLabels": {"app": "kept"}}}});
    let budget: PodDisruptionBudget = serde_json::from_value(budget).unwrap();
    let (kept, free) = ([pod("kept", 0, "4")], [pod("free", 50, "4")]);
    let hall = hall(&[("a", &kept), ("b", &free)]);
    assert_eq!(words(preempt(&urgent, &hall, &[])), gone("a", &["kept"]));
    assert_eq!(words(preempt(&urgent, &hall, &[Arc::new(budget)])), gone("b", &["free"]));
}

#[test]
fn some_pods_may_not_preempt() {
    let low = [pod("low", 0, "4")];
    let polite =
        raw("polite", 100, "4", json!({"spec": {"priority": 100, "preemptionPolicy": "Never", "containers": []}}));
    assert_eq!(
        preempt(&polite, &hall(&[("a", &low)]), &[]),
        Preemption::Barred("not eligible due to preemptionPolicy=Never.")
    );
    let mut leaving = (*low[0]).clone();
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!("1970-01-01T00:00:00Z")).ok();
    let waiting = raw("waiting", 100, "4", json!({"status": {"nominatedNodeName": "a"}}));
    assert_eq!(
        preempt(&waiting, &hall(&[("a", &[Arc::new(leaving)])]), &[]),
        Preemption::Barred("not eligible due to terminating pod on the nominated node.")
    );
}
