//! The nodes of a workflow that is over, and what lies around and after each of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tinderbox_api::workflows::{NodePhase, NodeStatus, NodeType};

/// Nodes that have others within them.
fn is_group(kind: NodeType) -> bool {
    matches!(kind, NodeType::Steps | NodeType::StepGroup | NodeType::DAG | NodeType::TaskGroup | NodeType::Retry)
}

fn is_attempt(node: &NodeStatus) -> bool {
    node.node_flag.as_ref().is_some_and(|flag| flag.retried == Some(true))
}

fn is_hooked(node: &NodeStatus) -> bool {
    node.node_flag.as_ref().is_some_and(|flag| flag.hooked == Some(true))
}

/// The last of the attempts around which a node is.
fn last_attempt<'a>(nodes: &'a BTreeMap<String, NodeStatus>, retry: &NodeStatus) -> Option<&'a NodeStatus> {
    retry.children.iter().rev().filter_map(|id| nodes.get(id)).find(|node| is_attempt(node))
}

/// The nodes of a workflow.
pub(super) struct Tree<'a> {
    nodes: &'a BTreeMap<String, NodeStatus>,
    /// Ids of the nodes that a node comes after, or is part of.
    parents: BTreeMap<&'a str, Vec<&'a str>>,
    /// The name of the workflow's exit handler.
    on_exit: String,
}

impl<'a> Tree<'a> {
    pub(super) fn new(workflow: &str, nodes: &'a BTreeMap<String, NodeStatus>) -> Self {
        let mut parents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in nodes.values() {
            for child in &node.children {
                parents.entry(child).or_default().push(&node.id);
            }
        }
        Self { nodes, parents, on_exit: format!("{workflow}.onExit") }
    }

    /// Ids of the nodes that are forgotten: those that are restarted, those that failed and that nothing was built on, all that comes
    /// after them, and the exit handler.
    pub(super) fn forgotten(&self, restarted: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
        let mut forgotten = BTreeSet::new();
        for node in self.nodes.values() {
            let failed = node.phase.is_failed() && !is_group(node.r#type) && node.r#type != NodeType::Container;
            if node.name.starts_with(&self.on_exit)
                || restarted.contains(node.id.as_str())
                || (failed && !self.is_left(node, restarted))
            {
                forgotten.insert(node.id.as_str());
                forgotten.extend(self.after([node.id.as_str()], &|_| true));
            }
        }
        forgotten
    }

    /// Ids of the nodes that go on: those around what is forgotten, and those that failed by themselves.
    pub(super) fn again(&self, forgotten: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
        let failed = self
            .nodes
            .values()
            .filter(|node| node.phase.is_failed() && is_group(node.r#type) && !self.is_left(node, &BTreeSet::new()));
        let mut left: Vec<&str> = forgotten.iter().copied().collect();
        let mut found: BTreeSet<&str> = failed.map(|node| node.id.as_str()).collect();
        left.extend(&found);
        while let Some(id) = left.pop() {
            for around in self.nodes.get(id).into_iter().flat_map(|node| self.around(node)) {
                if found.insert(around.id.as_str()) {
                    left.push(&around.id);
                }
            }
        }
        found.retain(|id| !forgotten.contains(id));
        found
    }

    /// Whether a failure is left as it is: something was built on it, or another attempt followed.
    fn is_left(&self, node: &'a NodeStatus, restarted: &BTreeSet<&'a str>) -> bool {
        self.is_followed(node, restarted) || self.is_of_an_earlier_attempt(node)
    }

    /// Whether something that comes after a node, or after all of its attempts, succeeded; what hooks do does not count.
    fn is_followed(&self, node: &'a NodeStatus, restarted: &BTreeSet<&'a str>) -> bool {
        let whole = if is_attempt(node) { self.retry_of(node).unwrap_or(node) } else { node };
        let after = self.after(self.ends(whole), &|node| !is_hooked(node));
        let built = |after: &NodeStatus| {
            let within = after.boundary_id.as_ref() == Some(&whole.id);
            after.phase == NodePhase::Succeeded && !within && !restarted.contains(after.id.as_str())
        };
        whole.phase == NodePhase::Succeeded || after.iter().filter_map(|id| self.nodes.get(*id)).any(built)
    }

    /// Ids of the last nodes within a node: those that others come after.
    fn ends(&self, node: &'a NodeStatus) -> Vec<&'a str> {
        match (node.r#type, last_attempt(self.nodes, node)) {
            (NodeType::Retry, Some(last)) => self.ends(last),
            _ if node.outbound_nodes.is_empty() => vec![&node.id],
            _ => node.outbound_nodes.iter().map(String::as_str).collect(),
        }
    }

    /// Whether a node lies within an attempt (and is none itself) that another one followed.
    fn is_of_an_earlier_attempt(&self, node: &'a NodeStatus) -> bool {
        let earlier = |attempt: &'a NodeStatus| {
            let last = self.retry_of(attempt).and_then(|retry| last_attempt(self.nodes, retry));
            is_attempt(attempt) && is_group(attempt.r#type) && last.is_some_and(|last| last.id != attempt.id)
        };
        let mut left = vec![node];
        while let Some(next) = left.pop() {
            if earlier(next) {
                return true;
            }
            left.extend(self.around(next));
        }
        false
    }

    fn retry_of(&self, attempt: &NodeStatus) -> Option<&'a NodeStatus> {
        self.parents(attempt).find(|parent| parent.r#type == NodeType::Retry)
    }

    fn parents(&self, node: &NodeStatus) -> impl Iterator<Item = &'a NodeStatus> {
        self.parents.get(node.id.as_str()).into_iter().flatten().filter_map(|id| self.nodes.get(*id))
    }

    /// The nodes that a node is part of: its template's, and the groups and attempts that it is a member of.
    fn around(&self, node: &NodeStatus) -> Vec<&'a NodeStatus> {
        let members = [NodeType::Retry, NodeType::StepGroup, NodeType::TaskGroup];
        let mut found: Vec<&NodeStatus> = self
            .parents(node)
            .filter(|parent| members.contains(&parent.r#type) && node.name.starts_with(&parent.name))
            .collect();
        found.extend(node.boundary_id.as_ref().and_then(|id| self.nodes.get(id)));
        found
    }

    /// Ids of all that comes after these nodes, or is within them, as far as one gets through nodes that may be passed.
    fn after(&self, ids: impl IntoIterator<Item = &'a str>, may: &dyn Fn(&NodeStatus) -> bool) -> BTreeSet<&'a str> {
        let mut left: Vec<&str> = ids.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(id) = left.pop() {
            let children = self.nodes.get(id).into_iter().flat_map(|node| &node.children);
            for child in children.filter(|child| self.nodes.get(*child).is_some_and(may)) {
                if found.insert(child.as_str()) {
                    left.push(child);
                }
            }
        }
        found
    }
}
