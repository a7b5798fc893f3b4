//! What is run: the workflow's own spec over its WorkflowTemplate's; and templates by name, with their defaults.

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::Value;
use tinderbox_api::workflows::{Parameter, Template, WorkflowSpec, WorkflowTemplateRef, labels};

use super::Operation;
use super::call::{Holder, Origin};
use crate::expr;
use crate::tags::variables;

/// Fields that say what a template is: defaults of one kind do not change another.
const KINDS: [&str; 10] =
    ["container", "containerSet", "script", "resource", "dag", "steps", "suspend", "http", "data", "plugin"];

/// Lays a value over another: maps field by field, everything else whole.
pub(super) fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                match under.get_mut(&key) {
                    Some(have) => lay_over(have, value),
                    None => {
                        under.insert(key, value);
                    }
                }
            }
        }
        (under, over) => *under = over,
    }
}

fn parameters_over(under: &[Parameter], over: &[Parameter]) -> Vec<Parameter> {
    let mut merged: Vec<Parameter> = under.to_vec();
    for parameter in over {
        match merged.iter_mut().find(|have| have.name == parameter.name) {
            Some(have) => {
                let r#enum = std::mem::take(&mut have.r#enum);
                *have = parameter.clone();
                if have.r#enum.is_empty() {
                    have.r#enum = r#enum;
                }
            }
            None => merged.push(parameter.clone()),
        }
    }
    merged
}

/// The spec of a workflow over the one of its WorkflowTemplate.
fn merged(own: &WorkflowSpec, template: &WorkflowSpec) -> Result<WorkflowSpec, String> {
    let to_value = |spec: &WorkflowSpec| serde_json::to_value(spec).map_err(|error| error.to_string());
    let mut value = to_value(template)?;
    lay_over(&mut value, to_value(own)?);
    let mut spec: WorkflowSpec = serde_json::from_value(value).map_err(|error| error.to_string())?;
    spec.templates = own.templates.iter().chain(&template.templates).cloned().collect();
    spec.arguments.parameters = parameters_over(&template.arguments.parameters, &own.arguments.parameters);
    Ok(spec)
}

impl Operation<'_> {
    /// Finds what is run.
    pub(super) fn load_spec(&mut self) -> Result<(), String> {
        let own = &self.workflow.spec;
        let Some(reference) = &own.workflow_template_ref else {
            self.spec = own.clone();
            return Ok(());
        };
        let stored = match self.status.stored_workflow_template_spec.take() {
            Some(stored) => stored,
            None => {
                let found = self.referenced(reference)?;
                let label = if reference.cluster_scope == Some(true) {
                    labels::CLUSTER_WORKFLOW_TEMPLATE
                } else {
                    labels::WORKFLOW_TEMPLATE
                };
                self.turn.labels.insert(label.to_owned(), reference.name.clone());
                Box::new(found)
            }
        };
        self.spec = merged(own, &stored)?;
        self.status.stored_workflow_template_spec = Some(stored);
        Ok(())
    }

    /// Gives the workflow the labels and annotations that its spec says, once.
    pub(super) fn set_metadata(&mut self) -> Result<(), String> {
        let Some(metadata) = self.spec.workflow_metadata.clone() else { return Ok(()) };
        let mut marks = metadata.labels;
        for (name, from) in metadata.labels_from {
            let value = expr::evaluate(&from.expression, &variables(&self.globals));
            let value = value.map_err(|why| format!("workflowMetadata.labelsFrom.{name}: {why}"))?;
            marks.insert(name, expr::show(&value));
        }
        for (name, text) in &marks {
            self.globals.insert(format!("workflow.labels.{name}"), text.clone());
        }
        for (name, text) in &metadata.annotations {
            self.globals.insert(format!("workflow.annotations.{name}"), text.clone());
        }
        self.turn.labels.extend(marks);
        self.turn.annotations.extend(metadata.annotations);
        Ok(())
    }

    fn referenced(&self, reference: &WorkflowTemplateRef) -> Result<WorkflowSpec, String> {
        let name = &reference.name;
        if reference.cluster_scope == Some(true) {
            let found = self.observed.cluster_templates.get(name);
            return found
                .map(|found| found.spec.clone())
                .ok_or_else(|| format!("cluster workflow template {name:?} is not found"));
        }
        let found = self.observed.templates.get(name);
        found.map(|found| found.spec.clone()).ok_or_else(|| format!("workflow template {name:?} is not found"))
    }

    /// The template that is meant, with its defaults, and where names in it are looked up.
    pub(super) fn resolve(&mut self, holder: &Holder, origin: &Origin) -> Result<(Rc<Template>, Origin), String> {
        if let Some(inline) = &holder.inline {
            return Ok((Rc::new(self.with_defaults((**inline).clone())?), origin.clone()));
        }
        let (origin, name) = match &holder.template_ref {
            None => (origin.clone(), holder.template.clone()),
            Some(reference) if reference.cluster_scope == Some(true) => {
                (Origin::Cluster(reference.name.clone()), reference.template.clone())
            }
            Some(reference) => (Origin::Namespaced(reference.name.clone()), reference.template.clone()),
        };
        let key = (origin.clone(), name.clone());
        if let Some(known) = self.templates.get(&key) {
            return Ok((known.clone(), origin));
        }
        let template = match &origin {
            Origin::Local => self.spec.templates.iter().find(|template| template.name == name).cloned(),
            _ => Some(self.stored(&origin, &name)?),
        };
        let template = template.ok_or_else(|| format!("template name '{name}' undefined"))?;
        let template = Rc::new(self.with_defaults(template)?);
        self.templates.insert(key, template.clone());
        Ok((template, origin))
    }

    /// A template of another object as it was when it was first used.
    fn stored(&mut self, origin: &Origin, name: &str) -> Result<Template, String> {
        let key = format!("{}/{name}", origin.scope(&self.name));
        if let Some(stored) = self.status.stored_templates.get(&key) {
            return Ok(stored.clone());
        }
        let (what, object, spec) = match origin {
            Origin::Cluster(object) => {
                ("cluster workflow template", object, self.observed.cluster_templates.get(object).map(|one| &one.spec))
            }
            Origin::Namespaced(object) => {
                ("workflow template", object, self.observed.templates.get(object).map(|one| &one.spec))
            }
            Origin::Local => ("workflow", &self.name, Some(&self.spec)),
        };
        let spec = spec.ok_or_else(|| format!("{what} {object:?} is not found"))?;
        let found = spec.templates.iter().find(|template| template.name == name).cloned();
        let found = found.ok_or_else(|| format!("template {name} not found in {what} {object}"))?;
        self.status.stored_templates.insert(key, found.clone());
        // It may ask for what others print.
        self.pods = OnceCell::new();
        Ok(found)
    }

    fn with_defaults(&self, template: Template) -> Result<Template, String> {
        let Some(defaults) = &self.spec.template_defaults else {
            return Ok(template);
        };
        let to_value = |template: &Template| serde_json::to_value(template).map_err(|error| error.to_string());
        let (mut value, over) = (to_value(defaults)?, to_value(&template)?);
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|key, _| !KINDS.contains(&key.as_str()) || over.get(key).is_some());
            if over.get("dag").is_some() || over.get("steps").is_some() {
                fields.remove("timeout");
                fields.remove("activeDeadlineSeconds");
            }
        }
        lay_over(&mut value, over);
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// What is wrong with the templates, as far as it can be seen before they are run.
    pub(super) fn lint(&self) -> Result<(), String> {
        crate::lint::spec(&self.spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_has_the_last_word_and_keeps_what_its_template_says() {
        let spec = |value: Value| serde_json::from_value::<WorkflowSpec>(value).unwrap();
        let template = spec(serde_json::json!({
            "entrypoint": "a", "serviceAccountName": "s", "templates": [{"name": "a"}],
            "arguments": {"parameters": [{"name": "x", "value": "1", "enum": ["1", "2"]}, {"name": "y", "value": "1"}]},
        }));
        let own =
            spec(serde_json::json!({"entrypoint": "b", "arguments": {"parameters": [{"name": "x", "value": "2"}]}}));
        let merged = merged(&own, &template).unwrap();
        assert_eq!(merged.entrypoint.as_deref(), Some("b"));
        assert_eq!(merged.service_account_name.as_deref(), Some("s"));
        let values: Vec<_> = merged.arguments.parameters.iter().map(|one| one.value.clone().unwrap().0).collect();
        assert_eq!(values, ["2", "1"]);
        assert_eq!(merged.arguments.parameters[0].r#enum.len(), 2);
        assert_eq!(merged.templates.len(), 1);
    }
}
