//! Nodes: made, found, marked and joined.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_api::workflows::{Inputs, NodeFlag, NodePhase, NodeStatus, NodeType};

use super::Operation;
use super::call::Call;
use crate::names;

/// Whether nothing more is waited for: a node in the background counts as ended once it runs.
pub(super) fn is_over(node: &NodeStatus) -> bool {
    node.phase.is_fulfilled() || (node.daemoned == Some(true) && node.phase != NodePhase::Pending)
}

/// Whether a node is a pod, or waits in place of one.
pub(super) fn is_leaf(kind: NodeType) -> bool {
    matches!(
        kind,
        NodeType::Pod | NodeType::Suspend | NodeType::HTTP | NodeType::Plugin | NodeType::Skipped | NodeType::Container
    )
}

impl Operation<'_> {
    pub(super) fn id(&self, name: &str) -> String {
        names::node_id(&self.name, name)
    }

    pub(super) fn node(&self, id: &str) -> Option<&NodeStatus> {
        self.status.nodes.get(id)
    }

    pub(super) fn node_named(&self, name: &str) -> Option<&NodeStatus> {
        self.node(&self.id(name))
    }

    /// Makes the node of a call.
    pub(super) fn make(
        &mut self,
        call: &Call,
        kind: NodeType,
        phase: NodePhase,
        inputs: Option<Inputs>,
    ) -> &mut NodeStatus {
        let id = self.id(&call.name);
        let flag = NodeFlag { hooked: call.hooked.then_some(true), retried: call.retried.then_some(true) };
        let node = NodeStatus {
            id: id.clone(),
            name: call.name.clone(),
            display_name: call.display.clone(),
            r#type: kind,
            template_name: call.holder.name(),
            template_ref: call.holder.template_ref.clone(),
            template_scope: Some(call.origin.scope(&self.name)),
            phase,
            boundary_id: Some(call.boundary.clone()).filter(|boundary| !boundary.is_empty()),
            started_at: Some(Time(self.now)),
            finished_at: phase.is_fulfilled().then_some(Time(self.now)),
            node_flag: Some(flag).filter(|flag| *flag != NodeFlag::default()),
            inputs: inputs.filter(|inputs| *inputs != Inputs::default()),
            ..NodeStatus::default()
        };
        self.changes += 1;
        self.status.nodes.entry(id).insert_entry(node).into_mut()
    }

    /// Marks a node, and notes its end.
    pub(super) fn mark(&mut self, id: &str, phase: NodePhase, message: Option<String>) {
        let now = self.now;
        let Some(node) = self.status.nodes.get_mut(id) else { return };
        node.message = message;
        if node.phase == phase {
            return;
        }
        node.phase = phase;
        self.changes += 1;
        if phase.is_fulfilled() && node.finished_at.is_none() {
            node.finished_at = Some(Time(now));
        }
        if phase.is_fulfilled() {
            self.release_node(id);
        }
        let Some(node) = self.node(id) else { return };
        let failed = phase.is_failed();
        let (name, message) = (node.name.clone(), node.message.clone());
        let reason = match phase {
            NodePhase::Running => "WorkflowNodeRunning",
            NodePhase::Succeeded => "WorkflowNodeSucceeded",
            NodePhase::Failed => "WorkflowNodeFailed",
            NodePhase::Error => "WorkflowNodeError",
            _ => return,
        };
        let told = message.map_or_else(String::new, |message| format!(": {message}"));
        self.turn.events.push((failed, reason, format!("{phase} node {name}{told}")));
    }

    /// A call that cannot be carried out becomes a node that says why.
    pub(super) fn refuse(&mut self, call: &Call, why: String) -> Option<String> {
        let id = self.id(&call.name);
        if self.node(&id).is_none() {
            self.make(call, NodeType::Skipped, NodePhase::Pending, None);
        }
        self.mark(&id, NodePhase::Error, Some(why));
        Some(id)
    }

    /// Notes that one node comes after another.
    pub(super) fn join(&mut self, parent: &str, child: &str) {
        if parent == child {
            return;
        }
        if let Some(node) = self.status.nodes.get_mut(parent)
            && !node.children.iter().any(|have| have == child)
        {
            node.children.push(child.to_owned());
        }
    }

    /// Ids of the last nodes within a node: those that others come after.
    pub(super) fn outbound(&self, id: &str) -> Vec<String> {
        let Some(node) = self.node(id) else { return Vec::new() };
        match node.r#type {
            NodeType::Retry => match node.children.last() {
                Some(last) => self.outbound(last),
                None => vec![id.to_owned()],
            },
            NodeType::TaskGroup => {
                let mut found: Vec<String> = node.children.iter().flat_map(|child| self.outbound(child)).collect();
                if found.is_empty() {
                    found.push(id.to_owned());
                }
                found
            }
            _ if node.outbound_nodes.is_empty() => vec![id.to_owned()],
            _ => node.outbound_nodes.clone(),
        }
    }

    /// Ends the background nodes of a scope that is over.
    pub(super) fn end_daemons(&mut self, boundary: &str) {
        let daemons: Vec<String> = self
            .status
            .nodes
            .values()
            .filter(|node| node.daemoned == Some(true) && node.boundary_id.as_deref() == Some(boundary))
            .map(|node| node.id.clone())
            .collect();
        for id in daemons {
            if let Some(pod) = self.pod_of(&id) {
                self.turn.stop.push(pod);
            }
            if let Some(node) = self.status.nodes.get_mut(&id) {
                node.daemoned = None;
            }
            self.mark(&id, NodePhase::Succeeded, None);
        }
    }

    /// The name of a node's pod.
    pub(super) fn pod_of(&self, id: &str) -> Option<String> {
        names::pod_of(self.workflow, self.node(id)?)
    }
}
