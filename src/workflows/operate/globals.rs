//! What tags mean everywhere in a workflow.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Map, Value, json};
use tinderbox_api::workflows::{Parameter, labels};

use super::Operation;
use crate::tags::{Unknown, fill};

/// Seconds between two times, as a text.
fn seconds(from: Option<&Time>, to: jiff::Timestamp) -> String {
    let length = from.map_or(0.0, |from| to.duration_since(from.0).as_secs_f64());
    format!("{length:.6}")
}

impl Operation<'_> {
    pub(super) fn set_globals(&mut self) -> Result<(), String> {
        let meta = &self.workflow.metadata;
        let created = meta.creation_timestamp.as_ref().map_or(self.now, |time| time.0);
        let account = self.spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned());
        let plain = [
            ("name", self.name.clone()),
            ("namespace", self.namespace.clone()),
            ("uid", self.workflow.uid().unwrap_or_default()),
            ("serviceAccountName", account),
            ("mainEntrypoint", self.spec.entrypoint.clone().unwrap_or_default()),
            ("priority", self.spec.priority.unwrap_or_default().to_string()),
            ("creationTimestamp", created.to_string()),
            ("creationTimestamp.RFC3339", created.to_string()),
            ("creationTimestamp.s", created.as_second().to_string()),
            ("status", self.status.phase.to_string()),
            ("duration", seconds(self.status.started_at.as_ref(), self.now)),
        ];
        for (name, text) in plain {
            self.globals.insert(format!("workflow.{name}"), text);
        }
        let scheduled = self.workflow.annotations().get(labels::SCHEDULED_TIME).cloned();
        self.globals.extend(scheduled.map(|time| ("workflow.scheduledTime".to_owned(), time)));
        for (what, of) in [("labels", self.workflow.labels()), ("annotations", self.workflow.annotations())] {
            self.globals.insert(format!("workflow.{what}"), json!(of).to_string());
            self.globals.insert(format!("workflow.{what}.json"), json!(of).to_string());
            for (key, text) in of {
                self.globals.insert(format!("workflow.{what}.{key}"), text.clone());
            }
        }
        self.set_parameters()?;
        let outputs = self.status.outputs.iter().flat_map(|outputs| &outputs.parameters);
        let outputs: Vec<(String, String)> =
            outputs.filter_map(|one| Some((one.name.clone(), one.value.clone()?.0))).collect();
        for (name, text) in outputs {
            self.globals.insert(format!("workflow.outputs.parameters.{name}"), text);
        }
        Ok(())
    }

    fn set_parameters(&mut self) -> Result<(), String> {
        let mut all: Vec<Value> = Vec::new();
        for parameter in self.spec.arguments.parameters.clone() {
            let value = match self.given(&parameter)? {
                Some(value) => value,
                None => {
                    return Err(format!(
                        "invalid spec: spec.arguments.{}.value or spec.arguments.{}.valueFrom is required",
                        parameter.name, parameter.name
                    ));
                }
            };
            let value = fill(&value, &self.globals, Unknown::Kept)?;
            all.push(json!({"name": parameter.name, "value": value}));
            self.globals.insert(format!("workflow.parameters.{}", parameter.name), value);
        }
        let all = Value::from(all).to_string();
        self.globals.insert("workflow.parameters".to_owned(), all.clone());
        self.globals.insert("workflow.parameters.json".to_owned(), all);
        let mut parameters = std::mem::take(&mut self.spec.arguments.parameters);
        for parameter in &mut parameters {
            parameter.value =
                self.globals.get(&format!("workflow.parameters.{}", parameter.name)).map(|text| text.as_str().into());
            parameter.value_from = None;
        }
        self.spec.arguments.parameters = parameters;
        Ok(())
    }

    /// The value of a parameter as it is given: written, from a ConfigMap, or its default.
    pub(super) fn given(&self, parameter: &Parameter) -> Result<Option<String>, String> {
        if let Some(value) = &parameter.value {
            return Ok(Some(value.0.clone()));
        }
        let from = parameter.value_from.as_ref();
        if let Some(reference) = from.and_then(|from| from.config_map_key_ref.as_ref()) {
            let name = fill(&reference.name, &self.globals, Unknown::Kept)?;
            let key = fill(&reference.key, &self.globals, Unknown::Kept)?;
            if let Some(found) = self.observed.config_maps.get(&name).and_then(|map| map.get(&key)) {
                return Ok(Some(found.clone()));
            }
            let default = from.and_then(|from| from.default.as_ref());
            return match default {
                Some(default) => Ok(Some(default.0.clone())),
                None if reference.optional == Some(true) => Ok(None),
                None => Err(format!(
                    "failed to set parameter {}: configmap {name:?} has no key {key:?}, or is not there",
                    parameter.name
                )),
            };
        }
        let default = parameter.default.as_ref().or_else(|| from.and_then(|from| from.default.as_ref()));
        Ok(default.map(|default| default.0.clone()))
    }

    /// What exit handlers are told of the end.
    pub(super) fn set_end(&mut self, phase: &str) {
        let mut failures: Vec<Map<String, Value>> = Vec::new();
        for node in self.status.nodes.values().filter(|node| node.phase.is_failed()) {
            let failure = json!({
                "displayName": node.display_name,
                "message": node.message.clone().unwrap_or_default(),
                "templateName": node.template_name.clone().unwrap_or_default(),
                "phase": node.phase.to_string(),
                "podName": self.pod_of(&node.id).unwrap_or_default(),
                "finishedAt": node.finished_at.as_ref().map(|time| time.0.to_string()),
            });
            failures.extend(failure.as_object().cloned());
        }
        self.globals.insert("workflow.status".to_owned(), phase.to_owned());
        self.globals.insert("workflow.failures".to_owned(), json!(failures).to_string());
    }
}
