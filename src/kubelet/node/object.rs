//! The Node object of this machine. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tinderbox_api::quantity::Quantity;

use super::machine::Machine;
use crate::config::Capacity;

/// The version that the cluster calls itself.
pub(crate) const VERSION: &str = "v1.34.2";

/// What the object is made from.
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) address: String,
    pub(super) capacity: Capacity,
    pub(super) images: Vec<Value>,
    pub(super) machine: &'a Machine,
    /// Since when it is ready.
    pub(super) ready_since: Timestamp,
    pub(super) now: Timestamp,
}

/// The labels that the node sets for itself.
pub(super) fn labels(facts: &Facts<'_>) -> BTreeMap<String, String> {
    let own = [
        ("kubernetes.io/hostname", facts.name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", facts.machine.architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", facts.machine.architecture),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    facts.labels.clone().into_iter().chain(own).collect()
}

/// The object as it is created.
pub(super) fn node(facts: &Facts<'_>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": facts.name, "labels": labels(facts)},
        "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"], "providerID": format!("tinderbox://{}", facts.name)},
    })
}

/// Its status.
pub(super) fn status(facts: &Facts<'_>) -> Value {
    let Capacity { cpu_millis, memory, ephemeral_storage, pods } = facts.capacity;
    let amounts = json!({
        "cpu": Quantity::millis(cpu_millis).to_string(),
        "memory": Quantity::bytes(memory).to_string(),
        "ephemeral-storage": Quantity::bytes(ephemeral_storage).to_string(),
        "pods": Quantity::units(pods).to_string(),
    });
    let heartbeat = seconds(facts.now);
    let since = seconds(facts.ready_since);
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": heartbeat, "lastTransitionTime": since})
    };
    let machine = facts.machine;
    json!({
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "addresses": [
            {"type": "InternalIP", "address": facts.address},
            {"type": "Hostname", "address": facts.name},
        ],
        "images": facts.images,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.machine_id,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.system,
            "containerRuntimeVersion": concat!("tinderbox://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        },
    })
}

fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Node;

    #[test]
    fn is_a_node() {
        let labels = [("pool".to_owned(), "a".to_owned())].into();
        let machine = Machine { architecture: "amd64", ..Machine::default() };
        let facts = Facts {
            name: "local-0",
            labels: &labels,
            address: "10.244.0.1".into(),
            capacity: Capacity { cpu_millis: 2000, memory: 8 << 30, ephemeral_storage: 1 << 30, pods: 110 },
            images: Vec::new(),
            machine: &machine,
            ready_since: Timestamp::UNIX_EPOCH,
            now: Timestamp::UNIX_EPOCH,
        };
        let mut value = node(&facts);
        value["status"] = status(&facts);
        let node: Node = serde_json::from_value(value).unwrap();
        let labels = node.metadata.labels.unwrap();
        assert_eq!((labels["pool"].as_str(), labels["kubernetes.io/hostname"].as_str()), ("a", "local-0"));
        let capacity = node.status.unwrap().capacity.unwrap();
        assert_eq!((capacity["cpu"].0.as_str(), capacity["memory"].0.as_str()), ("2", "8Gi"));
    }
}
