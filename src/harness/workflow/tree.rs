//! A workflow as a tree of its nodes, in the order in which they began. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde::Serialize;
use tinderbox_api::workflows::{NodeStatus, NodeType, Workflow, WorkflowStatus};
use tinderbox_platform::workflows::names::pod_of;

use super::WorkflowLine;

/// One workflow.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowReport {
    /// What a list says of it.
    #[serde(flatten)]
    pub line: WorkflowLine,
    /// Its parameters, as `name=value`.
    pub parameters: Vec<String>,
    /// Its nodes, each before those that it is made of.
    pub nodes: Vec<NodeLine>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeLine {
    /// How many nodes it is part of.
    pub depth: usize,
    /// It is the last one of its node.
    pub last: bool,
    /// Its name alone.
    pub name: String,
    /// What it is.
    pub r#type: String,
    /// Its phase.
    pub phase: String,
    /// Name of its template.
    pub template: String,
    /// Name of its pod, where it has one.
    pub pod: Option<String>,
    /// How long it has taken, in seconds.
    pub seconds: Option<i64>,
    /// What is to be said of it.
    pub message: String,
}

pub(super) fn line(workflow: &Workflow) -> WorkflowLine {
    let empty = WorkflowStatus::default();
    let status = workflow.status.as_ref().unwrap_or(&empty);
    let phase = if workflow.status.is_none() { String::new() } else { status.phase.to_string() };
    WorkflowLine {
        namespace: workflow.namespace().unwrap_or_default(),
        name: workflow.name_any(),
        phase,
        progress: status.progress.clone().unwrap_or_default(),
        seconds: seconds(status.started_at.as_ref(), status.finished_at.as_ref()),
        message: status.message.clone().unwrap_or_default(),
    }
}

pub(super) fn report(workflow: &Workflow) -> WorkflowReport {
    let parameters = workflow.spec.arguments.parameters.iter().map(|one| {
        let value = one.value.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{}={value}", one.name)
    });
    WorkflowReport { line: line(workflow), parameters: parameters.collect(), nodes: nodes(workflow) }
}

fn seconds(from: Option<&Time>, to: Option<&Time>) -> Option<i64> {
    let end = to.map_or_else(Timestamp::now, |time| time.0);
    Some(end.as_second() - from?.0.as_second())
}

/// The nodes of a workflow in the order in which they began.
pub(super) fn in_order(workflow: &Workflow) -> Vec<&NodeStatus> {
    let mut nodes: Vec<&NodeStatus> = workflow.status.iter().flat_map(|status| status.nodes.values()).collect();
    nodes.sort_by_key(|node| (node.started_at.as_ref().map(|time| time.0), node.name.as_str()));
    nodes
}

fn nodes(workflow: &Workflow) -> Vec<NodeLine> {
    let mut all = in_order(workflow);
    // Groups of steps and of tasks say no more than what is in them.
    all.retain(|node| !matches!(node.r#type, NodeType::StepGroup | NodeType::TaskGroup));
    let is_there = |id: &str| all.iter().any(|node| node.id == id);
    let retries = all.iter().filter(|node| node.r#type == NodeType::Retry);
    let tries: HashMap<&str, &str> =
        retries.flat_map(|node| node.children.iter().map(|child| (child.as_str(), node.id.as_str()))).collect();
    let of = |whole: Option<&str>| -> Vec<&NodeStatus> {
        let own = |node: &&&NodeStatus| {
            let retry = tries.get(node.id.as_str()).copied();
            retry.or(node.boundary_id.as_deref()).filter(|id| is_there(id)) == whole
        };
        all.iter().filter(own).copied().collect()
    };
    let mut lines = Vec::new();
    let mut open: Vec<(&NodeStatus, usize, bool)> = of(None).into_iter().rev().map(|node| (node, 0, true)).collect();
    while let Some((node, depth, last)) = open.pop() {
        lines.push(of_node(workflow, node, depth, last));
        let parts = of(Some(&node.id));
        let marked = parts.iter().enumerate().map(|(index, part)| (*part, depth + 1, index + 1 == parts.len()));
        open.extend(marked.rev().collect::<Vec<_>>());
    }
    lines
}

fn of_node(workflow: &Workflow, node: &NodeStatus, depth: usize, last: bool) -> NodeLine {
    let template = node.template_name.clone().or_else(|| node.template_ref.as_ref().map(|of| of.template.clone()));
    let template = template.unwrap_or_default();
    NodeLine {
        depth,
        last,
        name: node.display_name.clone(),
        r#type: node.r#type.to_string(),
        phase: node.phase.to_string(),
        pod: pod_of(workflow, node).filter(|_| node.r#type == NodeType::Pod),
        template,
        seconds: seconds(node.started_at.as_ref(), node.finished_at.as_ref()),
        message: node.message.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nodes_stand_under_what_they_are_part_of() {
        let node = |id: &str, name: &str, kind: &str, boundary: Option<&str>, second: u32| -> (String, Value) {
            let value = json!({"id": id, "name": name, "displayName": name.rsplit('.').next(), "type": kind, "phase": "Succeeded",
                "templateName": "t", "boundaryID": boundary, "startedAt": format!("2026-01-31T00:00:{second:02}Z"),
                "finishedAt": "2026-01-31T00:00:30Z"});
            (id.to_owned(), value)
        };
        let nodes = [
            node("wf", "wf", "DAG", None, 0),
            node("wf-2", "wf.B", "Steps", Some("wf"), 5),
            node("wf-1", "wf.A", "Pod", Some("wf"), 1),
            node("wf-3", "wf.B[0]", "StepGroup", Some("wf-2"), 5),
            node("wf-4", "wf.B[0].one", "Pod", Some("wf-2"), 6),
            node("wf-5", "wf.onExit", "Retry", None, 9),
            node("wf-6", "wf.onExit(0)", "Pod", None, 9),
        ];
        let mut nodes: serde_json::Map<String, Value> = nodes.into_iter().collect();
        nodes["wf-5"]["children"] = json!(["wf-6"]);
        let workflow: Workflow =
            serde_json::from_value(json!({"metadata": {"name": "wf"}, "spec": {"entrypoint": "t"},
            "status": {"phase": "Succeeded", "nodes": nodes}}))
            .expect("a workflow");
        let told: Vec<_> = super::nodes(&workflow)
            .into_iter()
            .map(|line| (line.depth, line.last, line.name, line.pod.is_some(), line.seconds))
            .collect();
        let wanted = [
            (0, true, "wf", false, 30),
            (1, false, "A", true, 29),
            (1, true, "B", false, 25),
            (2, true, "one", true, 24),
            (0, true, "onExit", false, 21),
            (1, true, "onExit(0)", true, 21),
        ];
        let wanted = wanted.map(|(depth, last, name, pod, seconds)| (depth, last, name.to_owned(), pod, Some(seconds)));
        assert_eq!(told, wanted);
    }
}
