//! What the controllers keep in memory of workflows that are over: what cleaning up and counting need, and no more. Pure.

use tinderbox_api::workflows::{NodeStatus, Workflow};

/// Drops what nobody asks of a workflow that is over. Its nodes are asked for by those alone who collect its pods.
pub(crate) fn shrink(workflow: &mut Workflow) {
    let Some(status) = workflow.status.as_mut().filter(|status| status.phase.is_completed()) else { return };
    let specs = [Some(&mut workflow.spec), status.stored_workflow_template_spec.as_deref_mut()];
    let mut collects = false;
    for spec in specs.into_iter().flatten() {
        collects |= spec.pod_gc.is_some();
        spec.templates = Vec::new();
        spec.template_defaults = None;
        spec.arguments = Default::default();
        spec.hooks.clear();
    }
    status.stored_templates.clear();
    status.outputs = None;
    status.nodes.retain(|_, node| collects && node.r#type.has_pod());
    for node in status.nodes.values_mut() {
        *node = NodeStatus {
            inputs: None,
            outputs: None,
            children: Vec::new(),
            outbound_nodes: Vec::new(),
            ..std::mem::take(node)
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workflow(phase: &str, gc: Option<&str>) -> Workflow {
        let node = |kind: &str| json!({"id": kind, "name": kind, "displayName": kind, "type": kind, "phase": "Succeeded", "outputs": {"result": "r"}});
        serde_json::from_value(json!({
            "spec": {"entrypoint": "a", "templates": [{"name": "a"}], "ttlStrategy": {"secondsAfterCompletion": 5},
                "podGC": gc.map(|strategy| json!({"strategy": strategy}))},
            "status": {"phase": phase, "finishedAt": "2026-01-01T00:00:00Z", "nodes": {"DAG": node("DAG"), "Pod": node("Pod")}},
        }))
        .unwrap()
    }

    #[test]
    fn what_runs_is_kept_whole_and_what_is_over_as_far_as_it_is_needed() {
        let shrunk = |mut one: Workflow| {
            shrink(&mut one);
            one
        };
        assert_eq!(shrunk(workflow("Running", None)), workflow("Running", None));
        let plain = shrunk(workflow("Failed", None));
        let status = plain.status.unwrap();
        assert!(plain.spec.templates.is_empty() && plain.spec.ttl_strategy.is_some() && status.nodes.is_empty());
        assert!(status.finished_at.is_some());
        let collects = shrunk(workflow("Failed", Some("OnWorkflowCompletion"))).status.unwrap();
        let kept: Vec<_> = collects.nodes.into_values().map(|node| (node.name, node.outputs)).collect();
        assert_eq!(kept, [("Pod".to_owned(), None)]);
    }
}
