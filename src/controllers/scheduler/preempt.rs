//! Which pods of lower priority have to go so that a pod fits somewhere. Pure.
//! Upstream rule: `pkg/scheduler/framework/preemption/preemption.go` and `plugins/defaultpreemption`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;

use super::verdict::{Hall, Seat, fits};
use crate::meta::{is_deleting, selector};

/// What preemption comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Preemption {
    /// These pods go from this node.
    Victims(String, Vec<Arc<Pod>>),
    /// The pod may not preempt, for this reason.
    Barred(&'static str),
    /// It would not help, or not yet.
    Useless,
}

/// The priority of a pod.
pub(crate) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default()
}

/// The node that a pod waits for since it preempted others there.
pub(super) fn nominated(pod: &Pod) -> Option<&str> {
    let name = pod.status.as_ref()?.nominated_node_name.as_deref()?;
    (!name.is_empty()).then_some(name)
}

/// Looks for the node where the least has to go.
pub(super) fn preempt(pod: &Pod, hall: &Hall, budgets: &[Arc<PodDisruptionBudget>]) -> Preemption {
    let policy = pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref());
    if policy == Some("Never") {
        return Preemption::Barred("not eligible due to preemptionPolicy=Never.");
    }
    let is_lower = |other: &&Arc<Pod>| priority(other) < priority(pod);
    let waits_for = |seat: &Seat| nominated(pod) == Some(seat.node.name_any().as_str());
    let leaving = |seat: &Seat| seat.there.iter().filter(is_lower).any(|other| is_deleting(&**other));
    if hall.seats.iter().any(|seat| waits_for(seat) && leaving(seat)) {
        return Preemption::Barred("not eligible due to terminating pod on the nominated node.");
    }
    let candidates = (0..hall.seats.len()).filter_map(|at| victims(pod, hall, at, budgets));
    let best = candidates.min_by_key(|candidate| {
        let most = candidate.victims.iter().map(|pod| priority(pod)).max();
        let sum: i64 = candidate.victims.iter().map(|pod| i64::from(priority(pod)) + i64::from(i32::MAX) + 1).sum();
        let start =
            candidate.victims.iter().filter(|pod| Some(priority(pod)) == most).filter_map(|pod| start(pod)).min();
        (candidate.violations, most, sum, candidate.victims.len(), Reverse(start))
    });
    best.map_or(Preemption::Useless, |best| Preemption::Victims(best.node, best.victims))
}

fn start(pod: &Pod) -> Option<Timestamp> {
    pod.status.as_ref()?.start_time.as_ref().map(|time| time.0)
}

struct Candidate {
    node: String,
    victims: Vec<Arc<Pod>>,
    /// How many of them a disruption budget would keep.
    violations: usize,
}

/// The pods that have to go from one node: all of lower priority, but for those that may stay after all.
fn victims(pod: &Pod, hall: &Hall, at: usize, budgets: &[Arc<PodDisruptionBudget>]) -> Option<Candidate> {
    let seat = hall.seats.get(at)?;
    let (mut lower, stay): (Vec<_>, Vec<_>) =
        seat.there.iter().cloned().partition(|other| priority(other) < priority(pod));
    if lower.is_empty() {
        return None;
    }
    let with = |there: &[Arc<Pod>]| {
        let mut hall = hall.clone();
        hall.seats[at] = Seat::with(seat.node.clone(), there);
        fits(pod, &hall, at)
    };
    if !with(&stay) {
        return None;
    }
    lower.sort_by_key(|pod| (Reverse(priority(pod)), start(pod)));
    let kept_by_budget = kept_by_budget(&lower, budgets);
    let is_kept = |pod: &Arc<Pod>| kept_by_budget.iter().any(|kept| Arc::ptr_eq(kept, pod));
    let (first, second): (Vec<_>, Vec<_>) = lower.into_iter().partition(|pod| is_kept(pod));
    let mut there = stay;
    let mut gone = Vec::new();
    for candidate in first.into_iter().chain(second) {
        there.push(candidate.clone());
        if !with(&there) {
            there.pop();
            gone.push(candidate);
        }
    }
    let violations = gone.iter().filter(|pod| is_kept(pod)).count();
    Some(Candidate { node: seat.node.name_any(), victims: gone, violations })
}

/// The pods that cannot all go within their disruption budgets.
fn kept_by_budget(pods: &[Arc<Pod>], budgets: &[Arc<PodDisruptionBudget>]) -> Vec<Arc<Pod>> {
    let mut left: BTreeMap<usize, i32> = BTreeMap::new();
    let mut kept = Vec::new();
    for pod in pods {
        let covers = |budget: &PodDisruptionBudget| {
            let wanted = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
            budget.namespace() == pod.namespace()
                && wanted
                    .and_then(|wanted| selector(wanted).ok())
                    .is_some_and(|wanted| wanted.matches_map(pod.metadata.labels.as_ref()))
                && disrupted.is_none_or(|disrupted| !disrupted.contains_key(&pod.name_any()))
        };
        let mut violates = false;
        for (number, budget) in budgets.iter().enumerate().filter(|(_, budget)| covers(budget)) {
            let allowed = budget.status.as_ref().map_or(0, |status| status.disruptions_allowed);
            let left = left.entry(number).or_insert(allowed);
            *left -= 1;
            violates |= *left < 0;
        }
        if violates {
            kept.push(pod.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
