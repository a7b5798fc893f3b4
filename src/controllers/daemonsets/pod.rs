//! The pods of a DaemonSet: what they bear, and the node that each is for. Pure.
//! Upstream rule: `pkg/controller/daemon/util/daemonset_util.go`.

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec};
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, Toleration,
};
use kube::ResourceExt;

use crate::meta::controller_reference;
use crate::pods::from_template;
use crate::scheduler::affinity::{allows, untolerated};

/// The label that carries the hash of a pod's template.
pub(super) const HASH: &str = "controller-revision-hash";
const GENERATION: &str = "pod-template-generation";
const GENERATION_OF_SET: &str = "deprecated.daemonset.template.generation";
const NODE_NAME: &str = "metadata.name";

/// A pod of the set that is for no node yet.
pub(super) fn template(set: &DaemonSet, spec: &DaemonSetSpec) -> Pod {
    let mut pod = from_template(&spec.template, set.namespace(), &set.name_any(), controller_reference(set));
    if let Some(spec) = pod.spec.as_mut() {
        let host_network = spec.host_network == Some(true);
        let tolerations = spec.tolerations.get_or_insert_default();
        let network = host_network.then_some(("network-unavailable", "NoSchedule"));
        for (key, effect) in TOLERATED.into_iter().chain(network) {
            let toleration = Toleration {
                key: Some(format!("node.kubernetes.io/{key}")),
                operator: Some("Exists".to_owned()),
                effect: Some(effect.to_owned()),
                ..Toleration::default()
            };
            let same = |one: &Toleration| Toleration { toleration_seconds: None, ..one.clone() } == toleration;
            match tolerations.iter_mut().find(|one| same(one)) {
                Some(have) => *have = toleration,
                None => tolerations.push(toleration),
            }
        }
    }
    pod
}

/// What every daemon bears.
const TOLERATED: [(&str, &str); 6] = [
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
];

/// The pod of the set for one node.
pub(super) fn on(set: &DaemonSet, template: &Pod, hash: &str, node: &str) -> Pod {
    let mut pod = template.clone();
    pod.labels_mut().insert(HASH.to_owned(), hash.to_owned());
    if let Some(generation) = set.annotations().get(GENERATION_OF_SET) {
        pod.labels_mut().insert(GENERATION.to_owned(), generation.clone());
    }
    let requirement = NodeSelectorRequirement {
        key: NODE_NAME.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    if let Some(spec) = pod.spec.as_mut() {
        let affinity = spec.affinity.get_or_insert_with(Affinity::default);
        let affinity = affinity.node_affinity.get_or_insert_default();
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .get_or_insert_with(|| NodeSelector { node_selector_terms: vec![NodeSelectorTerm::default()] });
        // The set has checked the node against the other terms; by its name alone it is found again.
        required.node_selector_terms =
            vec![NodeSelectorTerm { match_fields: Some(vec![requirement]), match_expressions: None }];
    }
    pod
}

/// The node that a pod of a set is on or for.
pub(super) fn target(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    if let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return Some(node);
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let named = fields.filter(|field| field.key == NODE_NAME && field.operator == "In");
    named.filter_map(|field| field.values.as_ref()?.first()).map(String::as_str).next()
}

/// Whether a pod is made of the template with that hash.
pub(super) fn is_updated(pod: &Pod, hash: &str) -> bool {
    pod.labels().get(HASH).is_some_and(|have| have == hash)
}

/// Whether a node should get a pod of the set, and whether one that is there may stay.
pub(super) fn fits(template: &Pod, node: &Node) -> (bool, bool) {
    let wanted = template.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    if !(wanted.is_empty() || wanted == node.name_any()) || !allows(template, node) {
        return (false, false);
    }
    if untolerated(template, node, &["NoSchedule", "NoExecute"]).is_some() {
        return (false, untolerated(template, node, &["NoExecute"]).is_none());
    }
    (true, true)
}
