//! Where a pod goes, or why it goes nowhere, in Kubernetes' words. Pure.
//! Upstream rule: `pkg/scheduler/framework/plugins` and `FitError` in `pkg/scheduler/framework/types.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::ResourceExt;

use super::affinity;
use super::demand::{self, Amounts, HostPort};
use super::neighbours::Neighbours;
use super::preempt::Preemption;
use super::spread::Spread;

/// A node with what is on it.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) node: Arc<Node>,
    pub(super) there: Vec<Arc<Pod>>,
    used: Amounts,
    ports: Vec<HostPort>,
}

impl Seat {
    /// An empty node.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, there: Vec::new(), used: Amounts::default(), ports: Vec::new() }
    }

    /// A node with these pods.
    pub(super) fn with(node: Arc<Node>, pods: &[Arc<Pod>]) -> Self {
        let mut seat = Self::new(node);
        pods.iter().for_each(|pod| seat.take(pod));
        seat
    }

    /// Puts a pod on the node.
    pub(crate) fn take(&mut self, pod: &Arc<Pod>) {
        self.used.add(&demand::of_pod(pod));
        self.ports.extend(demand::host_ports(pod));
        self.there.push(pod.clone());
    }
}

/// All nodes, and what else a choice among them depends on.
#[derive(Debug, Clone)]
pub(crate) struct Hall {
    pub(crate) seats: Vec<Seat>,
    pub(crate) namespaces: Vec<Arc<Namespace>>,
}

/// Where a pod goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To this node.
    Fits(String),
    /// Nowhere.
    Stays(Complaint),
}

/// Why a pod goes nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    nodes: usize,
    /// `1 Insufficient cpu, 2 node(s) were unschedulable`.
    reasons: String,
    /// Nodes where removing other pods would not help.
    lasting: usize,
}

/// Why one node does not do.
pub(super) struct Refusal {
    reasons: Vec<String>,
    /// Removing other pods would not help.
    final_: bool,
}

impl Refusal {
    /// One that stays whatever pods go.
    pub(super) fn lasting(reason: String) -> Self {
        Self { reasons: vec![reason], final_: true }
    }

    /// One that may be over when other pods go.
    pub(super) fn passing(reason: String) -> Self {
        Self { reasons: vec![reason], final_: false }
    }
}

/// What a pod asks of nodes.
struct Wants<'a> {
    pod: &'a Pod,
    demand: Amounts,
    ports: Vec<HostPort>,
    spread: Spread,
    neighbours: Neighbours,
}

impl<'a> Wants<'a> {
    fn of(pod: &'a Pod, hall: &Hall) -> Self {
        Self {
            pod,
            demand: demand::of_pod(pod),
            ports: demand::host_ports(pod),
            spread: Spread::of(pod, &hall.seats),
            neighbours: Neighbours::of(pod, &hall.seats, &hall.namespaces),
        }
    }

    /// The first thing that a node fails at.
    fn refuse(&self, seat: &Seat) -> Option<Refusal> {
        refuse(self.pod, &self.demand, &self.ports, seat)
            .or_else(|| self.spread.refuse(&seat.node))
            .or_else(|| self.neighbours.refuse(&seat.node))
    }
}

/// Whether a pod fits on one of the nodes.
pub(crate) fn fits(pod: &Pod, hall: &Hall, at: usize) -> bool {
    hall.seats.get(at).is_some_and(|seat| Wants::of(pod, hall).refuse(seat).is_none())
}

/// Why a pod does not fit on one of the nodes, if it does not.
pub(crate) fn refusal(pod: &Pod, hall: &Hall, at: usize) -> Option<String> {
    let refusal = Wants::of(pod, hall).refuse(hall.seats.get(at)?)?;
    Some(refusal.reasons.join(", "))
}

/// Chooses among the nodes.
pub(super) fn decide(pod: &Pod, hall: &Hall) -> Verdict {
    let wants = Wants::of(pod, hall);
    let mut best: Option<(i64, &Seat)> = None;
    let mut refusals = Vec::new();
    for seat in &hall.seats {
        match wants.refuse(seat) {
            Some(refusal) => refusals.push(refusal),
            None => {
                let score = score(&wants, seat);
                if best.is_none_or(|(most, _)| score > most) {
                    best = Some((score, seat));
                }
            }
        }
    }
    match best {
        Some((_, seat)) => Verdict::Fits(seat.node.name_any()),
        None => Verdict::Stays(Complaint::of(&refusals)),
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
    let count = i64::try_from(seat.there.len()).unwrap_or(i64::MAX);
    if count + 1 > has.get("pods") {
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
fn score(wants: &Wants<'_>, seat: &Seat) -> i64 {
    let (pod, demand) = (wants.pod, &wants.demand);
    let has = demand::of_node(&seat.node);
    let left = |name: &str| {
        let total = has.get(name).max(1);
        (total - seat.used.get(name) - demand.get(name)).max(0) * 100 / total
    };
    let spread = (left("cpu") + left("memory")) / 2;
    let reluctance = i64::try_from(affinity::reluctance(pod, &seat.node)).unwrap_or(i64::MAX);
    let company = wants.neighbours.preference(&seat.node) - wants.spread.crowd(&seat.node) * 100;
    (affinity::preference(pod, &seat.node) + company) * 200 - reluctance.saturating_mul(300) + spread
}

impl Complaint {
    fn of(refusals: &[Refusal]) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in refusals.iter().flat_map(|refusal| &refusal.reasons) {
            *counts.entry(reason).or_default() += 1;
        }
        let mut reasons: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.sort();
        let lasting = refusals.iter().filter(|refusal| refusal.final_).count();
        Self { nodes: refusals.len(), reasons: reasons.join(", "), lasting }
    }

    /// The whole sentence, given what preemption came to.
    pub(super) fn words(&self, preemption: &Preemption) -> String {
        let Self { nodes, reasons, lasting } = self;
        if *nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let mut words = format!("0/{nodes} nodes are available: {reasons}.");
        match preemption {
            Preemption::Victims(..) => (),
            Preemption::Barred(reason) => words.push_str(&format!(" preemption: {reason}")),
            Preemption::Useless => {
                let mut why = Vec::new();
                if nodes > lasting {
                    why.push(format!("{} No preemption victims found for incoming pod", nodes - lasting));
                }
                if *lasting > 0 {
                    why.push(format!("{lasting} Preemption is not helpful for scheduling"));
                }
                why.sort();
                words.push_str(&format!(" preemption: 0/{nodes} nodes are available: {}.", why.join(", ")));
            }
        }
        words
    }
}

/// The words for a pod that no node is to blame for.
pub(super) fn blameless(nodes: usize, reason: &str) -> String {
    format!(
        "0/{nodes} nodes are available: {reason}. preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling."
    )
}

#[cfg(test)]
mod tests;
