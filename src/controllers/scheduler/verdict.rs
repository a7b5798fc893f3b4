//! Where a pod goes, or why it goes nowhere, in Kubernetes' words. Pure.
//! Upstream rule: `pkg/scheduler/framework/plugins` and `FitError` in `pkg/scheduler/framework/types.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;

use super::affinity;
use super::demand::{self, Amounts, HostPort};

/// A node with what is on it.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) node: Arc<Node>,
    pub(super) used: Amounts,
    pub(super) pods: i64,
    pub(super) ports: Vec<HostPort>,
}

impl Seat {
    /// An empty node.
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, used: Amounts::default(), pods: 0, ports: Vec::new() }
    }

    /// Puts a pod on the node.
    pub(super) fn take(&mut self, pod: &Pod) {
        self.used.add(&demand::of_pod(pod));
        self.pods += 1;
        self.ports.extend(demand::host_ports(pod));
    }
}

/// Where a pod goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To this node.
    Fits(String),
    /// Nowhere, for this reason.
    Stays(String),
}

/// Why one node does not do.
struct Refusal {
    reasons: Vec<String>,
    /// Removing other pods would not help.
    final_: bool,
}

impl Refusal {
    fn lasting(reason: String) -> Self {
        Self { reasons: vec![reason], final_: true }
    }
}

/// Chooses among the nodes.
pub(super) fn decide(pod: &Pod, seats: &[Seat]) -> Verdict {
    if seats.is_empty() {
        return Verdict::Stays("no nodes available to schedule pods".to_owned());
    }
    let demand = demand::of_pod(pod);
    let ports = demand::host_ports(pod);
    let mut best: Option<(i64, &Seat)> = None;
    let mut refusals = Vec::new();
    for seat in seats {
        match refuse(pod, &demand, &ports, seat) {
            Some(refusal) => refusals.push(refusal),
            None => {
                let score = score(pod, &demand, seat);
                if best.is_none_or(|(most, _)| score > most) {
                    best = Some((score, seat));
                }
            }
        }
    }
    match best {
        Some((_, seat)) => Verdict::Fits(seat.node.name_any()),
        None => Verdict::Stays(words(&refusals)),
    }
}

fn refuse(pod: &Pod, demand: &Amounts, ports: &[HostPort], seat: &Seat) -> Option<Refusal> {
    let node = &*seat.node;
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    if cordoned && !affinity::bears_cordon(pod) {
        return Some(Refusal::lasting("node(s) were unschedulable".to_owned()));
    }
    if let Some(taint) = affinity::untolerated(pod, node, &["NoSchedule", "NoExecute"]) {
        let value = taint.value.as_deref().unwrap_or_default();
        return Some(Refusal::lasting(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)));
    }
    if !affinity::allows(pod, node) {
        return Some(Refusal::lasting("node(s) didn't match Pod's node affinity/selector".to_owned()));
    }
    if ports.iter().any(|port| seat.ports.iter().any(|taken| taken.clashes(port))) {
        let reasons = vec!["node(s) didn't have free ports for the requested pod ports".to_owned()];
        return Some(Refusal { reasons, final_: false });
    }
    let has = demand::of_node(node);
    let mut refusal = Refusal { reasons: Vec::new(), final_: false };
    if seat.pods + 1 > has.get("pods") {
        refusal.reasons.push("Too many pods".to_owned());
    }
    for (name, wanted) in demand.iter().filter(|(_, wanted)| *wanted > 0) {
        if wanted > has.get(name) - seat.used.get(name) {
            refusal.reasons.push(format!("Insufficient {name}"));
            refusal.final_ |= wanted > has.get(name);
        }
    }
    (!refusal.reasons.is_empty()).then_some(refusal)
}

/// Prefers what the pod prefers, then nodes with much left.
fn score(pod: &Pod, demand: &Amounts, seat: &Seat) -> i64 {
    let has = demand::of_node(&seat.node);
    let left = |name: &str| {
        let total = has.get(name).max(1);
        (total - seat.used.get(name) - demand.get(name)).max(0) * 100 / total
    };
    let spread = (left("cpu") + left("memory")) / 2;
    let reluctance = i64::try_from(affinity::reluctance(pod, &seat.node)).unwrap_or(i64::MAX);
    affinity::preference(pod, &seat.node) * 200 - reluctance.saturating_mul(300) + spread
}

fn words(refusals: &[Refusal]) -> String {
    let total = refusals.len();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in refusals.iter().flat_map(|refusal| &refusal.reasons) {
        *counts.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    reasons.sort();
    let lasting = refusals.iter().filter(|refusal| refusal.final_).count();
    let mut preemption = Vec::new();
    if total > lasting {
        preemption.push(format!("{} No preemption victims found for incoming pod", total - lasting));
    }
    if lasting > 0 {
        preemption.push(format!("{lasting} Preemption is not helpful for scheduling"));
    }
    preemption.sort();
    format!(
        "0/{total} nodes are available: {}. preemption: 0/{total} nodes are available: {}.",
        reasons.join(", "),
        preemption.join(", ")
    )
}

/// The words for a pod that no node is to blame for.
pub(super) fn blameless(nodes: usize, reason: &str) -> String {
    format!(
        "0/{nodes} nodes are available: {reason}. preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling."
    )
}

#[cfg(test)]
mod tests;
