//! A run of a WorkflowTemplate: the workflow that has it carried out, with parameters. Pure.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tinderbox_api::workflows::{WorkflowTemplate, labels, of_template};

use crate::error::Error;
use crate::kin;
use crate::manifest::{self, Object};
use crate::suggest;

const KIND: &str = "WorkflowTemplate";

/// The objects, and with them a workflow of the template among them: where parameters are given, and where there is one template and
/// nothing that would be done without it.
///
/// # Errors
/// When parameters are given and there is not exactly one template, or it cannot be run with them.
pub(crate) fn with_run(
    mut objects: Vec<Object>,
    parameters: &[(String, String)],
    now: Timestamp,
) -> Result<Vec<Object>, Error> {
    let works = objects.iter().any(|object| object.value["kind"].as_str().is_some_and(kin::is_work));
    if works && parameters.is_empty() {
        return Ok(objects);
    }
    let template = match manifest::only(&objects, &[KIND], "templates", ("parameters", "--parameter")) {
        Ok(only) => only,
        Err(_) if parameters.is_empty() => return Ok(objects),
        Err(error) => return Err(error),
    };
    let wrong =
        |error: serde_json::Error| Error::Document { place: template.place_of("spec"), message: error.to_string() };
    let typed = WorkflowTemplate::deserialize(&template.value).map_err(wrong)?;
    // The templates of a library are run by others.
    if typed.spec.entrypoint.is_none() && parameters.is_empty() {
        return Ok(objects);
    }
    let name = template.name().name;
    let value = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": format!("{name}-{}", now.as_second()),
            "namespace": template.value["metadata"]["namespace"],
            "labels": {labels::WORKFLOW_TEMPLATE: name},
        },
        "spec": spec(&typed, parameters)?,
    });
    let run = Object { value, ..template.clone() };
    objects.push(run);
    Ok(objects)
}

/// The spec of a workflow that runs a template with these parameters.
///
/// # Errors
/// When it has no such parameter, or one that has no value; with the near name.
pub(crate) fn spec(template: &WorkflowTemplate, parameters: &[(String, String)]) -> Result<Value, Error> {
    let name = template.metadata.name.as_deref().unwrap_or_default();
    let own = &template.spec.arguments.parameters;
    let known: Vec<&str> = own.iter().map(|one| one.name.as_str()).collect();
    if let Some((given, _)) = parameters.iter().find(|(given, _)| !known.contains(&given.as_str())) {
        return Err(Error::Usage {
            message: format!("the template {name} has no parameter {given:?}"),
            hint: Some(suggest::hint(given, "parameters", &known)),
        });
    }
    let given = |name: &str| parameters.iter().any(|(one, _)| one == name);
    let lacks = own.iter().find(|one| one.value.is_none() && one.value_from.is_none() && !given(&one.name));
    if let Some(lacks) = lacks {
        return Err(Error::Usage {
            message: format!("the template {name} needs a value for its parameter {:?}", lacks.name),
            hint: Some(format!("add `-p {}=VALUE`", lacks.name)),
        });
    }
    Ok(of_template(name, parameters.iter().map(|(name, value)| (name, value.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, spec: Value) -> Object {
        let metadata = json!({"name": name, "namespace": "n"});
        Object {
            value: json!({"kind": kind, "metadata": metadata, "spec": spec}),
            origin: "app.yaml".into(),
            place: None,
        }
    }

    fn template(name: &str) -> Object {
        let parameters = json!([{"name": "day"}, {"name": "rows", "value": "7"}]);
        object(KIND, name, json!({"entrypoint": "main", "arguments": {"parameters": parameters}, "templates": []}))
    }

    /// The objects by kind and name, and the spec of the last.
    fn run(objects: &[Object], parameters: &[(&str, &str)]) -> Result<(Vec<String>, Value), String> {
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let all = with_run(objects.to_vec(), &parameters, Timestamp::UNIX_EPOCH).map_err(|error| error.to_string())?;
        let names =
            all.iter().map(|object| format!("{}/{}", object.value["kind"], object.name().name).replace('"', ""));
        Ok((names.collect(), all.last().map_or(Value::Null, |last| last.value["spec"].clone())))
    }

    #[test]
    fn a_template_alone_is_run_with_what_is_given() {
        let (names, spec) =
            run(&[object("ConfigMap", "code", json!({})), template("nightly")], &[("day", "1")]).unwrap();
        assert_eq!(names, ["ConfigMap/code", "WorkflowTemplate/nightly", "Workflow/nightly-0"]);
        let arguments = json!({"parameters": [{"name": "day", "value": "1"}]});
        assert_eq!(spec, json!({"workflowTemplateRef": {"name": "nightly"}, "arguments": arguments}));
    }

    #[test]
    fn what_is_done_anyway_and_what_is_a_library_stays_alone() {
        let (names, _) = run(&[template("nightly"), object("Workflow", "own", json!({}))], &[]).unwrap();
        assert_eq!(names, ["WorkflowTemplate/nightly", "Workflow/own"]);
        let (names, _) = run(&[object(KIND, "library", json!({"templates": []}))], &[]).unwrap();
        assert_eq!(names, ["WorkflowTemplate/library"]);
        let (names, _) = run(&[template("one"), template("other")], &[]).unwrap();
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn parameters_that_nobody_has_and_those_that_lack_are_told() {
        let said = |objects: &[Object], parameters: &[(&str, &str)]| run(objects, parameters).unwrap_err();
        assert_eq!(said(&[template("nightly")], &[("days", "1")]), "the template nightly has no parameter \"days\"");
        assert_eq!(said(&[template("nightly")], &[]), "the template nightly needs a value for its parameter \"day\"");
        let none = said(&[object("Job", "job", json!({}))], &[("day", "1")]);
        assert_eq!(none, "there is no WorkflowTemplate in it that parameters could be given to");
        let several = said(&[template("one"), template("other")], &[("day", "1")]);
        assert_eq!(several, "there are several templates in it: one, other …");
    }
}
