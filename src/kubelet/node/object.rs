//! What a node says of itself in its object. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tinderbox_api::pools::Capacity;

use super::machine::Machine;

/// The version that the cluster calls itself.
pub(crate) const VERSION: &str = "v1.34.2";

/// What the object is made from.
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
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
    own.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// Its status.
pub(super) fn status(facts: &Facts<'_>) -> Value {
    let amounts = facts.capacity.amounts();
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
    fn is_a_nodes() {
        let machine = Machine { architecture: "amd64", ..Machine::default() };
        let facts = Facts {
            name: "local-0",
            address: "10.244.0.1".into(),
            capacity: Capacity { cpu_millis: 2000, memory: 8 << 30, ephemeral_storage: 1 << 30, pods: 110 },
            images: Vec::new(),
            machine: &machine,
            ready_since: Timestamp::UNIX_EPOCH,
            now: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(labels(&facts)["kubernetes.io/hostname"], "local-0");
        let node: Node = serde_json::from_value(json!({"metadata": {}, "status": status(&facts)})).unwrap();
        let capacity = node.status.unwrap().capacity.unwrap();
        assert_eq!((capacity["cpu"].0.as_str(), capacity["memory"].0.as_str()), ("2", "8Gi"));
    }
}
