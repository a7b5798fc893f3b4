//! How much at once, and how long: parallelism, deadlines, stops, pauses.

use jiff::Timestamp;
use tinderbox_api::workflows::{NodePhase, NodeType, SuspendTemplate, Template};

use super::Operation;
use super::call::Call;
use super::nodes::is_over;
use crate::durations;

/// What ends with a deadline says.
const LATE: &str = "Step exceeded its deadline";

impl Operation<'_> {
    /// Whether there is room for one more node.
    pub(super) fn has_room(&self, call: &Call, template: &Template) -> bool {
        if crate::names::is_pod(template)
            && let Some(limit) = self.spec.parallelism
            && self.active >= limit
        {
            return false;
        }
        self.boundary_limit(&call.boundary).is_none_or(|limit| self.active_within(&call.boundary) < limit)
    }

    fn boundary_limit(&self, boundary: &str) -> Option<i64> {
        let node = self.node(boundary)?;
        let (_, template) = self.template_of(node)?;
        template.parallelism
    }

    /// The template that a node was made of, if it was looked up before.
    pub(super) fn template_of(
        &self,
        node: &tinderbox_api::workflows::NodeStatus,
    ) -> Option<(super::call::Origin, std::rc::Rc<Template>)> {
        let name = match &node.template_ref {
            Some(reference) => reference.template.clone(),
            None => node.template_name.clone()?,
        };
        let scope = node.template_scope.as_deref();
        let found = self.templates.iter().find(|((origin, have), _)| {
            *have == name && (scope.is_none() || scope == Some(origin.scope(&self.name).as_str()))
        });
        found.map(|((origin, _), template)| (origin.clone(), template.clone()))
    }

    fn active_within(&self, boundary: &str) -> i64 {
        let counted =
            |kind: NodeType| kind.has_pod() || matches!(kind, NodeType::Steps | NodeType::DAG | NodeType::Suspend);
        let nodes = self.status.nodes.values();
        let active = nodes
            .filter(|node| node.boundary_id.as_deref() == Some(boundary) && counted(node.r#type) && !is_over(node));
        i64::try_from(active.count()).unwrap_or(i64::MAX)
    }

    /// When the workflow's time is over.
    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.spec.active_deadline_seconds?;
        let started = self.status.started_at.as_ref()?.0;
        Some(durations::after(started, jiff::SignedDuration::from_secs(seconds)))
    }

    /// Whether the workflow's time is over.
    pub(super) fn is_late(&self) -> bool {
        self.deadline().is_some_and(|deadline| self.now >= deadline)
    }

    /// Why the workflow was ended, if it was.
    pub(super) fn stop_message(&self) -> Option<String> {
        match self.spec.shutdown.as_deref() {
            Some(strategy) if !strategy.is_empty() => Some(format!("Stopped with strategy '{strategy}'")),
            _ if self.is_late() => Some(LATE.to_owned()),
            _ => None,
        }
    }

    /// Ends nodes whose time is over, or that are not to go on; nodes of exit handlers go on, unless all is terminated.
    pub(super) fn limit(&mut self) {
        let message = self.stop_message();
        let shutdown = self.spec.shutdown.clone().filter(|strategy| !strategy.is_empty());
        if let Some(deadline) = self.deadline().filter(|deadline| *deadline > self.now) {
            self.turn.at(deadline);
        }
        let open: Vec<String> =
            self.status.nodes.values().filter(|node| !node.phase.is_fulfilled()).map(|node| node.id.clone()).collect();
        for id in open {
            let Some(node) = self.node(&id).cloned() else { continue };
            if !super::nodes::is_leaf(node.r#type) {
                continue;
            }
            if let Some(message) = &message
                && (shutdown.as_deref() == Some("Terminate") || !self.is_on_exit(&node.name))
            {
                let message = if shutdown.is_some() {
                    format!("workflow shutdown with strategy:  {}", shutdown.as_deref().unwrap_or_default())
                } else {
                    message.clone()
                };
                self.end_node(&id, message);
                continue;
            }
            self.limit_node(&node);
        }
    }

    fn limit_node(&mut self, node: &tinderbox_api::workflows::NodeStatus) {
        let Some(started) = node.started_at.as_ref() else { return };
        let Some(template) = self.template_for(node) else { return };
        if let Some(suspend) = &template.suspend {
            self.wake_suspended(&node.id, &suspend.clone());
        }
        let Some(timeout) = &template.timeout else { return };
        let mut scope = self.globals.clone();
        super::bind::inputs_scope(&node.inputs.clone().unwrap_or_default(), &mut scope);
        let Ok(timeout) = crate::tags::fill(timeout, &scope, crate::tags::Unknown::Kept) else { return };
        match durations::read(&timeout) {
            Ok(length) => {
                let deadline = durations::after(started.0, length);
                if self.now >= deadline {
                    self.end_node(&node.id, LATE.to_owned());
                } else {
                    self.turn.at(deadline);
                }
            }
            Err(why) => self.end_node(&node.id, why),
        }
    }

    fn end_node(&mut self, id: &str, message: String) {
        if let Some(pod) = self.pod_of(id) {
            let pending = self.node(id).is_some_and(|node| node.phase == NodePhase::Pending);
            if pending { self.turn.delete.push(pod) } else { self.turn.stop.push(pod) }
        }
        if let Some(node) = self.status.nodes.get_mut(id) {
            node.daemoned = None;
        }
        self.mark(id, NodePhase::Failed, Some(message));
    }

    /// Whether a node belongs to an exit handler.
    pub(super) fn is_on_exit(&self, name: &str) -> bool {
        name.contains(".onExit")
    }

    /// Ends a pause whose time is over.
    pub(super) fn wake_suspended(&mut self, id: &str, suspend: &SuspendTemplate) {
        let Some(node) = self.node(id).filter(|node| node.phase == NodePhase::Running) else { return };
        let started = node.started_at.as_ref().map_or(self.now, |time| time.0);
        let Some(length) = suspend.duration.as_ref().and_then(|duration| durations::read(&duration.0).ok()) else {
            return;
        };
        let end = durations::after(started, length);
        if self.now < end {
            self.turn.at(end);
            return;
        }
        let mut missing = None;
        if let Some(outputs) = self.status.nodes.get_mut(id).and_then(|node| node.outputs.as_mut()) {
            for parameter in outputs.parameters.iter_mut().filter(|parameter| parameter.value.is_none()) {
                let default = parameter.value_from.as_ref().and_then(|from| from.default.clone());
                missing = missing.or_else(|| default.is_none().then(|| parameter.name.clone()));
                parameter.value = default;
            }
        }
        match missing {
            None => self.mark(id, NodePhase::Succeeded, None),
            Some(name) => {
                self.mark(id, NodePhase::Failed, Some(format!("output parameter {name} was not supplied in time")))
            }
        }
    }
}
