//! Pods that want to be near other pods, or far from them. Pure.
//! Upstream rule: `pkg/scheduler/framework/plugins/interpodaffinity`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Affinity, Namespace, Node, Pod, PodAffinityTerm};
use kube::ResourceExt;
use tinderbox_api::selector::LabelSelector;

use super::verdict::{Refusal, Seat};
use crate::meta::selector;

const AFFINITY: &str = "node(s) didn't match pod affinity rules";
const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// A term of a pod, ready to match other pods.
struct Term {
    selector: LabelSelector,
    namespaces: BTreeSet<String>,
    key: String,
}

impl Term {
    /// A term that cannot be read matches nobody.
    fn of(owner: &Pod, term: &PodAffinityTerm, namespaces: &[Arc<Namespace>]) -> Option<Self> {
        let mut names: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        match &term.namespace_selector {
            Some(wanted) => {
                let wanted = selector(wanted).ok()?;
                let chosen = namespaces.iter().filter(|one| wanted.matches_map(one.metadata.labels.as_ref()));
                names.extend(chosen.map(|one| one.name_any()));
            }
            None if names.is_empty() => {
                names.insert(owner.namespace().unwrap_or_default());
            }
            None => (),
        }
        let selector = selector(term.label_selector.as_ref()?).ok()?;
        Some(Self { selector, namespaces: names, key: term.topology_key.clone() })
    }

    fn matches(&self, pod: &Pod) -> bool {
        self.namespaces.contains(&pod.namespace().unwrap_or_default())
            && self.selector.matches_map(pod.metadata.labels.as_ref())
    }

    fn place<'a>(&self, node: &'a Node) -> Option<&'a String> {
        node.labels().get(&self.key)
    }
}

fn affinity(pod: &Pod) -> Option<&Affinity> {
    pod.spec.as_ref()?.affinity.as_ref()
}

fn near(pod: &Pod) -> &[PodAffinityTerm] {
    let terms = affinity(pod).and_then(|affinity| affinity.pod_affinity.as_ref());
    terms.and_then(|terms| terms.required_during_scheduling_ignored_during_execution.as_deref()).unwrap_or_default()
}

fn far(pod: &Pod) -> &[PodAffinityTerm] {
    let terms = affinity(pod).and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    terms.and_then(|terms| terms.required_during_scheduling_ignored_during_execution.as_deref()).unwrap_or_default()
}

/// What a pod's terms, and those of the pods that are there, say of each place.
pub(super) struct Neighbours {
    near: Vec<(Term, BTreeSet<String>)>,
    /// Nobody fits the terms yet, and the pod fits its own: it may be the first.
    is_first: bool,
    far: Vec<(Term, BTreeSet<String>)>,
    /// Places that pods which are there keep this pod from, as label and value.
    closed: BTreeSet<(String, String)>,
    /// How much the pod likes a place, as label and value.
    liked: BTreeMap<(String, String), i64>,
}

impl Neighbours {
    pub(super) fn of(pod: &Pod, seats: &[Seat], namespaces: &[Arc<Namespace>]) -> Self {
        let read = |terms: &[PodAffinityTerm]| -> Vec<Term> {
            terms.iter().filter_map(|term| Term::of(pod, term, namespaces)).collect()
        };
        let (near_terms, far_terms) = (read(near(pod)), read(far(pod)));
        let fits_all = |other: &Pod| near_terms.iter().all(|term| term.matches(other));
        let places = |term: &Term, fits: &dyn Fn(&Pod) -> bool| -> BTreeSet<String> {
            let held = seats.iter().filter(|seat| seat.there.iter().any(|pod| fits(pod)));
            held.filter_map(|seat| term.place(&seat.node).cloned()).collect()
        };
        let near_places: Vec<_> = near_terms.iter().map(|term| places(term, &fits_all)).collect();
        let is_first = near_places.iter().all(BTreeSet::is_empty) && fits_all(pod);
        let far_places: Vec<_> = far_terms.iter().map(|term| places(term, &|other| term.matches(other))).collect();
        Self {
            is_first,
            near: near_terms.into_iter().zip(near_places).collect(),
            far: far_terms.into_iter().zip(far_places).collect(),
            closed: closed(pod, seats, namespaces),
            liked: liked(pod, seats, namespaces),
        }
    }

    /// Why a node does not do.
    pub(super) fn refuse(&self, node: &Node) -> Option<Refusal> {
        let satisfied = |(term, places): &(Term, BTreeSet<String>)| {
            term.place(node).is_some_and(|place| self.is_first || places.contains(place))
        };
        if !self.near.iter().all(satisfied) {
            return Some(Refusal::lasting(AFFINITY.to_owned()));
        }
        let taken =
            |(term, places): &(Term, BTreeSet<String>)| term.place(node).is_some_and(|place| places.contains(place));
        if self.far.iter().any(taken) {
            return Some(Refusal::passing(ANTI_AFFINITY.to_owned()));
        }
        let labels = node.labels();
        let closed = self.closed.iter().any(|(key, value)| labels.get(key) == Some(value));
        closed.then(|| Refusal::passing(EXISTING.to_owned()))
    }

    /// How much the pod likes a node for who is near.
    pub(super) fn preference(&self, node: &Node) -> i64 {
        let labels = node.labels();
        self.liked.iter().filter(|((key, value), _)| labels.get(key) == Some(value)).map(|(_, weight)| weight).sum()
    }
}

fn closed(pod: &Pod, seats: &[Seat], namespaces: &[Arc<Namespace>]) -> BTreeSet<(String, String)> {
    let mut closed = BTreeSet::new();
    for seat in seats {
        for other in &seat.there {
            let terms = far(other).iter().filter_map(|term| Term::of(other, term, namespaces));
            for term in terms.filter(|term| term.matches(pod)) {
                if let Some(place) = term.place(&seat.node) {
                    closed.insert((term.key.clone(), place.clone()));
                }
            }
        }
    }
    closed
}

fn liked(pod: &Pod, seats: &[Seat], namespaces: &[Arc<Namespace>]) -> BTreeMap<(String, String), i64> {
    let affinity = affinity(pod);
    let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    let near = near.and_then(|terms| terms.preferred_during_scheduling_ignored_during_execution.as_deref());
    let far = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let far = far.and_then(|terms| terms.preferred_during_scheduling_ignored_during_execution.as_deref());
    let signed = |sign: i64| move |term: &k8s_openapi::api::core::v1::WeightedPodAffinityTerm| (sign, term.clone());
    let near = near.unwrap_or_default().iter().map(signed(1));
    let mut liked = BTreeMap::new();
    for (sign, weighted) in near.chain(far.unwrap_or_default().iter().map(signed(-1))) {
        let Some(term) = Term::of(pod, &weighted.pod_affinity_term, namespaces) else {
            continue;
        };
        for seat in seats {
            let count =
                i64::try_from(seat.there.iter().filter(|other| term.matches(other)).count()).unwrap_or(i64::MAX);
            if let Some(place) = term.place(&seat.node).filter(|_| count > 0) {
                *liked.entry((term.key.clone(), place.clone())).or_default() +=
                    sign * i64::from(weighted.weight) * count;
            }
        }
    }
    liked
}
