//! How a node is asked for: which template, with what, and where it belongs.

use std::rc::Rc;

use tinderbox_api::workflows::{Arguments, DagTask, LifecycleHook, Step, Template, TemplateRef};

use crate::tags::Scope;

/// The object that a template's name is looked up in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The workflow.
    Local,
    /// A WorkflowTemplate.
    Namespaced(String),
    /// A ClusterWorkflowTemplate.
    Cluster(String),
}

impl Origin {
    /// As a node's status says it.
    pub(super) fn scope(&self, workflow: &str) -> String {
        match self {
            Self::Local => format!("local/{workflow}"),
            Self::Namespaced(name) => format!("namespaced/{name}"),
            Self::Cluster(name) => format!("cluster/{name}"),
        }
    }
}

/// What names a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Holder {
    pub(super) template: String,
    pub(super) template_ref: Option<TemplateRef>,
    pub(super) inline: Option<Box<Template>>,
}

impl Holder {
    pub(super) fn named(template: &str) -> Self {
        Self { template: template.to_owned(), ..Self::default() }
    }

    pub(super) fn of_task(task: &DagTask) -> Self {
        Self { template: task.template.clone(), template_ref: task.template_ref.clone(), inline: task.inline.clone() }
    }

    pub(super) fn of_step(step: &Step) -> Self {
        Self { template: step.template.clone(), template_ref: step.template_ref.clone(), inline: step.inline.clone() }
    }

    pub(super) fn of_hook(hook: &LifecycleHook) -> Self {
        Self { template: hook.template.clone(), template_ref: hook.template_ref.clone(), inline: None }
    }

    /// The name that a node's status shows.
    pub(super) fn name(&self) -> Option<String> {
        Some(self.template.clone()).filter(|name| !name.is_empty() && self.template_ref.is_none())
    }
}

/// A node that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Its name.
    pub(super) name: String,
    /// Its name alone.
    pub(super) display: String,
    /// Its template.
    pub(super) holder: Holder,
    /// Where the template is looked up.
    pub(super) origin: Origin,
    /// What it is given, tags filled in.
    pub(super) arguments: Arguments,
    /// Id of the node that it is part of.
    pub(super) boundary: String,
    /// What tags mean beside what holds everywhere.
    pub(super) scope: Rc<Scope>,
    /// A hook wants it.
    pub(super) hooked: bool,
    /// It is an attempt.
    pub(super) retried: bool,
    /// It belongs to an exit handler: it is run after a stop, too.
    pub(super) on_exit: bool,
}
