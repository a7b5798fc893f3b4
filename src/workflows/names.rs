//! Names of nodes and pods, and the ids of nodes: others read them, so they are upstream's to the letter. Pure.
//! Upstream rule: `NodeID` in `pkg/apis/workflow/v1alpha1` and `util.GeneratePodName` of argoproj/argo-workflows.

use kube::ResourceExt;
use tinderbox_api::workflows::{NodeStatus, NodeType, Template, Workflow, labels};

/// The longest prefix of a pod's name: what remains of 253 characters for the hash and its dash.
const PREFIX_MAX: usize = 253 - 11;

/// FNV-1a of 32 bits.
pub(crate) fn fnv32a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The id of a node of a workflow.
#[must_use]
pub fn node_id(workflow: &str, node: &str) -> String {
    if workflow == node { workflow.to_owned() } else { format!("{workflow}-{}", fnv32a(node)) }
}

/// The name of a node's pod.
#[must_use]
pub fn pod_name(workflow: &str, node: &str, template: &str, node_id: &str, format: &str) -> String {
    if format == "v1" {
        return node_id.to_owned();
    }
    if workflow == node {
        return workflow.to_owned();
    }
    let prefix = if template.is_empty() { workflow.to_owned() } else { format!("{workflow}-{template}") };
    let prefix: String = prefix.chars().take(PREFIX_MAX).collect();
    format!("{prefix}-{}", fnv32a(node))
}

/// The name of the pod of a workflow's node, where nodes of its type have one.
#[must_use]
pub fn pod_of(workflow: &Workflow, node: &NodeStatus) -> Option<String> {
    if !node.r#type.has_pod() {
        return None;
    }
    let template = match &node.template_ref {
        Some(reference) => reference.template.as_str(),
        None => node.template_name.as_deref().unwrap_or_default(),
    };
    Some(pod_name(&workflow.name_any(), &node.name, template, &node.id, pod_format(workflow)))
}

/// Which form the names of a workflow's pods have.
pub(crate) fn pod_format(workflow: &Workflow) -> &str {
    workflow.annotations().get(labels::POD_NAME_FORMAT).map_or("v2", String::as_str)
}

/// Whether a template becomes a pod, or what upstream has a pod for.
pub(crate) fn is_pod(template: &Template) -> bool {
    template.container.is_some()
        || template.script.is_some()
        || template.container_set.is_some()
        || template.resource.is_some()
        || template.http.is_some()
}

/// The type of the node that a template makes by itself.
pub(crate) fn kind_of(template: &Template) -> NodeType {
    if template.http.is_some() {
        NodeType::HTTP
    } else if is_pod(template) {
        NodeType::Pod
    } else if template.dag.is_some() {
        NodeType::DAG
    } else {
        NodeType::Steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_upstreams() {
        assert_eq!(fnv32a(""), 2_166_136_261);
        assert_eq!(fnv32a("a"), 0xe40c_292c);
        assert_eq!(fnv32a("foobar"), 0xbf9c_f968);
        assert_eq!(node_id("wf", "wf"), "wf");
        assert_eq!(node_id("wf", "wf.A"), format!("wf-{}", fnv32a("wf.A")));
        let name = |node: &str, template: &str, format| pod_name("wf", node, template, "the-id", format);
        assert_eq!(name("wf", "echo", "v2"), "wf");
        assert_eq!(name("wf.A", "echo", "v2"), format!("wf-echo-{}", fnv32a("wf.A")));
        assert_eq!(name("wf.A", "", "v2"), format!("wf-{}", fnv32a("wf.A")));
        assert_eq!(name("wf.A", "echo", "v1"), "the-id");
        assert!(name("wf.A", &"t".repeat(300), "v2").len() <= 253);
    }
}
