//! Steps: groups one after the other, the members of a group side by side.
//! Upstream rule: `workflow/controller/steps.go` of argoproj/argo-workflows.

use std::rc::Rc;

use tinderbox_api::workflows::{NodePhase, NodeStatus, NodeType, StepGroup};

use super::Operation;
use super::call::{Call, Holder, Origin};
use super::execute::Body;
use super::expand::{One, Unit};
use super::nodes::is_over;
use super::outputs::add_many;
use crate::tags::Scope;

impl Operation<'_> {
    pub(super) fn steps(&mut self, call: &Call, body: &Body) {
        let id = self.open(call, NodeType::Steps, body);
        let template = body.template.clone();
        let mut scope = body.scope.clone();
        let mut last = vec![id.clone()];
        for (index, group) in template.steps.iter().enumerate() {
            let name = format!("{}[{index}]", call.name);
            let group_id = self.id(&name);
            let group_call = Call {
                name: name.clone(),
                display: format!("[{index}]"),
                holder: Holder::default(),
                origin: body.origin.clone(),
                boundary: id.clone(),
                ..call.clone()
            };
            let group_call = Call { retried: false, hooked: false, ..group_call };
            if self.node(&group_id).is_none() {
                if self.stop_message().is_some() && !call.on_exit {
                    let message = self.stop_message();
                    self.mark(&id, NodePhase::Failed, message);
                    return;
                }
                self.make(&group_call, NodeType::StepGroup, NodePhase::Running, None);
                for before in &last {
                    self.join(before, &group_id);
                }
            }
            let children = self.group(&group_call, group, &id, &scope);
            let Some(node) = self.node(&group_id).cloned() else { return };
            if !node.phase.is_fulfilled() {
                return;
            }
            last = children.iter().flat_map(|child| self.outbound(child)).collect();
            if last.is_empty() {
                last = vec![group_id.clone()];
            }
            self.set_outbound(&group_id, &last);
            if node.phase.is_failed() {
                self.set_outbound(&id, &last);
                self.mark(&id, node.phase, node.message.clone());
                return;
            }
            for step in &group.0 {
                self.add_step(
                    &mut scope,
                    &name,
                    step.name.as_str(),
                    !step.with_items.is_empty() || step.with_param.is_some() || step.with_sequence.is_some(),
                );
            }
        }
        self.set_outbound(&id, &last);
        match self.collect(&id, body, &scope) {
            Ok(()) => self.mark(&id, NodePhase::Succeeded, None),
            Err(why) => self.mark(&id, NodePhase::Error, Some(why)),
        }
    }

    pub(super) fn set_outbound(&mut self, id: &str, last: &[String]) {
        if let Some(node) = self.status.nodes.get_mut(id) {
            node.outbound_nodes = last.to_vec();
        }
    }

    /// Adds what a step gives; the nodes of an expanded one have its name and a bracket.
    fn add_step(&self, scope: &mut Scope, group: &str, step: &str, many: bool) {
        let prefix = format!("steps.{step}");
        let id = self.id(&format!("{group}.{step}"));
        if !many || self.node(&id).is_some() {
            self.add_unit(scope, &prefix, &id);
            return;
        }
        let beginning = format!("{group}.{step}(");
        let mut nodes: Vec<(usize, NodeStatus)> = Vec::new();
        for node in self.status.nodes.values().filter(|node| node.r#type != NodeType::StepGroup) {
            if let Some(rest) = node.name.strip_prefix(&beginning)
                && node.name.ends_with(&node.display_name)
                && let Some((index, _)) = rest.split_once(':')
                && let Ok(index) = index.parse()
                && node.display_name.starts_with(&format!("{step}("))
                && node.node_flag.as_ref().is_none_or(|flag| flag.retried != Some(true))
            {
                nodes.push((index, node.clone()));
            }
        }
        nodes.sort_by_key(|(index, _)| *index);
        let nodes: Vec<NodeStatus> = nodes.into_iter().map(|(_, node)| node).collect();
        add_many(scope, &prefix, &nodes);
    }

    /// Carries out the members of a group; the ids of their nodes.
    fn group(&mut self, group: &Call, steps: &StepGroup, boundary: &str, scope: &Scope) -> Vec<String> {
        let group_id = self.id(&group.name);
        let mut children = Vec::new();
        let (mut over, mut failed) = (true, None);
        for step in &steps.0 {
            let unit = Unit::of_step(step);
            let ones = match self.ones(&unit, group, scope) {
                Ok(ones) => ones,
                Err(why) => {
                    let call = self.child(group, &unit.name, unit.holder.clone(), boundary);
                    if let Some(id) = self.refuse(&call, why) {
                        self.join(&group_id, &id);
                        failed = failed.or(Some(id.clone()));
                        children.push(id);
                    }
                    continue;
                }
            };
            if ones.is_empty() {
                let call = self.child(group, &unit.name, unit.holder.clone(), boundary);
                children.push(self.skip(&call, "Skipped, empty params".to_owned(), &group_id));
                continue;
            }
            for one in ones {
                let call = Call { arguments: one.arguments, ..self.child(group, &one.name, one.holder, boundary) };
                let id = match one.skipped {
                    Some(why) => Some(self.skip(&call, why, &group_id)),
                    None => self.execute(&call),
                };
                let Some(id) = id else {
                    over = false;
                    continue;
                };
                self.join(&group_id, &id);
                children.push(id.clone());
                let hooked = self.hooks(&unit, &id, "steps", scope, group, boundary);
                let Some(node) = self.node(&id) else { continue };
                if !is_over(node) || !hooked {
                    over = false;
                } else if node.phase.is_failed() && !unit.continues(node.phase) {
                    failed = failed.or(Some(id));
                }
            }
        }
        let begun = children.iter().all(|child| self.node(child).is_some_and(is_over));
        let stopped = self.stop_message().filter(|_| !group.on_exit && begun);
        if over {
            match failed {
                Some(id) => self.mark(&group_id, NodePhase::Failed, Some(format!("child '{id}' failed"))),
                None => self.mark(&group_id, NodePhase::Succeeded, None),
            }
        } else if stopped.is_some() {
            self.mark(&group_id, NodePhase::Failed, stopped);
        }
        children
    }

    fn ones(&self, unit: &Unit, group: &Call, scope: &Scope) -> Result<Vec<One>, String> {
        let exists = |name: &str| self.node_named(&format!("{}.{name}", group.name)).is_some();
        if unit.is_many() {
            return self.many(unit, scope, &exists);
        }
        let exists = exists(&unit.name);
        self.one(unit, scope, exists).map(|one| vec![one])
    }

    /// The call of a member.
    pub(super) fn child(&self, around: &Call, name: &str, holder: Holder, boundary: &str) -> Call {
        Call {
            name: format!("{}.{name}", around.name),
            display: name.to_owned(),
            holder,
            origin: around.origin.clone(),
            arguments: Default::default(),
            boundary: boundary.to_owned(),
            scope: Rc::new(Scope::new()),
            hooked: false,
            retried: false,
            on_exit: around.on_exit,
        }
    }

    /// Makes the node of what is not run.
    pub(super) fn skip(&mut self, call: &Call, why: String, parent: &str) -> String {
        let id = self.id(&call.name);
        if self.node(&id).is_none() {
            let node = self.make(call, NodeType::Skipped, NodePhase::Skipped, None);
            node.message = Some(why);
            let (holder, origin): (Holder, Origin) = (call.holder.clone(), call.origin.clone());
            self.give_defaults(&id, &holder, &origin);
        }
        self.join(parent, &id);
        id
    }
}
