//! Graphs of tasks: each begins when what it waits for has ended as it wants.
//! Upstream rule: `workflow/controller/dag.go` of argoproj/argo-workflows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tinderbox_api::workflows::{DagTask, NodePhase, NodeType, Template};

use super::Operation;
use super::call::{Call, Holder, Origin};
use super::execute::Body;
use super::expand::Unit;
use super::nodes::is_over;
use crate::depends;
use crate::lint;
use crate::tags::{Scope, Unknown, fill};

/// A task with what it waits for.
pub(super) struct Task {
    /// Its place among the template's.
    at: usize,
    waits_for: Vec<String>,
    id: String,
    hooked: bool,
}

/// A graph that is gone through.
pub(super) struct Graph {
    template: Rc<Template>,
    tasks: BTreeMap<String, Task>,
    /// Tasks that are needed, those that others wait for first.
    order: Vec<String>,
    targets: Vec<String>,
    fail_fast: bool,
}

impl Graph {
    /// All tasks as the template says them.
    fn said(&self) -> &[DagTask] {
        self.template.dag.as_ref().map_or(&[], |dag| &dag.tasks)
    }

    fn unit(&self, task: &Task) -> Unit {
        Unit::of_task(&self.said()[task.at])
    }

    /// The tasks that these wait for, and those that they wait for, and so on.
    fn before<'a>(&'a self, names: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut left: Vec<&str> = names.into_iter().map(String::as_str).collect();
        while let Some(next) = left.pop() {
            for before in self.tasks.get(next).iter().flat_map(|task| &task.waits_for) {
                if found.insert(before.as_str()) {
                    left.push(before);
                }
            }
        }
        found
    }
}

impl Operation<'_> {
    pub(super) fn dag(&mut self, call: &Call, body: &Body) {
        let id = self.open(call, NodeType::DAG, body);
        let known = self.graphs.get(&id).cloned();
        let graph = match known.map_or_else(|| self.graph(call, body).map(Rc::new), Ok) {
            Ok(graph) => graph,
            Err(why) => return self.mark(&id, NodePhase::Error, Some(why)),
        };
        self.graphs.insert(id.clone(), graph.clone());
        let mut ends = self.ends(&graph);
        let mut waiting = false;
        let mut hooked: BTreeMap<String, bool> = BTreeMap::new();
        for name in &graph.order {
            let task = &graph.tasks[name];
            if self.node(&task.id).is_none() {
                let ready = task.waits_for.iter().all(|before| {
                    let over = self.node(&graph.tasks[before].id).is_some_and(is_over);
                    over && hooked.get(before) != Some(&false)
                });
                if !ready {
                    waiting = true;
                    continue;
                }
                if !self.wants(&graph, task) {
                    self.omit(call, &id, &graph, task);
                } else if (graph.fail_fast && failed_target(&graph, &ends).is_some())
                    || (self.stop_message().is_some() && !call.on_exit)
                {
                    continue;
                } else {
                    self.task(call, body, &id, &graph, task);
                }
            } else if !self.node(&task.id).is_some_and(is_over) {
                self.task(call, body, &id, &graph, task);
            }
            if task.hooked && self.node(&task.id).is_some() {
                let unit = graph.unit(task);
                let scope = self.task_scope(body, &graph, name, &hook_text(&unit));
                let around = Call { origin: body.origin.clone(), ..call.clone() };
                let done = self.hooks(&unit, &task.id, "tasks", &scope, &around, &id);
                hooked.insert(name.clone(), done);
            }
            let end = self.end_of(&graph, task, &ends);
            let over = end.is_some();
            ends.extend(end.map(|end| (name.clone(), end)));
            waiting |= !over || hooked.get(name) == Some(&false);
        }
        let failed = failed_target(&graph, &ends);
        let stopped = self.stop_message().filter(|_| !call.on_exit);
        let open = graph.tasks.values().any(|task| self.node(&task.id).is_some_and(|node| !is_over(node)));
        let gives_up = (graph.fail_fast && failed.is_some()) || stopped.is_some();
        if open || hooked.values().any(|done| !done) || (waiting && !gives_up) {
            return;
        }
        let last: Vec<String> = graph.targets.iter().flat_map(|name| self.outbound_of(&graph.tasks[name].id)).collect();
        self.set_outbound(&id, &last);
        if let Some(phase) = failed {
            return self.mark(&id, phase, None);
        }
        if waiting || graph.order.iter().any(|name| self.node(&graph.tasks[name].id).is_none()) {
            return self.mark(&id, NodePhase::Failed, stopped);
        }
        let text = serde_json::to_string(&body.template.outputs).unwrap_or_default();
        let mut scope = body.scope.clone();
        for (name, task) in graph.tasks.iter().filter(|(name, _)| text.contains(name.as_str())) {
            self.add_unit(&mut scope, &format!("tasks.{name}"), &task.id);
        }
        match self.collect(&id, body, &scope) {
            Ok(()) => self.mark(&id, NodePhase::Succeeded, None),
            Err(why) => self.mark(&id, NodePhase::Error, Some(why)),
        }
    }

    fn outbound_of(&self, id: &str) -> Vec<String> {
        if self.node(id).is_some() { self.outbound(id) } else { Vec::new() }
    }

    fn graph(&self, call: &Call, body: &Body) -> Result<Graph, String> {
        let Some(dag) = &body.template.dag else { return Err("the template has no dag".to_owned()) };
        if body.origin != Origin::Local || call.holder.inline.is_some() {
            lint::tasks(&dag.tasks)?;
        }
        let mut tasks = BTreeMap::new();
        for (at, task) in dag.tasks.iter().enumerate() {
            let made = Task {
                at,
                waits_for: depends::names(task),
                id: self.id(&format!("{}.{}", call.name, task.name)),
                hooked: !task.hooks.is_empty() || task.on_exit.is_some(),
            };
            tasks.insert(task.name.clone(), made);
        }
        let target = fill(dag.target.as_deref().unwrap_or_default(), &body.scope, Unknown::Refused)?;
        let mut targets: Vec<String> = target.split_whitespace().map(str::to_owned).collect();
        if let Some(unknown) = targets.iter().find(|name| !tasks.contains_key(*name)) {
            return Err(format!("target '{unknown}' is not defined"));
        }
        if targets.is_empty() {
            let waited: BTreeSet<&String> = tasks.values().flat_map(|task| &task.waits_for).collect();
            targets = dag.tasks.iter().map(|task| task.name.clone()).filter(|name| !waited.contains(name)).collect();
        }
        let template = body.template.clone();
        let mut graph = Graph { template, tasks, order: Vec::new(), targets, fail_fast: dag.fail_fast.unwrap_or(true) };
        let mut needed = graph.before(&graph.targets);
        needed.extend(graph.targets.iter().map(String::as_str));
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        let mut order = Vec::with_capacity(needed.len());
        while placed.len() < needed.len() {
            let before = placed.len();
            for task in dag.tasks.iter().filter(|task| needed.contains(task.name.as_str())) {
                let ready = graph.tasks[&task.name].waits_for.iter().all(|before| placed.contains(before.as_str()));
                if ready && placed.insert(&task.name) {
                    order.push(task.name.clone());
                }
            }
            if placed.len() == before {
                return Err("dependency cycle detected".to_owned());
            }
        }
        graph.order = order;
        Ok(graph)
    }

    /// Whether what a task waits for has ended as it wants.
    fn wants(&self, graph: &Graph, task: &Task) -> bool {
        let mut ended = |name: &str, end: &str| {
            let node = self.node(&graph.tasks.get(name)?.id)?;
            let children = || node.children.iter().filter_map(|child| self.node(child));
            let many = node.r#type == NodeType::TaskGroup;
            Some(match end {
                "Succeeded" => node.phase == NodePhase::Succeeded,
                "Failed" => node.phase == NodePhase::Failed,
                "Errored" => node.phase == NodePhase::Error,
                "Skipped" => node.phase == NodePhase::Skipped,
                "Omitted" => node.phase == NodePhase::Omitted,
                "Daemoned" => node.daemoned == Some(true) && node.phase != NodePhase::Pending,
                "AnySucceeded" if many => children().any(|child| child.phase == NodePhase::Succeeded),
                "AllFailed" if many => children().all(|child| child.phase.is_failed()),
                "AnySucceeded" => node.phase == NodePhase::Succeeded,
                "AllFailed" => node.phase.is_failed(),
                _ => return None,
            })
        };
        let all = graph.said();
        let continues = |name: &str| all[graph.tasks.get(name)?.at].continue_on.as_ref();
        depends::evaluate(&depends::of(&all[task.at], continues), &mut ended).unwrap_or(false)
    }

    fn omit(&mut self, call: &Call, id: &str, graph: &Graph, task: &Task) {
        let said = &graph.said()[task.at];
        let child = self.child(call, &said.name, Holder::of_task(said), id);
        let node = self.make(&child, NodeType::Skipped, NodePhase::Omitted, None);
        node.message = Some("omitted: depends condition not met".to_owned());
        self.connect(id, graph, task);
    }

    fn connect(&mut self, id: &str, graph: &Graph, task: &Task) {
        if task.waits_for.is_empty() {
            self.join(id, &task.id);
        }
        for before in &task.waits_for {
            for last in self.outbound(&graph.tasks[before].id) {
                self.join(&last, &task.id);
            }
        }
    }

    /// How the branch that ends with a task ended, if it has: what was omitted ended as what it waited for.
    fn end_of(&self, graph: &Graph, task: &Task, ends: &BTreeMap<String, NodePhase>) -> Option<NodePhase> {
        let node = self.node(&task.id).filter(|node| is_over(node))?;
        if node.phase != NodePhase::Omitted {
            let continues = node.phase.is_failed() && graph.unit(task).continues(node.phase);
            return Some(if continues { NodePhase::Succeeded } else { node.phase });
        }
        let before = task.waits_for.iter().filter_map(|before| ends.get(before));
        Some(before.copied().find(|phase| phase.is_failed()).unwrap_or(NodePhase::Succeeded))
    }

    /// How the branches ended that have.
    fn ends(&self, graph: &Graph) -> BTreeMap<String, NodePhase> {
        let mut ends = BTreeMap::new();
        for name in &graph.order {
            let end = self.end_of(graph, &graph.tasks[name], &ends);
            ends.extend(end.map(|end| (name.clone(), end)));
        }
        ends
    }

    /// What tags mean in a task: inputs, and what tasks before it gave.
    fn task_scope(&self, body: &Body, graph: &Graph, name: &String, text: &str) -> Scope {
        let mut scope = body.scope.clone();
        if !text.contains("tasks") {
            return scope;
        }
        for before in graph.before([name]).into_iter().filter(|before| text.contains(before)) {
            self.add_unit(&mut scope, &format!("tasks.{before}"), &graph.tasks[before].id);
        }
        scope
    }

    fn task(&mut self, call: &Call, body: &Body, id: &str, graph: &Graph, task: &Task) {
        let existing = self.node(&task.id).map(|node| (node.r#type, node.synchronization_status.is_some()));
        if let Some((kind, waits)) = existing
            && super::nodes::is_leaf(kind)
            && !waits
        {
            return;
        }
        let unit = graph.unit(task);
        let scope = self.task_scope(body, graph, &unit.name, &text_of(&graph.said()[task.at]));
        let origin_call = Call { origin: body.origin.clone(), ..call.clone() };
        if unit.is_many() {
            self.task_group(&origin_call, id, graph, (task, &unit), &scope);
            return;
        }
        let child = self.child(&origin_call, &unit.name, unit.holder.clone(), id);
        match self.one(&unit, &scope, existing.is_some()) {
            Err(why) => {
                self.refuse(&child, why);
            }
            Ok(one) => {
                let child = Call { arguments: one.arguments, holder: one.holder, ..child };
                if let Some(why) = one.skipped {
                    let node = self.make(&child, NodeType::Skipped, NodePhase::Skipped, None);
                    node.message = Some(why);
                    self.give_defaults(&task.id, &child.holder, &child.origin);
                } else if self.execute(&child).is_none() {
                    return;
                }
            }
        }
        self.connect(id, graph, task);
    }

    fn task_group(&mut self, call: &Call, id: &str, graph: &Graph, (task, unit): (&Task, &Unit), scope: &Scope) {
        let group = self.child(call, &unit.name, unit.holder.clone(), id);
        let exists = |name: &str| self.node_named(&format!("{}.{name}", call.name)).is_some();
        let ones = match self.many(unit, scope, &exists) {
            Ok(ones) => ones,
            Err(why) => {
                self.refuse(&group, why);
                return self.connect(id, graph, task);
            }
        };
        if ones.is_empty() {
            let node = self.make(&group, NodeType::Skipped, NodePhase::Skipped, None);
            node.message = Some("Skipped, empty params".to_owned());
            return self.connect(id, graph, task);
        }
        if self.node(&task.id).is_none() {
            self.make(&group, NodeType::TaskGroup, NodePhase::Running, None);
            self.connect(id, graph, task);
        }
        let (mut over, mut phase) = (true, NodePhase::Succeeded);
        for one in ones {
            let child = Call { arguments: one.arguments, ..self.child(call, &one.name, one.holder, id) };
            let child_id = match one.skipped {
                Some(why) => Some(self.skip(&child, why, &task.id)),
                None => self.execute(&child),
            };
            let Some(child_id) = child_id else {
                over = self.stop_message().is_some() && !call.on_exit && over;
                continue;
            };
            self.join(&task.id, &child_id);
            match self.node(&child_id) {
                Some(node) if is_over(node) => {
                    if node.phase.is_failed() {
                        phase = node.phase;
                    }
                }
                _ => over = false,
            }
        }
        if over {
            self.mark(&task.id, phase, None);
        }
    }
}

fn failed_target(graph: &Graph, ends: &BTreeMap<String, NodePhase>) -> Option<NodePhase> {
    graph.targets.iter().filter_map(|name| ends.get(name)).copied().find(|phase| phase.is_failed())
}

/// Everything of a task that tags can stand in.
fn text_of(task: &DagTask) -> String {
    let mut plain = task.clone();
    plain.inline = None;
    serde_json::to_string(&plain).unwrap_or_default()
}

fn hook_text(unit: &Unit) -> String {
    serde_json::to_string(&unit.hooks).unwrap_or_default()
}
