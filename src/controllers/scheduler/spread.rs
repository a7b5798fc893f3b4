//! Pods that are to be spread evenly over places. Pure.
//! Upstream rule: `pkg/scheduler/framework/plugins/podtopologyspread`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, TopologySpreadConstraint};
use kube::ResourceExt;
use tinderbox_api::selector::LabelSelector;

use super::affinity;
use super::verdict::{Refusal, Seat};
use crate::meta::{is_deleting, selector};

const UNEVEN: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// One constraint, with the pods in each place.
struct Rule {
    key: String,
    skew: i64,
    is_hard: bool,
    /// Whether the pod itself is one of those that are spread.
    own: i64,
    counts: BTreeMap<String, i64>,
    least: i64,
}

/// The constraints of a pod.
pub(super) struct Spread(Vec<Rule>);

impl Spread {
    pub(super) fn of(pod: &Pod, seats: &[Seat]) -> Self {
        let constraints = pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_deref());
        let constraints = constraints.unwrap_or_default();
        let hard: Vec<&str> =
            constraints.iter().filter(|one| is_hard(one)).map(|one| one.topology_key.as_str()).collect();
        Self(constraints.iter().filter_map(|one| rule(pod, one, &hard, seats)).collect())
    }

    /// Why a node does not do.
    pub(super) fn refuse(&self, node: &Node) -> Option<Refusal> {
        for rule in self.0.iter().filter(|rule| rule.is_hard) {
            let Some(place) = node.labels().get(&rule.key) else {
                return Some(Refusal::lasting(NO_LABEL.to_owned()));
            };
            let count = rule.counts.get(place).copied().unwrap_or_default();
            if count + rule.own - rule.least > rule.skew {
                return Some(Refusal::passing(UNEVEN.to_owned()));
            }
        }
        None
    }

    /// How many pods are in the node's places that had better be elsewhere.
    pub(super) fn crowd(&self, node: &Node) -> i64 {
        let soft = self.0.iter().filter(|rule| !rule.is_hard);
        soft.filter_map(|rule| rule.counts.get(node.labels().get(&rule.key)?)).sum()
    }
}

fn is_hard(constraint: &TopologySpreadConstraint) -> bool {
    constraint.when_unsatisfiable == "DoNotSchedule"
}

fn rule(pod: &Pod, constraint: &TopologySpreadConstraint, hard: &[&str], seats: &[Seat]) -> Option<Rule> {
    let wanted = selector(constraint.label_selector.as_ref()?).ok()?;
    let matching = |other: &Pod| matches(&wanted, constraint, pod, other);
    let mut counts = BTreeMap::new();
    for seat in seats.iter().filter(|seat| is_eligible(pod, constraint, hard, &seat.node)) {
        let place = seat.node.labels().get(&constraint.topology_key)?;
        let here = seat.there.iter().filter(|other| matching(other) && !is_deleting(&***other)).count();
        *counts.entry(place.clone()).or_default() += i64::try_from(here).unwrap_or(i64::MAX);
    }
    let domains = i32::try_from(counts.len()).unwrap_or(i32::MAX);
    let too_few = constraint.min_domains.is_some_and(|least| domains < least);
    let least = if too_few { 0 } else { counts.values().min().copied().unwrap_or_default() };
    Some(Rule {
        key: constraint.topology_key.clone(),
        skew: i64::from(constraint.max_skew),
        is_hard: is_hard(constraint),
        own: i64::from(matching(pod)),
        counts,
        least,
    })
}

fn matches(wanted: &LabelSelector, constraint: &TopologySpreadConstraint, pod: &Pod, other: &Pod) -> bool {
    let same = |key: &String| pod.labels().get(key).is_none_or(|value| other.labels().get(key) == Some(value));
    pod.namespace() == other.namespace()
        && wanted.matches_map(other.metadata.labels.as_ref())
        && constraint.match_label_keys.iter().flatten().all(same)
}

/// Whether a node's pods count: by default if the pod's node affinity allows it, whatever its taints.
fn is_eligible(pod: &Pod, constraint: &TopologySpreadConstraint, hard: &[&str], node: &Node) -> bool {
    let honors = |policy: &Option<String>, default: bool| policy.as_deref().map_or(default, |policy| policy == "Honor");
    let labels = node.labels();
    labels.contains_key(&constraint.topology_key)
        && hard.iter().all(|key| labels.contains_key(*key))
        && (!honors(&constraint.node_affinity_policy, true) || affinity::allows(pod, node))
        && (!honors(&constraint.node_taints_policy, false)
            || affinity::untolerated(pod, node, &["NoSchedule", "NoExecute"]).is_none())
}
