//! The order of things: steps and graphs of tasks, and what each says of itself. The structure only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::options::ContinueOn;
use super::parameters::Arguments;
use super::template::Template;
use super::value::{IntOrText, any_list, any_object};

/// Steps that are run side by side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct StepGroup(pub Vec<Step>);

record! {
    /// A template of another object.
    TemplateRef {
        /// Name of the WorkflowTemplate.
        name: String,
        /// Name of the template in it.
        template: String,
        /// It is a ClusterWorkflowTemplate.
        cluster_scope: Option<bool>,
    }

    /// Tasks and what each waits for.
    Dag {
        /// The tasks.
        tasks: Vec<DagTask>,
        /// The tasks to run, with what they wait for; all, when none is named.
        target: Option<String>,
        /// Begins nothing more after a failure.
        fail_fast: Option<bool>,
    }

    /// A task of a graph.
    #[schemars(extend("required" = ["name"]))]
    DagTask {
        /// Its name.
        name: String,
        /// Name of its template.
        template: String,
        /// A template written here.
        #[schemars(schema_with = "any_object")]
        inline: Option<Box<Template>>,
        /// What it is given.
        arguments: Arguments,
        /// A template of another object.
        template_ref: Option<TemplateRef>,
        /// Tasks that it waits for.
        dependencies: Vec<String>,
        /// Ends of tasks that it waits for.
        depends: Option<String>,
        /// Once for each of these.
        #[schemars(schema_with = "any_list")]
        with_items: Vec<Value>,
        /// Once for each of this JSON list.
        with_param: Option<String>,
        /// Once for each number.
        with_sequence: Option<Sequence>,
        /// Whether it is run.
        when: Option<String>,
        /// Whether the rest goes on without it.
        continue_on: Option<ContinueOn>,
        /// A template that is run when it has ended; `hooks.exit` says more.
        on_exit: Option<String>,
        /// Templates that are run when something is true of it.
        hooks: BTreeMap<String, LifecycleHook>,
    }

    /// One step.
    Step {
        /// Its name.
        name: String,
        /// Name of its template.
        template: String,
        /// A template written here.
        #[schemars(schema_with = "any_object")]
        inline: Option<Box<Template>>,
        /// What it is given.
        arguments: Arguments,
        /// A template of another object.
        template_ref: Option<TemplateRef>,
        /// Once for each of these.
        #[schemars(schema_with = "any_list")]
        with_items: Vec<Value>,
        /// Once for each of this JSON list.
        with_param: Option<String>,
        /// Once for each number.
        with_sequence: Option<Sequence>,
        /// Whether it is run.
        when: Option<String>,
        /// Whether the rest goes on without it.
        continue_on: Option<ContinueOn>,
        /// A template that is run when it has ended; `hooks.exit` says more.
        on_exit: Option<String>,
        /// Templates that are run when something is true of it.
        hooks: BTreeMap<String, LifecycleHook>,
    }

    /// Numbers in a row.
    Sequence {
        /// How many; not with `end`.
        count: Option<IntOrText>,
        /// The first.
        start: Option<IntOrText>,
        /// The last.
        end: Option<IntOrText>,
        /// How each is written, as in `item-%02d`.
        format: Option<String>,
    }

    /// A template that is run beside another.
    LifecycleHook {
        /// Its name.
        template: String,
        /// A template of another object.
        template_ref: Option<TemplateRef>,
        /// What it is given.
        arguments: Arguments,
        /// When it is run.
        expression: Option<String>,
    }
}
