//! What a pod needs of a node, and what a node has left. Pure.
//! Upstream rule: `staging/src/k8s.io/component-helpers/resource/helpers.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Node, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use tinderbox_api::quantity::Quantity;

/// Amounts by resource name; CPU in thousandths, the rest in whole units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Amounts(BTreeMap<String, i64>);

impl Amounts {
    fn read(texts: Option<&BTreeMap<String, Text>>) -> Self {
        let amount = |(name, text): (&String, &Text)| {
            let quantity: Quantity = text.0.parse().ok()?;
            let amount = if name == "cpu" { quantity.milli_value() } else { quantity.value() };
            Some((name.clone(), amount))
        };
        Self(texts.into_iter().flatten().filter_map(amount).collect())
    }

    /// The amount of one resource.
    pub(crate) fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Names and amounts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Adds amounts to these.
    pub(super) fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    fn raise(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let most = self.0.entry(name.clone()).or_default();
            *most = (*most).max(*amount);
        }
    }
}

/// What a container asks for; a limit without a request is a request.
fn requests(resources: Option<&ResourceRequirements>) -> Amounts {
    let mut asked = Amounts::read(resources.and_then(|resources| resources.limits.as_ref()));
    let explicit = Amounts::read(resources.and_then(|resources| resources.requests.as_ref()));
    asked.0.extend(explicit.0);
    asked
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// What a pod asks of a node: its containers and sidecars together, or an init container where that is more, and overhead.
pub(crate) fn of_pod(pod: &Pod) -> Amounts {
    let Some(spec) = pod.spec.as_ref() else {
        return Amounts::default();
    };
    let mut main = Amounts::default();
    for container in &spec.containers {
        main.add(&requests(container.resources.as_ref()));
    }
    let mut sidecars = Amounts::default();
    let mut start = Amounts::default();
    for container in spec.init_containers.iter().flatten() {
        let mut needs = requests(container.resources.as_ref());
        if is_sidecar(container) {
            sidecars.add(&needs);
            start.raise(&sidecars);
        } else {
            needs.add(&sidecars);
            start.raise(&needs);
        }
    }
    main.add(&sidecars);
    main.raise(&start);
    let whole = requests(spec.resources.as_ref());
    main.0.extend(whole.0);
    main.add(&Amounts::read(spec.overhead.as_ref()));
    main
}

/// What a node offers to pods.
pub(crate) fn of_node(node: &Node) -> Amounts {
    let status = node.status.as_ref();
    let amounts = status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
    Amounts::read(amounts)
}

/// A port of the node that a pod takes: address, protocol and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort {
    address: String,
    protocol: String,
    port: i32,
}

impl HostPort {
    /// Whether both cannot be on one node.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        let all = |address: &str| address == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address || all(&self.address) || all(&other.address))
    }
}

/// The ports of the node that a pod takes.
pub(super) fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = pod.spec.as_ref() else {
        return Vec::new();
    };
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            let address = port.host_ip.clone().filter(|address| !address.is_empty());
            Some(HostPort {
                address: address.unwrap_or_else(|| "0.0.0.0".to_owned()),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port: number,
            })
        })
        .collect()
}
