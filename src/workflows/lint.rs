//! What can be said of a spec before it is run: names that mean nothing, tasks that wait for each other, what is not done here.
//! Upstream rule: `workflow/validate/validate.go` of argoproj/argo-workflows.

use std::collections::BTreeSet;

use tinderbox_api::workflows::{DagTask, Template, TemplateRef, WorkflowSpec};

use crate::depends;

/// What is wrong with a spec.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn spec(spec: &WorkflowSpec) -> Result<(), String> {
    let names: BTreeSet<&str> = spec.templates.iter().map(|template| template.name.as_str()).collect();
    let entrypoint = spec.entrypoint.as_deref().unwrap_or_default();
    if entrypoint.is_empty() {
        return Err("spec.entrypoint is required".to_owned());
    }
    if !names.contains(entrypoint) {
        return Err(format!("template name '{entrypoint}' undefined"));
    }
    if let Some(on_exit) = spec.on_exit.as_deref().filter(|on_exit| !names.contains(on_exit)) {
        return Err(format!("spec.onExit: template name '{on_exit}' undefined"));
    }
    if names.len() != spec.templates.len() {
        let mut seen = BTreeSet::new();
        let again = spec.templates.iter().find(|template| !seen.insert(&template.name));
        return Err(format!("template name '{}' is not unique", again.map_or("", |template| &template.name)));
    }
    for parameter in &spec.arguments.parameters {
        let allowed = parameter.r#enum.is_empty()
            || parameter.value.as_ref().is_none_or(|value| parameter.r#enum.contains(value));
        if !allowed {
            let value = parameter.value.clone().unwrap_or_default();
            return Err(format!("spec.arguments.{}.value '{value}' is not in its enum", parameter.name));
        }
    }
    spec.templates.iter().try_for_each(|one| template(one, &names))
}

/// Whether a name is looked up in the spec itself.
fn known(name: &str, of: Option<&TemplateRef>, inline: bool, names: &BTreeSet<&str>) -> bool {
    of.is_some() || inline || name.contains("{{") || names.contains(name)
}

fn template(template: &Template, names: &BTreeSet<&str>) -> Result<(), String> {
    let place = format!("templates.{}", template.name);
    let kinds = [
        template.container.is_some(),
        template.script.is_some(),
        template.container_set.is_some(),
        template.resource.is_some(),
        template.dag.is_some(),
        !template.steps.is_empty(),
        template.suspend.is_some(),
        template.http.is_some(),
        template.data.is_some(),
        template.plugin.is_some(),
    ];
    match kinds.iter().filter(|is| **is).count() {
        0 => {
            return Err(format!(
                "{place} template type unspecified. choose one of: container, containerSet, steps, script, resource, dag, suspend, http"
            ));
        }
        1 => (),
        _ => return Err(format!("{place} has more than one type: choose one")),
    }
    let is_parent = template.dag.is_some() || !template.steps.is_empty();
    if is_parent && template.timeout.is_some() {
        return Err(format!("{place} timeout doesn't apply to this template type"));
    }
    let mut seen = BTreeSet::new();
    for step in template.steps.iter().flat_map(|group| &group.0) {
        if step.name.is_empty() || !seen.insert(&step.name) {
            return Err(format!("{place}.steps name '{}' is empty or not unique", step.name));
        }
        if !known(&step.template, step.template_ref.as_ref(), step.inline.is_some(), names) {
            return Err(format!("{place}.steps.{} template name '{}' undefined", step.name, step.template));
        }
    }
    if let Some(dag) = &template.dag {
        for task in &dag.tasks {
            if !known(&task.template, task.template_ref.as_ref(), task.inline.is_some(), names) {
                return Err(format!("{place}.tasks.{} template name '{}' undefined", task.name, task.template));
            }
        }
        tasks(&dag.tasks).map_err(|why| format!("{place} {why}"))?;
        for target in dag.target.as_deref().unwrap_or_default().split_whitespace() {
            if !target.contains("{{") && dag.tasks.iter().all(|task| task.name != target) {
                return Err(format!("{place}.target '{target}' is not defined"));
            }
        }
    }
    Ok(())
}

/// What is wrong with the order of tasks.
pub(crate) fn tasks(tasks: &[DagTask]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for task in tasks {
        if task.name.is_empty() || !seen.insert(task.name.as_str()) {
            return Err(format!("tasks name '{}' is empty or not unique", task.name));
        }
        if task.depends.is_some() && !task.dependencies.is_empty() {
            return Err(format!(
                "tasks.{} cannot use both 'depends' and 'dependencies' in the same DAG template",
                task.name
            ));
        }
        if task.depends.is_some() && task.continue_on.is_some() {
            return Err(format!(
                "tasks.{} cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'",
                task.name
            ));
        }
    }
    let mut left: Vec<(&str, Vec<String>)> = Vec::new();
    for task in tasks {
        let logic = depends::of(task, |_| None);
        depends::evaluate(&logic, &mut |_, _| Some(true)).map_err(|why| format!("tasks.{} {why}", task.name))?;
        let names = depends::names(task);
        if let Some(unknown) = names.iter().find(|name| !seen.contains(name.as_str())) {
            return Err(format!("tasks.{} dependency '{unknown}' not defined", task.name));
        }
        left.push((&task.name, names));
    }
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(name, names)| {
            let ready = names.iter().all(|name| done.contains(name.as_str()));
            if ready {
                done.insert(name);
            }
            !ready
        });
        if left.len() == before {
            let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
            return Err(format!("dependency cycle detected: {}", names.join("->")));
        }
    }
    Ok(())
}
