//! Templates that have nothing within them: containers, scripts, objects, pauses. Each becomes a node and a wish.

use serde_json::{Map, Value};
use tinderbox_api::workflows::{Inputs, NodePhase, NodeType, Template};

use super::Operation;
use super::assess::inline_key;
use super::call::Call;
use super::execute::Body;
use crate::names;
use crate::tags::{Unknown, fill_in};
use crate::view::ResourceRequest;

impl Operation<'_> {
    pub(super) fn leaf(&mut self, call: &Call, body: &Body) -> Result<(), String> {
        let id = self.id(&call.name);
        let mut scope = body.scope.clone();
        let template_name = match &call.holder.template_ref {
            Some(reference) => reference.template.clone(),
            None => call.holder.template.clone(),
        };
        let pod_name = names::pod_name(&self.name, &call.name, &template_name, &id, names::pod_format(self.workflow));
        scope.insert("pod.name".to_owned(), pod_name.clone());
        scope.entry("retries".to_owned()).or_insert_with(|| "0".to_owned());
        for output in &body.template.outputs.artifacts {
            scope.extend(output.path.clone().map(|path| (format!("outputs.artifacts.{}.path", output.name), path)));
        }
        for output in &body.template.outputs.parameters {
            let path = output.value_from.as_ref().and_then(|from| from.path.clone());
            scope.extend(path.map(|path| (format!("outputs.parameters.{}.path", output.name), path)));
        }
        let mut plain = (*body.template).clone();
        plain.inputs = Inputs::default();
        plain.memoize = None;
        let mut template: Template = fill_in(&plain, &scope, Unknown::Refused)?;
        template.inputs = body.inputs.clone();
        if let Some(why) = unsupported(&template) {
            return Err(why);
        }
        let inputs = Some(body.inputs.clone());
        if call.holder.inline.is_some() {
            self.status.stored_templates.insert(inline_key(&id), (*body.template).clone());
        }
        if let Some(suspend) = &template.suspend {
            if let Some(duration) = &suspend.duration {
                crate::durations::read(&duration.0)?;
            }
            let node = self.make(call, NodeType::Suspend, NodePhase::Running, inputs);
            node.outputs = Some(template.outputs.clone()).filter(|outputs| !outputs.parameters.is_empty());
            self.wake_suspended(&id, suspend);
            return Ok(());
        }
        let node = self.make(call, names::kind_of(&template), NodePhase::Pending, inputs);
        node.synchronization_status = None;
        if let Some(resource) = template.resource.clone() {
            let service_account =
                template.service_account_name.clone().or_else(|| self.spec.service_account_name.clone());
            let service_account = service_account.unwrap_or_else(|| "default".to_owned());
            self.turn.requests.push(ResourceRequest { node_id: id, resource, service_account });
        } else {
            let pod = self.pod(call, &template, &pod_name)?;
            self.turn.pods.push(pod);
        }
        self.active += 1;
        Ok(())
    }
}

/// What this controller does not do, told instead of left out.
fn unsupported(template: &Template) -> Option<String> {
    let what = if template.plugin.is_some() {
        "plugin templates are"
    } else if template.data.is_some() {
        "data templates are"
    } else if template.outputs.artifacts.iter().any(|artifact| artifact.optional != Some(true)) {
        "output artifacts are"
    } else if template.resource.as_ref().is_some_and(|resource| resource.manifest_from.is_some()) {
        "manifests from artifacts are"
    } else {
        return None;
    };
    Some(format!(
        "{what} not carried out by the builtin controller: use a container with parameters or a volume, or the upstream platform"
    ))
}

/// A container of a template as a map.
pub(super) fn container(value: &Value, name: &str) -> Result<Map<String, Value>, String> {
    let mut container = value.as_object().cloned().ok_or("a container is no map")?;
    container.insert("name".to_owned(), Value::from(name));
    Ok(container)
}
