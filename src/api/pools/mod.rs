//! Pools of virtual nodes: what a configuration says of them, and the Node objects that follow from it. It makes no node: the
//! autoscaler asks for one by writing its object, and the kubelet brings to life what it finds there.

mod read;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

pub use read::{Amount, Label};

/// The label that says to which pool a node belongs.
pub const POOL: &str = "tinderbox.dev/pool";
/// The annotation that asks for a node's power: `off` takes it away, anything else gives it.
pub const POWER: &str = "tinderbox.dev/power";
/// The annotation by which the kubelet says that a node's power is `off`.
pub const POWER_STATE: &str = "tinderbox.dev/power-state";
/// What both say of a node without power.
pub const OFF: &str = "off";
/// The pool of a place whose configuration names none.
const ONLY: &str = "default";
/// Kubernetes' usual number of pods per node.
const PODS: i64 = 110;

/// The nodes of a place, as its configuration has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nodes {
    /// The pools; without any there is one node with all that the machine has.
    pub pools: Vec<Pool>,
    /// How soon the loss of a node is noticed, and acted upon.
    pub timing: Timing,
}

/// How soon the loss of a node is noticed, and acted upon; the defaults are Kubernetes' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timing {
    /// How often a node renews its lease.
    pub renew_seconds: u32,
    /// After how long without a renewal a node is not ready (kube-controller-manager's `--node-monitor-grace-period`).
    pub grace_seconds: u32,
    /// How long pods tolerate such a node unless they say so themselves (kube-apiserver's
    /// `--default-unreachable-toleration-seconds`).
    pub eviction_seconds: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self { renew_seconds: 10, grace_seconds: 50, eviction_seconds: 300 }
    }
}

/// A pool of nodes that are all alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// Name.
    pub name: String,
    /// Labels of its nodes.
    pub labels: BTreeMap<String, String>,
    /// Taints of its nodes.
    pub taints: Vec<PoolTaint>,
    /// What each of its nodes has.
    pub capacity: PoolCapacity,
    /// How many nodes there are at least.
    pub min: u32,
    /// How many there are at most.
    pub max: u32,
    /// How long a node beyond the minimum stays idle before it leaves.
    pub idle_seconds: u32,
}

/// A taint of a pool's nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolTaint {
    /// Key.
    pub key: Label,
    /// Value.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: Effect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Keeps new pods away.
    NoSchedule,
    /// Keeps new pods away where there is another node.
    PreferNoSchedule,
    /// Keeps new pods away and sends others off.
    NoExecute,
}

/// What a pool says of a node's capacity; what it does not say is all that the machine has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PoolCapacity {
    /// CPUs.
    pub cpu: Option<Amount>,
    /// Bytes of memory.
    pub memory: Option<Amount>,
    /// Pods.
    pub pods: Option<u32>,
    /// Bytes of disk.
    pub ephemeral_storage: Option<Amount>,
}

/// What a node offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a CPU.
    pub cpu_millis: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of disk under the state folder.
    pub ephemeral_storage: i64,
    /// Pods at most.
    pub pods: i64,
}

impl Capacity {
    /// The amounts in the form of a node's status.
    #[must_use]
    pub fn amounts(self) -> BTreeMap<String, Text> {
        let amounts = [
            ("cpu", Quantity::millis(self.cpu_millis)),
            ("memory", Quantity::bytes(self.memory)),
            ("ephemeral-storage", Quantity::bytes(self.ephemeral_storage)),
            ("pods", Quantity::units(self.pods)),
        ];
        amounts.map(|(name, amount)| (name.to_owned(), Text(amount.to_string()))).into()
    }
}

/// The pools of one cluster, with all that its configuration left open.
#[derive(Debug, Clone)]
pub struct Pools {
    cluster: String,
    machine: Capacity,
    pools: Vec<Pool>,
}

impl Pools {
    /// The pools of a cluster on a machine that has so much.
    #[must_use]
    pub fn new(cluster: &str, nodes: &Nodes, machine: Capacity) -> Self {
        let pools = if nodes.pools.is_empty() { vec![Pool::only()] } else { nodes.pools.clone() };
        Self { cluster: cluster.to_owned(), machine, pools }
    }

    /// No pools: nodes come from elsewhere.
    #[must_use]
    pub fn none() -> Self {
        let machine = Capacity { cpu_millis: 0, memory: 0, ephemeral_storage: 0, pods: PODS };
        Self { cluster: String::new(), machine, pools: Vec::new() }
    }

    /// Each pool.
    pub fn iter(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter()
    }

    /// The pool that a node says it belongs to, if it is one of these.
    #[must_use]
    pub fn of(&self, node: &Node) -> Option<&Pool> {
        let name = node.labels().get(POOL)?;
        self.pools.iter().find(|pool| pool.name == *name)
    }

    /// What each node of a pool has.
    #[must_use]
    pub fn capacity(&self, pool: &Pool) -> Capacity {
        let (said, machine) = (&pool.capacity, self.machine);
        Capacity {
            cpu_millis: said.cpu.map_or(machine.cpu_millis, |amount| amount.0.milli_value()),
            memory: said.memory.map_or(machine.memory, |amount| amount.0.value()),
            ephemeral_storage: said.ephemeral_storage.map_or(machine.ephemeral_storage, |amount| amount.0.value()),
            pods: said.pods.map_or(machine.pods, i64::from),
        }
    }

    /// The name of a pool's node number `index`.
    #[must_use]
    pub fn name(&self, pool: &Pool, index: usize) -> String {
        match pool.name.as_str() {
            ONLY => format!("{}-{index}", self.cluster),
            name => format!("{}-{name}-{index}", self.cluster),
        }
    }

    /// The object of a pool's node number `index`, as it is before the node has said anything of itself.
    #[must_use]
    pub fn node(&self, pool: &Pool, index: usize) -> Node {
        let name = self.name(pool, index);
        let own = [(POOL, pool.name.as_str()), ("kubernetes.io/hostname", &name), ("kubernetes.io/os", "linux")];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let taints: Vec<Taint> = pool.taints.iter().map(PoolTaint::taint).collect();
        Node {
            metadata: ObjectMeta {
                labels: Some(pool.labels.clone().into_iter().chain(own).collect()),
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                pod_cidr: Some(PODS_RANGE.to_owned()),
                pod_cidrs: Some(vec![PODS_RANGE.to_owned()]),
                provider_id: Some(format!("tinderbox://{name}")),
                taints: (!taints.is_empty()).then_some(taints),
                ..NodeSpec::default()
            }),
            status: None,
        }
    }

    /// The same with what it will offer, to try pods on.
    #[must_use]
    pub fn template(&self, pool: &Pool, index: usize) -> Node {
        let amounts = Some(self.capacity(pool).amounts());
        let status = NodeStatus { allocatable: amounts.clone(), capacity: amounts, ..NodeStatus::default() };
        Node { status: Some(status), ..self.node(pool, index) }
    }
}

/// The addresses of all pods; nodes have no ranges of their own.
const PODS_RANGE: &str = "10.244.0.0/16";

impl Pool {
    /// One node with all that the machine has, which stays.
    fn only() -> Self {
        Self {
            name: ONLY.to_owned(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            capacity: PoolCapacity::default(),
            min: 1,
            max: 1,
            idle_seconds: read::IDLE,
        }
    }
}

impl PoolTaint {
    fn taint(&self) -> Taint {
        Taint {
            key: self.key.0.clone(),
            value: Some(self.value.clone()).filter(|value| !value.is_empty()),
            effect: format!("{:?}", self.effect),
            time_added: None,
        }
    }
}

#[cfg(test)]
mod tests;
