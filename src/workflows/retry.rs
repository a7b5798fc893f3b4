//! Running again what failed of a workflow that is over: which nodes are forgotten, which go on, and which pods are to go. Pure.
//! Upstream rule: `FormulateRetryWorkflow` in `workflow/util/util.go` of argoproj/argo-workflows; better than upstream: pauses and
//! calls that failed are tried again too, attempts that another one followed stay as they were, and what a hook did after a failure
//! does not make it one that was got over.

mod tree;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, Unit};
use kube::ResourceExt;
use serde_json::{Map, Value, json};
use tinderbox_api::selector::FieldSelector;
use tinderbox_api::workflows::{NodeStatus, Parameter, Phase, Workflow, WorkflowStatus, labels};

use crate::names::pod_of;
use tree::Tree;

/// What is asked for beside what failed.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Nodes to run again though they succeeded, as a selector of their fields: `displayName=A`, or `templateName=a,phase!=Skipped`.
    pub restart: Option<String>,
    /// Other values of the workflow's parameters.
    pub parameters: Vec<(String, String)>,
}

/// What has to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Pods that have to be gone first: those of the nodes that are forgotten, since their names come again.
    pub pods: Vec<String>,
    /// The merge patch that lets the workflow go on.
    pub patch: Value,
}

/// Plans to run again what failed of a workflow.
///
/// # Errors
/// When the workflow runs or has succeeded, a parameter is none of its, or no node fits the selector.
pub fn retry(workflow: &Workflow, wish: &Wish, now: Timestamp) -> Result<Retry, String> {
    let name = workflow.name_any();
    let status = over(workflow, wish)?;
    let restarted = match &wish.restart {
        Some(selector) => selected(&status.nodes, selector)?,
        None => BTreeSet::new(),
    };
    let tree = Tree::new(&name, &status.nodes);
    let forgotten = tree.forgotten(&restarted);
    let again = tree.again(&forgotten);
    let pods: BTreeSet<String> = forgotten.iter().filter_map(|id| pod_of(workflow, status.nodes.get(*id)?)).collect();
    let now = now.round(Unit::Second).unwrap_or(now).to_string();
    let nodes: Map<String, Value> = status
        .nodes
        .iter()
        .filter_map(|(id, node)| Some((id.clone(), change(node, &forgotten, again.contains(id.as_str()), &now)?)))
        .collect();
    let conditions = status.conditions.iter().filter(|one| one.r#type != "Completed" && one.r#type != "PodRunning");
    let mut conditions: Vec<Value> = conditions.map(|one| json!(one)).collect();
    conditions.push(json!({"type": "Completed", "status": "False"}));
    let mut spec = json!({"shutdown": null});
    if workflow.spec.active_deadline_seconds == Some(0) {
        spec["activeDeadlineSeconds"] = Value::Null;
    }
    if !wish.parameters.is_empty() {
        spec["arguments"] = json!({"parameters": overridden(workflow, &wish.parameters)?});
    }
    let times = workflow.annotations().get(labels::RETRIES).and_then(|times| times.parse::<u32>().ok());
    let mut patch = json!({
        "metadata": {
            "uid": workflow.uid(),
            "labels": {labels::COMPLETED: null, labels::ARCHIVING_STATUS: null, labels::PHASE: Phase::Running},
            "annotations": {labels::RETRIES: (times.unwrap_or_default() + 1).to_string()},
        },
        "spec": spec,
        "status": {"phase": Phase::Running, "startedAt": now, "finishedAt": null, "message": null, "conditions": conditions,
            "persistentVolumeClaims": null, "nodes": nodes},
    });
    if status.stored_workflow_template_spec.is_some() {
        patch["status"]["storedWorkflowTemplateSpec"] = json!({"shutdown": null});
    }
    Ok(Retry { pods: pods.into_iter().collect(), patch })
}

/// The status of a workflow that can be run again.
fn over<'a>(workflow: &'a Workflow, wish: &Wish) -> Result<&'a WorkflowStatus, String> {
    let name = workflow.name_any();
    let status = workflow.status.as_ref().filter(|status| status.phase.is_completed());
    let status = status.ok_or_else(|| format!("the workflow {name} is not over: `workflow stop` ends it"))?;
    if status.phase == Phase::Succeeded && wish.restart.is_none() {
        return Err(format!(
            "the workflow {name} has succeeded: only nodes that are selected can be run again, by --restart-successful with --node-field-selector"
        ));
    }
    if status.compressed_nodes.is_some() || status.offload_node_status_version.is_some() {
        return Err(format!("the nodes of the workflow {name} are packed or kept elsewhere, which is not read here"));
    }
    Ok(status)
}

/// Ids of the nodes that fit a selector.
/// Upstream rule: `SelectorMatchesNode` in `workflow/util/util.go`.
fn selected<'a>(nodes: &'a BTreeMap<String, NodeStatus>, selector: &str) -> Result<BTreeSet<&'a str>, String> {
    let fields = FieldSelector::parse(selector).map_err(|error| error.to_string())?;
    let value = |node: &NodeStatus, path: &str| -> String {
        let parameter = path.strip_prefix("inputs.parameters.").and_then(|rest| rest.strip_suffix(".value"));
        if let Some(wanted) = parameter {
            let given = node.inputs.iter().flat_map(|inputs| &inputs.parameters).find(|one| one.name == wanted);
            return given.and_then(|one| one.value.clone()).unwrap_or_default().0;
        }
        let reference = node.template_ref.as_ref();
        match path {
            "id" => node.id.clone(),
            "name" => node.name.clone(),
            "displayName" => node.display_name.clone(),
            "templateName" => node.template_name.clone().unwrap_or_default(),
            "templateRef.name" => reference.map(|of| of.name.clone()).unwrap_or_default(),
            "templateRef.template" => reference.map(|of| of.template.clone()).unwrap_or_default(),
            "phase" => node.phase.to_string(),
            _ => String::new(),
        }
    };
    let fits = |node: &&NodeStatus| fields.matches(|path| value(node, path));
    let found: BTreeSet<&str> = nodes.values().filter(fits).map(|node| node.id.as_str()).collect();
    if found.is_empty() { Err(format!("no node fits the selector {selector:?}")) } else { Ok(found) }
}

/// The workflow's parameters with other values.
fn overridden(workflow: &Workflow, values: &[(String, String)]) -> Result<Vec<Parameter>, String> {
    let mut parameters = workflow.spec.arguments.parameters.clone();
    let stored = workflow.status.as_ref().and_then(|status| status.stored_workflow_template_spec.as_ref());
    for (name, value) in values {
        let of_template = stored.iter().flat_map(|spec| &spec.arguments.parameters);
        let known = parameters.iter().chain(of_template).find(|one| one.name == *name).cloned();
        let known = known.ok_or_else(|| format!("the workflow {} has no parameter {name:?}", workflow.name_any()))?;
        let changed = Parameter { value: Some(value.as_str().into()), value_from: None, ..known };
        match parameters.iter_mut().find(|one| one.name == *name) {
            Some(have) => *have = changed,
            None => parameters.push(changed),
        }
    }
    Ok(parameters)
}

/// What becomes of a node: forgotten, running again, or only without what comes after it; nothing, when it stays as it is.
fn change(node: &NodeStatus, forgotten: &BTreeSet<&str>, again: bool, now: &str) -> Option<Value> {
    if forgotten.contains(node.id.as_str()) {
        return Some(Value::Null);
    }
    let mut changed = Map::new();
    if again {
        let fields = [
            ("phase", json!("Running")),
            ("startedAt", json!(now)),
            ("finishedAt", json!(null)),
            ("message", json!(null)),
        ];
        changed.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    }
    for (key, ids) in [("children", &node.children), ("outboundNodes", &node.outbound_nodes)] {
        let left: Vec<&String> = ids.iter().filter(|id| !forgotten.contains(id.as_str())).collect();
        if left.len() < ids.len() {
            changed.insert(key.to_owned(), json!(left));
        }
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

#[cfg(test)]
mod tests;
