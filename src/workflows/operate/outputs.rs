//! What nodes give: to the scopes of those after them, to the template around them, to the whole workflow.

use serde_json::{Map, Value, json};
use tinderbox_api::workflows::{NodeStatus, NodeType, Outputs, Parameter};

use super::Operation;
use super::execute::Body;
use crate::tags::{Scope, Unknown, fill, variables};

/// Adds what a node is and gives, under a prefix like `steps.a`.
pub(super) fn add_node(scope: &mut Scope, prefix: &str, node: &NodeStatus) {
    let mut put = |name: &str, text: String| {
        scope.insert(format!("{prefix}.{name}"), text);
    };
    put("id", node.id.clone());
    put("status", node.phase.to_string());
    for (name, time) in [("startedAt", &node.started_at), ("finishedAt", &node.finished_at)] {
        if let Some(time) = time {
            put(name, time.0.to_string());
        }
    }
    for (name, text) in [("ip", &node.pod_ip), ("hostNodeName", &node.host_node_name)] {
        if let Some(text) = text {
            put(name, text.clone());
        }
    }
    let Some(outputs) = &node.outputs else { return };
    if let Some(code) = &outputs.exit_code {
        put("exitCode", code.clone());
    }
    if let Some(result) = &outputs.result {
        put("outputs.result", result.clone());
    }
    for parameter in &outputs.parameters {
        if let Some(value) = &parameter.value {
            put(&format!("outputs.parameters.{}", parameter.name), value.0.clone());
        }
    }
    for artifact in outputs.artifacts.iter().filter(|artifact| artifact.raw.is_some()) {
        put(&format!("outputs.artifacts.{}", artifact.name), json!(artifact).to_string());
    }
}

/// A text as the JSON that it is, or as a text.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// Adds what many nodes give together: lists, as JSON.
pub(super) fn add_many(scope: &mut Scope, prefix: &str, nodes: &[NodeStatus]) {
    let mut results: Vec<Value> = Vec::new();
    let mut rows: Vec<Value> = Vec::new();
    let mut columns: Map<String, Value> = Map::new();
    for node in nodes {
        let Some(outputs) = &node.outputs else { continue };
        results.extend(outputs.result.as_deref().map(parsed));
        if outputs.parameters.is_empty() {
            continue;
        }
        let mut row = Map::new();
        for parameter in &outputs.parameters {
            let value = parameter.value.clone().unwrap_or_default().0;
            row.insert(parameter.name.clone(), Value::from(value.clone()));
            if let Value::Array(column) = columns.entry(parameter.name.clone()).or_insert_with(|| json!([])) {
                column.push(parsed(&value));
            }
        }
        rows.push(Value::Object(row));
    }
    scope.insert(format!("{prefix}.outputs.result"), Value::from(results).to_string());
    scope.insert(format!("{prefix}.outputs.parameters"), Value::from(rows).to_string());
    for (name, column) in columns {
        scope.insert(format!("{prefix}.outputs.parameters.{name}"), column.to_string());
    }
}

impl Operation<'_> {
    /// Adds what a step or task gives, expanded or not; `id` is its node, or its group's.
    pub(super) fn add_unit(&self, scope: &mut Scope, prefix: &str, id: &str) {
        let Some(node) = self.node(id) else { return };
        add_node(scope, prefix, node);
        if node.r#type == NodeType::TaskGroup {
            let children: Vec<NodeStatus> =
                node.children.iter().filter_map(|child| self.node(child).cloned()).collect();
            add_many(scope, prefix, &children);
        }
    }

    /// What a template of steps or tasks gives, once they are over.
    pub(super) fn collect(&mut self, id: &str, body: &Body, scope: &Scope) -> Result<(), String> {
        let mut outputs = Outputs::default();
        for parameter in &body.template.outputs.parameters {
            let value = self.output(parameter, scope)?;
            outputs.parameters.push(Parameter { value: Some(value.into()), value_from: None, ..parameter.clone() });
        }
        for artifact in &body.template.outputs.artifacts {
            let from = fill(artifact.from.as_deref().unwrap_or_default(), scope, Unknown::Refused)?;
            match serde_json::from_str::<tinderbox_api::workflows::Artifact>(&from) {
                Ok(found) => {
                    outputs.artifacts.push(tinderbox_api::workflows::Artifact { name: artifact.name.clone(), ..found })
                }
                Err(_) if artifact.optional == Some(true) => (),
                Err(_) => return Err(format!("unable to resolve outputs.artifacts.{}", artifact.name)),
            }
        }
        if outputs != Outputs::default() {
            self.publish(&outputs);
            if let Some(node) = self.status.nodes.get_mut(id) {
                node.outputs = Some(outputs);
            }
        }
        Ok(())
    }

    fn output(&self, parameter: &Parameter, scope: &Scope) -> Result<String, String> {
        let Some(from) = &parameter.value_from else {
            let value = parameter.value.as_ref().map_or("", |value| value.0.as_str());
            return fill(value, scope, Unknown::Refused);
        };
        let found = if let Some(expression) = &from.expression {
            crate::expr::evaluate(expression, &variables(scope)).map(|value| crate::expr::show(&value))
        } else {
            fill(from.parameter.as_deref().unwrap_or_default(), scope, Unknown::Refused)
        };
        match (found, &from.default) {
            (Ok(found), _) if found != "null" || from.expression.is_none() => Ok(found),
            (_, Some(default)) => fill(&default.0, scope, Unknown::Refused),
            (Ok(_), None) => Err(format!("outputs.parameters.{} comes to nothing", parameter.name)),
            (Err(why), None) => Err(format!("unable to resolve outputs.parameters.{}: {why}", parameter.name)),
        }
    }

    /// Makes outputs with a global name known to the whole workflow.
    pub(super) fn publish(&mut self, outputs: &Outputs) {
        for parameter in &outputs.parameters {
            let Some(name) = parameter.global_name.clone().filter(|name| !name.is_empty()) else { continue };
            let Some(value) = parameter.value.clone() else { continue };
            self.globals.insert(format!("workflow.outputs.parameters.{name}"), value.0.clone());
            let all = &mut self.status.outputs.get_or_insert_default().parameters;
            let global = Parameter { name: name.clone(), value: Some(value), ..Parameter::default() };
            match all.iter_mut().find(|have| have.name == name) {
                Some(have) => *have = global,
                None => all.push(global),
            }
        }
    }

    /// What a template gives though it was not run: its defaults.
    pub(super) fn give_defaults(&mut self, id: &str, holder: &super::call::Holder, origin: &super::call::Origin) {
        let Ok((template, _)) = self.resolve(holder, origin) else { return };
        let mut outputs = Outputs::default();
        for parameter in &template.outputs.parameters {
            let default = parameter.value_from.as_ref().and_then(|from| from.default.clone());
            if let Some(value) = default {
                outputs.parameters.push(Parameter { value: Some(value), value_from: None, ..parameter.clone() });
            }
        }
        if !outputs.parameters.is_empty()
            && let Some(node) = self.status.nodes.get_mut(id)
        {
            node.outputs = Some(outputs);
        }
    }
}
