//! Carries a call out: finds the template, binds its inputs, and goes on by its kind.
//! Upstream rule: `executeTemplate` in `workflow/controller/operator.go` of argoproj/argo-workflows.

use std::rc::Rc;

use tinderbox_api::workflows::{Inputs, NodePhase, NodeType, Template};

use super::Operation;
use super::bind::inputs_scope;
use super::call::{Call, Origin};
use super::nodes::{is_leaf, is_over};
use crate::names;
use crate::tags::Scope;

/// Templates within templates, at most.
const DEPTH: usize = 100;

/// A template that is run, with all that is known of it.
pub(super) struct Body {
    pub(super) template: Rc<Template>,
    pub(super) origin: Origin,
    pub(super) inputs: Inputs,
    pub(super) scope: Scope,
}

impl Operation<'_> {
    /// Carries a call out; the id of its node, if there is one.
    pub(super) fn execute(&mut self, call: &Call) -> Option<String> {
        let id = self.id(&call.name);
        let have = self.node(&id).map(|node| (node.r#type, is_over(node), node.synchronization_status.is_some()));
        if let Some((kind, over, waits)) = have
            && (over || (is_leaf(kind) && !waits))
        {
            return Some(id);
        }
        let new = have.is_none();
        if new && !self.may_begin(call) {
            return None;
        }
        let (template, origin) = match self.resolve(&call.holder, &call.origin) {
            Ok(found) => found,
            Err(why) => return self.refuse(call, why),
        };
        let mut scope = self.globals.clone();
        scope.extend(call.scope.iter().map(|(name, text)| (name.clone(), text.clone())));
        let inputs = match self.bind(&template, &call.arguments, &scope) {
            Ok(inputs) => inputs,
            Err(why) => return self.refuse(call, why),
        };
        inputs_scope(&inputs, &mut scope);
        scope.insert("node.name".to_owned(), call.name.clone());
        let body = Body { template, origin, inputs, scope };
        if new && !self.has_room(call, &body.template) {
            return None;
        }
        if !call.retried && (new || have.is_some_and(|(_, _, waits)| waits)) && !self.pass_locks(call, &body) {
            return Some(id);
        }
        if new && !call.retried && self.recall(call, &body) {
            return Some(id);
        }
        let retries = body.template.retry_strategy.clone().or_else(|| self.spec.retry_strategy.clone());
        match retries {
            Some(strategy) if !call.retried => self.retry(call, &strategy, &body),
            _ => self.dispatch(call, &body),
        }
        if let Some(node) = self.node(&id)
            && is_over(node)
        {
            self.after_node(&id, &body, call.retried);
        }
        self.node(&id).map(|_| id)
    }

    fn dispatch(&mut self, call: &Call, body: &Body) {
        if self.depth >= DEPTH {
            self.refuse(
                call,
                format!("templates are within each other more than {DEPTH} times: does one call itself for ever?"),
            );
            return;
        }
        self.depth += 1;
        self.begin_body(call, body);
        self.depth -= 1;
    }

    fn begin_body(&mut self, call: &Call, body: &Body) {
        let template = &body.template;
        if !template.steps.is_empty() {
            self.steps(call, body);
        } else if template.dag.is_some() {
            self.dag(call, body);
        } else if let Err(why) = self.leaf(call, body) {
            self.refuse(call, why);
        }
    }

    /// Whether something new may begin at all.
    fn may_begin(&self, call: &Call) -> bool {
        let stopped = match self.spec.shutdown.as_deref() {
            None | Some("") => self.is_late(),
            Some("Terminate") => return false,
            Some(_) => true,
        };
        (call.on_exit || !stopped) && self.spec.suspend != Some(true)
    }

    /// What is done once a node has ended: outputs are remembered, what ran beside it ends.
    fn after_node(&mut self, id: &str, body: &Body, retried: bool) {
        if !retried {
            self.remember(id, &body.template);
        }
        let is_daemon = self.node(id).is_some_and(|node| node.daemoned == Some(true));
        if !is_daemon && !names::is_pod(&body.template) {
            self.end_daemons(id);
        }
    }

    /// Begins a node that has others within it.
    pub(super) fn open(&mut self, call: &Call, kind: NodeType, body: &Body) -> String {
        let id = self.id(&call.name);
        if self.node(&id).is_none_or(|node| node.phase == NodePhase::Pending) {
            let inputs = body.inputs.clone();
            let call = Call { origin: body.origin.clone(), ..call.clone() };
            let scope = call.origin.scope(&self.name);
            let node = self.make(&call, kind, NodePhase::Running, Some(inputs));
            node.template_scope = Some(scope);
        }
        id
    }
}
