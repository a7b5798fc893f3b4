//! Node selectors, node affinity, taints and tolerations. Pure.
//! Upstream rule: `staging/src/k8s.io/component-helpers/scheduling/corev1`.

use k8s_openapi::api::core::v1::{
    Node, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration,
};
use kube::ResourceExt;

fn affinity(pod: &Pod) -> Option<&NodeAffinity> {
    pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()
}

/// Whether a node is one that the pod's selector and required affinity allow.
pub(crate) fn allows(pod: &Pod, node: &Node) -> bool {
    let selector = pod.spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
    let labels = node.labels();
    let selected = selector.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let required =
        affinity(pod).and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|required| required.node_selector_terms.iter().any(|term| term_fits(term, node)))
}

/// How much a pod prefers a node.
pub(super) fn preference(pod: &Pod, node: &Node) -> i64 {
    let preferred =
        affinity(pod).and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
    let fitting = preferred.into_iter().flatten().filter(|term| term_fits(&term.preference, node));
    fitting.map(|term| i64::from(term.weight)).sum()
}

fn term_fits(term: &NodeSelectorTerm, node: &Node) -> bool {
    let labels = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name = node.name_any();
    let field = |key: &str| (key == "metadata.name").then_some(name.as_str());
    let label = |key: &str| node.labels().get(key).map(String::as_str);
    !(labels.is_empty() && fields.is_empty())
        && labels.iter().all(|one| holds(one, label(&one.key)))
        && fields.iter().all(|one| holds(one, field(&one.key)))
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|one| one == value));
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = values.first().and_then(|text| number(text));
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => value.and_then(number).zip(bound).is_some_and(|(value, bound)| value > bound),
        "Lt" => value.and_then(number).zip(bound).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

/// Whether a toleration lets a pod bear a taint.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (effect, key, value) = (text(&toleration.effect), text(&toleration.key), text(&toleration.value));
    let same_effect = effect.is_empty() || effect == taint.effect;
    let same_key = key.is_empty() || key == taint.key;
    let same_value = match toleration.operator.as_deref() {
        None | Some("" | "Equal") => !key.is_empty() && value == taint.value.clone().unwrap_or_default(),
        Some("Exists") => true,
        Some(_) => false,
    };
    same_effect && same_key && same_value
}

fn is_tolerated(pod: &Pod, taint: &Taint) -> bool {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref());
    tolerations.unwrap_or_default().iter().any(|toleration| tolerates(toleration, taint))
}

/// The first taint with one of these effects that a pod does not bear.
pub(crate) fn untolerated<'a>(pod: &Pod, node: &'a Node, effects: &[&str]) -> Option<&'a Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let hard = taints.iter().filter(|taint| effects.contains(&taint.effect.as_str()));
    hard.into_iter().find(|taint| !is_tolerated(pod, taint))
}

/// How many taints would rather not have the pod.
pub(super) fn reluctance(pod: &Pod, node: &Node) -> usize {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let soft = taints.iter().filter(|taint| taint.effect == "PreferNoSchedule");
    soft.filter(|taint| !is_tolerated(pod, taint)).count()
}

/// Whether the pod bears `node.kubernetes.io/unschedulable:NoSchedule`, that is, a cordoned node.
pub(super) fn bears_cordon(pod: &Pod) -> bool {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    is_tolerated(pod, &taint)
}
