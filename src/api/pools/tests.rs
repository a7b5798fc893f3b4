//! Configurations of pools: what is read, what is refused and where, and the nodes that follow.

use super::*;
use serde_json::json;

const MACHINE: Capacity = Capacity { cpu_millis: 2000, memory: 8 << 30, ephemeral_storage: 1 << 30, pods: 110 };

fn read(text: &str) -> Result<Nodes, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn without_pools_there_is_one_node_with_everything() {
    let pools = Pools::new("local", &Nodes::default(), MACHINE);
    let only = pools.iter().next().unwrap();
    assert_eq!((pools.iter().count(), only.min, only.max), (1, 1, 1));
    assert_eq!((pools.name(only, 0), pools.capacity(only)), ("local-0".to_owned(), MACHINE));
}

#[test]
fn a_pool_says_what_its_nodes_are() {
    let nodes = read(
        "pools:\n- name: spot\n  labels: {tier: spot}\n  taints: [{key: spot, effect: NoSchedule}]\n  \
         capacity: {cpu: 0.5, memory: 2Gi, pods: 5}\n  min: 1\n  max: 3\n  idleSeconds: 20\n",
    )
    .unwrap();
    let again: Nodes = serde_json::from_value(serde_json::to_value(&nodes).unwrap()).unwrap();
    assert_eq!(again, nodes);
    let pools = Pools::new("local", &nodes, MACHINE);
    let spot = pools.iter().next().unwrap();
    let node = serde_json::to_value(pools.template(spot, 2)).unwrap();
    assert_eq!(
        node,
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "local-spot-2", "labels": {
                "tier": "spot", "tinderbox.dev/pool": "spot", "kubernetes.io/hostname": "local-spot-2", "kubernetes.io/os": "linux",
            }},
            "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"], "providerID": "tinderbox://local-spot-2",
                "taints": [{"key": "spot", "effect": "NoSchedule"}]},
            "status": {
                "allocatable": {"cpu": "500m", "memory": "2Gi", "ephemeral-storage": "1Gi", "pods": "5"},
                "capacity": {"cpu": "500m", "memory": "2Gi", "ephemeral-storage": "1Gi", "pods": "5"},
            },
        })
    );
    assert_eq!(pools.of(&pools.node(spot, 0)).map(|pool| &*pool.name), Some("spot"));
    assert_eq!(pools.of(&Node::default()), None);
}

#[test]
fn mistakes_are_named_where_they_stand() {
    for (text, wanted) in [
        (
            "pools:\n- name: a\n  capacity: {cpu: lots}\n",
            "`lots` is no amount such as 500m, 4 or 8Gi at line 3 column 19",
        ),
        ("pools:\n- name: a\n  capacity: {cpu: 0}\n", "`0` is no amount such as 500m, 4 or 8Gi at line 3 column 19"),
        ("pools:\n- name: A\n", "`A` is not the name of a pool"),
        ("pools:\n- name: a\n- name: a\n", "two pools are called `a`"),
        (
            "pools:\n- name: a\n- name: b\n  min: 2\n  max: 1\n",
            "pool `b`: min (2) is more than max (1) at line 3 column 3",
        ),
        ("pools:\n- name: a\n  labels: {-: b}\n", "`-` is not the key of a label"),
        ("pools:\n- name: a\n  taints: [{key: a, effect: Never}]\n", "unknown variant `Never`, expected one of"),
        ("pools:\n- labels: {}\n", "missing field `name`"),
        ("pools:\n- name: a\n  size: 3\n", "unknown field `size`"),
        ("timing: {graceSeconds: 10}\n", "graceSeconds (10) must be longer than renewSeconds (10)"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(wanted), "{text}\n{error}");
    }
}
