//! ApplicationSets as applications: parameters from generators, filled into templates. It looks at trees of files, and knows no cluster.
//! Upstream rule: `applicationset` of argoproj/argo-cd.

mod files;
mod folders;
mod generate;
mod policy;
mod template;

use serde_json::{Value, json};
use tinderbox_api::gitops::{Application, ApplicationSet, GROUP, GitGenerator, VERSION, marks};

pub use policy::Policy;

use crate::tree::Tree;
use generate::Set;
use template::{Language, Parameters};

/// A look at a tree.
pub type Look<'a> = dyn FnMut(&dyn Tree) -> crate::Result<()> + 'a;

/// Lets a look at the tree that a generator names by repository and revision.
pub type Trees<'a> = dyn Fn(&GitGenerator, &mut Look<'_>) -> crate::Result<()> + 'a;

/// Why a set has no applications.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Wrong {
    /// The word of its conditions.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Wrong {
    pub(crate) fn generating(message: impl Into<String>) -> Self {
        Self { reason: "ApplicationGenerationFromParamsError", message: message.into() }
    }

    fn rendering(message: impl Into<String>) -> Self {
        Self { reason: "RenderTemplateParamsError", message: message.into() }
    }
}

/// The applications of a set, in the order of its generators.
///
/// # Errors
/// When a generator or a template is broken, or asks for what is not served here.
pub fn applications(set: &ApplicationSet, trees: &Trees<'_>) -> Result<Vec<Application>, Wrong> {
    let spec = &set.spec;
    let language =
        Language::of(spec.go_template.unwrap_or_default(), &spec.go_template_options).map_err(Wrong::rendering)?;
    if let Some(kind) = spec.strategy.as_ref().and_then(|strategy| strategy["type"].as_str())
        && !matches!(kind, "" | "AllAtOnce")
    {
        return Err(Wrong::generating(format!(
            "strategy {kind} is not served here: applications are synced all at once"
        )));
    }
    let policy = Policy::of(set);
    let base = spec.template.clone().unwrap_or_else(|| json!({}));
    let generators = Set { language, trees };
    let mut all = Vec::new();
    for generator in &spec.generators {
        let generated = generators.parameters(generator).map_err(Wrong::generating)?;
        let template = merged(&base, &generated.template);
        for parameters in &generated.parameters {
            let value = rendered(language, &template, spec.template_patch.as_deref(), parameters);
            let app = value.and_then(|value| application(set, policy, value)).map_err(Wrong::rendering)?;
            all.push(app);
        }
    }
    Ok(all)
}

/// What is wrong with applications beside each other, by name: those that have none, and those that share one.
#[must_use]
pub fn clashes(set: &ApplicationSet, apps: &[Application]) -> Vec<(String, String)> {
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let mut found: Vec<(String, String)> = Vec::new();
    for (index, app) in apps.iter().enumerate() {
        let own = app.metadata.name.clone().unwrap_or_default();
        let wrong = if own.is_empty() {
            "an application with no name: the template's metadata.name has to give one".to_owned()
        } else if apps[..index].iter().any(|other| other.metadata.name == app.metadata.name) {
            format!("applications with duplicate name: {own}")
        } else {
            continue;
        };
        if !found.iter().any(|(known, _)| *known == own) {
            found.push((own, format!("ApplicationSet {name} contains {wrong}")));
        }
    }
    found
}

/// A template with its variables filled in, and patched. A patch never changes the project.
fn rendered(
    language: Language,
    template: &Value,
    patch: Option<&str>,
    parameters: &Parameters,
) -> Result<Value, String> {
    let mut value = language.fill_all(template, parameters)?;
    let Some(patch) = patch.filter(|patch| !patch.trim().is_empty()) else { return Ok(value) };
    let text = language.fill(patch, parameters)?;
    let wrong = |why: String| format!("invalid templatePatch {text:?}: {why}");
    let documents = tinderbox_api::manifest::load(&text).map_err(|error| wrong(error.message))?;
    let project = value["spec"]["project"].clone();
    for document in documents {
        if !document.value.is_object() {
            return Err(wrong("it is no object".to_owned()));
        }
        json_patch::merge(&mut value, &document.value);
    }
    if value["spec"]["project"] != project {
        value["spec"]["project"] = project;
    }
    Ok(value)
}

/// The application that a filled template describes, in the namespace of its set.
fn application(set: &ApplicationSet, policy: Policy, template: Value) -> Result<Application, String> {
    let mut metadata = template["metadata"].clone();
    if metadata["finalizers"].as_array().is_none_or(Vec::is_empty) && !policy.preserves {
        metadata["finalizers"] = json!([marks::RESOURCES_FINALIZER]);
    }
    let value = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "Application", "metadata": metadata,
        "spec": template["spec"], "operation": template["operation"],
    });
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    let mut app: Application = serde_json::from_value(value)
        .map_err(|error| format!("the template gives no application for {name:?}: {error}"))?;
    app.metadata.namespace.clone_from(&set.metadata.namespace);
    Ok(app)
}

/// A template over which another one is laid: what that says wins, field by field.
fn merged(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            let mut all = base.clone();
            for (key, value) in over {
                let below = all.get(key).map_or_else(|| value.clone(), |known| merged(known, value));
                all.insert(key.clone(), below);
            }
            Value::Object(all)
        }
        (base, Value::Null) => base.clone(),
        (_, over) => over.clone(),
    }
}

#[cfg(test)]
mod tests;
