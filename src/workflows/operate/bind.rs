//! What a template takes from what it is given.

use tinderbox_api::workflows::{Arguments, Inputs, Template};

use super::Operation;
use crate::tags::{Scope, Unknown, fill};

impl Operation<'_> {
    /// The inputs of a template with their values.
    pub(super) fn bind(&self, template: &Template, given: &Arguments, scope: &Scope) -> Result<Inputs, String> {
        let mut inputs = template.inputs.clone();
        for parameter in &mut inputs.parameters {
            let argument = given.parameters.iter().find(|one| one.name == parameter.name);
            let value = match argument {
                Some(argument) => self.given(argument)?,
                None => None,
            };
            let value = match value {
                Some(value) => Some(value),
                None => self.given(parameter)?,
            };
            let value = value.ok_or_else(|| format!("inputs.parameters.{} was not supplied", parameter.name))?;
            let value = fill(&value, scope, Unknown::Kept)?;
            if !parameter.r#enum.is_empty() && !parameter.r#enum.iter().any(|allowed| allowed.0 == value) {
                return Err(format!("inputs.parameters.{} is {value:?}, which is not in its enum", parameter.name));
            }
            parameter.value = Some(value.into());
            parameter.value_from = None;
        }
        for artifact in &mut inputs.artifacts {
            if let Some(argument) = given.artifacts.iter().find(|one| one.name == artifact.name) {
                let (name, path, mode) = (artifact.name.clone(), artifact.path.take(), artifact.mode);
                *artifact = argument.clone();
                (artifact.name, artifact.mode) = (name, mode.or(artifact.mode));
                artifact.path = path.or(artifact.path.take());
            }
            if let Some(raw) = &mut artifact.raw {
                raw.data = fill(&raw.data, scope, Unknown::Kept)?;
            } else if artifact.optional != Some(true) {
                return Err(format!(
                    "inputs.artifacts.{} is not written down (raw): no other artifact can be had here; use parameters or a volume",
                    artifact.name
                ));
            }
        }
        Ok(inputs)
    }
}

/// What tags mean within a template that has these inputs.
pub(super) fn inputs_scope(inputs: &Inputs, scope: &mut Scope) {
    for parameter in &inputs.parameters {
        let value = parameter.value.clone().unwrap_or_default();
        scope.insert(format!("inputs.parameters.{}", parameter.name), value.0);
    }
    for artifact in &inputs.artifacts {
        if let Some(path) = &artifact.path {
            scope.insert(format!("inputs.artifacts.{}.path", artifact.name), path.clone());
        }
    }
    let all = serde_json::json!(inputs.parameters).to_string();
    scope.insert("inputs.parameters".to_owned(), all);
}
