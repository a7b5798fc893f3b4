//! Hooks: templates that are run beside others, once something is true of them, or when they have ended.
//! Upstream rule: `workflow/controller/hooks.go` and `exit_handler.go` of argoproj/argo-workflows.

use std::rc::Rc;

use tinderbox_api::workflows::{Arguments, LifecycleHook, NodePhase, Phase};

use super::Operation;
use super::call::{Call, Holder, Origin};
use super::expand::Unit;
use super::nodes::is_over;
use crate::expr;
use crate::tags::{Scope, Unknown, fill_in, variables};

/// The hook of the end.
const EXIT: &str = "exit";

impl Operation<'_> {
    /// Runs the hooks of a step or task; whether all that were begun are over.
    pub(super) fn hooks(
        &mut self,
        unit: &Unit,
        id: &str,
        prefix: &str,
        scope: &Scope,
        around: &Call,
        boundary: &str,
    ) -> bool {
        if !unit.has_hooks() {
            return true;
        }
        let Some(node) = self.node(id).cloned() else { return true };
        let mut scope = scope.clone();
        self.add_unit(&mut scope, &format!("{prefix}.{}", unit.name), id);
        let mut hooks: Vec<(String, LifecycleHook)> =
            unit.hooks.iter().map(|(name, hook)| (name.clone(), hook.clone())).collect();
        if let Some(on_exit) = &unit.on_exit
            && !unit.hooks.contains_key(EXIT)
        {
            hooks.push((EXIT.to_owned(), LifecycleHook { template: on_exit.clone(), ..LifecycleHook::default() }));
        }
        let mut over = true;
        for (name, hook) in hooks {
            let exit = name == EXIT;
            if exit && (!node.phase.is_fulfilled() || matches!(node.phase, NodePhase::Skipped | NodePhase::Omitted)) {
                continue;
            }
            let suffix = if exit { "onExit".to_owned() } else { format!("hooks.{name}") };
            let call = Call {
                name: format!("{}.{suffix}", node.name),
                display: format!("{}.{suffix}", node.display_name),
                holder: Holder::of_hook(&hook),
                origin: around.origin.clone(),
                arguments: Arguments::default(),
                boundary: boundary.to_owned(),
                scope: Rc::new(Scope::new()),
                hooked: true,
                retried: false,
                on_exit: exit || around.on_exit,
            };
            over &= self.hook(&call, &hook, &scope, id, node.phase.is_fulfilled());
        }
        over
    }

    /// Runs a hook if it is to be run; whether it is over, or not begun.
    fn hook(&mut self, call: &Call, hook: &LifecycleHook, scope: &Scope, parent: &str, last_chance: bool) -> bool {
        let id = self.id(&call.name);
        if self.node(&id).is_none()
            && let Some(expression) = &hook.expression
        {
            match expr::evaluate_bool(expression, &variables(scope)) {
                Ok(true) => (),
                // What it names may come later.
                Ok(false) => return true,
                Err(_) if !last_chance => return true,
                Err(why) => {
                    self.refuse(call, format!("hook expression: {why}"));
                    self.join(parent, &id);
                    return true;
                }
            }
        }
        let arguments = match fill_in(&hook.arguments, scope, Unknown::Refused) {
            Ok(arguments) => arguments,
            Err(why) => {
                self.refuse(call, why);
                self.join(parent, &id);
                return true;
            }
        };
        match self.execute(&Call { arguments, ..call.clone() }) {
            Some(id) => {
                self.join(parent, &id);
                self.node(&id).is_none_or(is_over)
            }
            None => self.spec.shutdown.as_deref() == Some("Terminate"),
        }
    }

    /// Runs the workflow's hooks; whether all that were begun are over.
    pub(super) fn run_workflow_hooks(&mut self) -> bool {
        let hooks = self.spec.hooks.clone();
        let scope = self.globals.clone();
        let root = self.name.clone();
        let ended = self.node(&root).is_some_and(is_over);
        let mut over = true;
        for (name, hook) in hooks.iter().filter(|(name, _)| *name != EXIT) {
            let call = self.workflow_call(&format!("hooks.{name}"), Holder::of_hook(hook));
            over &= self.hook(&call, hook, &scope, &root, ended);
        }
        over
    }

    fn workflow_call(&self, suffix: &str, holder: Holder) -> Call {
        let name = format!("{}.{suffix}", self.name);
        Call {
            display: name.clone(),
            name,
            holder,
            origin: Origin::Local,
            arguments: Arguments::default(),
            boundary: String::new(),
            scope: Rc::new(Scope::new()),
            hooked: true,
            retried: false,
            on_exit: true,
        }
    }

    /// Runs what is to be run once the templates are over, and then ends the workflow.
    pub(super) fn run_exit_handler(&mut self, phase: Phase, message: Option<String>) {
        self.set_end(&phase.to_string());
        let mut over = self.run_workflow_hooks();
        let hook = self.spec.hooks.get(EXIT).cloned().or_else(|| {
            let template = self.spec.on_exit.clone().filter(|name| !name.is_empty())?;
            let arguments = self.spec.arguments.clone();
            Some(LifecycleHook { template, arguments, ..LifecycleHook::default() })
        });
        let mut exit = None;
        if let Some(hook) = hook
            && self.spec.shutdown.as_deref() != Some("Terminate")
        {
            let call = self.workflow_call("onExit", Holder::of_hook(&hook));
            let call = Call { hooked: true, ..call };
            let scope = self.globals.clone();
            let root = self.name.clone();
            over &= self.hook(&call, &hook, &scope, "", true);
            exit = self.node_named(&format!("{root}.onExit")).cloned();
        }
        if !over {
            return;
        }
        match exit.filter(|node| node.phase.is_failed()) {
            Some(node) => {
                let phase = if node.phase == NodePhase::Error { Phase::Error } else { Phase::Failed };
                let message = node.message.map(|message| format!("onExit: {message}"));
                self.end(phase, message);
            }
            None => self.end(phase, message),
        }
    }
}
