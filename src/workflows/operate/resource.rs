//! Objects that nodes make, change or look at: asked for until there is an answer, then followed until their conditions say so.
//! Upstream rule: `workflow/executor/resource.go` of argoproj/argo-workflows.

use serde_json::Value;
use tinderbox_api::workflows::{NodePhase, NodeStatus, Outputs, Parameter, ResourceTemplate, Template};

use super::Operation;
use super::bind::inputs_scope;
use crate::jsonpath;
use crate::tags::{Scope, Unknown, fill_in};
use crate::view::ResourceRequest;

/// Seconds between two looks at an object.
const AGAIN: i64 = 2;

impl Operation<'_> {
    pub(super) fn assess_resource(&mut self, node: &NodeStatus, template: &Template) {
        let scope = self.leaf_scope(node);
        let Some(resource) = &template.resource else { return };
        let resource: ResourceTemplate = match fill_in(resource, &scope, Unknown::Refused) {
            Ok(resource) => resource,
            Err(why) => return self.mark(&node.id, NodePhase::Error, Some(why)),
        };
        let observed = self.observed;
        let Some(view) = observed.resources.get(&node.id) else {
            let service_account =
                template.service_account_name.clone().or_else(|| self.spec.service_account_name.clone());
            let service_account = service_account.unwrap_or_else(|| "default".to_owned());
            self.turn.requests.push(ResourceRequest { node_id: node.id.clone(), resource, service_account });
            return;
        };
        if let Some(why) = &view.refused {
            return self.mark(&node.id, NodePhase::Failed, Some(why.clone()));
        }
        let conditions = [&resource.failure_condition, &resource.success_condition];
        let waits = conditions.iter().any(|condition| condition.as_ref().is_some_and(|text| !text.trim().is_empty()));
        let Some(object) = &view.object else {
            if resource.action == "delete" {
                return self.mark(&node.id, NodePhase::Succeeded, None);
            }
            let message = "the object was deleted while its state was still being looked at";
            return self.mark(&node.id, NodePhase::Failed, Some(message.to_owned()));
        };
        if waits && resource.action != "delete" {
            match outcome(&resource, object) {
                Ok(Some(Ok(()))) => (),
                Ok(Some(Err(why))) => return self.mark(&node.id, NodePhase::Failed, Some(why)),
                Ok(None) => {
                    self.turn.at(crate::durations::after(self.now, jiff::SignedDuration::from_secs(AGAIN)));
                    return self.mark(&node.id, NodePhase::Running, None);
                }
                Err(why) => return self.mark(&node.id, NodePhase::Error, Some(why)),
            }
        }
        match self.resource_outputs(&template.outputs.parameters, object) {
            Ok(outputs) => {
                self.give(&node.id, outputs);
                self.mark(&node.id, NodePhase::Succeeded, None);
            }
            Err(why) => self.mark(&node.id, NodePhase::Error, Some(why)),
        }
    }

    /// What tags mean in the template of a node that is under way.
    pub(super) fn leaf_scope(&self, node: &NodeStatus) -> Scope {
        let mut scope = self.globals.clone();
        inputs_scope(&node.inputs.clone().unwrap_or_default(), &mut scope);
        scope.insert("node.name".to_owned(), node.name.clone());
        scope.insert("retries".to_owned(), attempt(&node.name));
        scope.insert("pod.name".to_owned(), self.pod_of(&node.id).unwrap_or_default());
        scope
    }

    fn resource_outputs(&self, wanted: &[Parameter], object: &Value) -> Result<Outputs, String> {
        let mut found = Outputs::default();
        for parameter in wanted {
            let Some(from) = &parameter.value_from else { continue };
            let value = if let Some(path) = &from.json_path {
                jsonpath::print(object, path)
            } else if let Some(filter) = &from.jq_filter {
                plain_filter(object, filter)
            } else {
                continue;
            };
            match value {
                Ok(value) => found.parameters.push(Parameter { value: Some(value.into()), ..parameter.clone() }),
                Err(_) if from.default.is_some() => (),
                Err(why) => return Err(format!("output parameter {}: {why}", parameter.name)),
            }
        }
        found.parameters = self.gather(wanted, &found)?;
        Ok(found)
    }
}

/// The number of an attempt, which is at the end of its name.
fn attempt(name: &str) -> String {
    let number = name.strip_suffix(')').and_then(|name| name.rsplit_once('(')).map(|(_, number)| number);
    number.filter(|number| number.chars().all(|c| c.is_ascii_digit())).unwrap_or("0").to_owned()
}

/// What a jq filter that is a path finds.
fn plain_filter(object: &Value, filter: &str) -> Result<String, String> {
    let path = filter.trim();
    let plain = path.starts_with('.') && !path.contains(['|', '(', '{', ',', '+']);
    if !plain {
        return Err(format!(
            "the jq filter {filter:?} is more than a path, which is all that the builtin controller knows: use jsonPath"
        ));
    }
    let path = path.replace("[]", "[*]");
    let found = jsonpath::find(object, &path)?;
    if found.is_empty() {
        return Err(format!("the jq filter {filter:?} finds nothing"));
    }
    let shown = found.iter().map(crate::expr::show);
    Ok(shown.collect::<Vec<_>>().join("\n"))
}

/// Whether an object is done, well or badly, or nothing of it.
fn outcome(resource: &ResourceTemplate, object: &Value) -> Result<Option<Result<(), String>>, String> {
    if let Some(text) = resource.failure_condition.as_ref().filter(|text| !text.trim().is_empty()) {
        for term in terms(text) {
            if holds(&term, object)? {
                return Ok(Some(Err(format!("failure condition '{term}' evaluated true"))));
            }
        }
    }
    let text = resource.success_condition.as_deref().unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(None);
    }
    for term in terms(text) {
        if !holds(&term, object)? {
            return Ok(None);
        }
    }
    Ok(Some(Ok(())))
}

/// The terms of a condition: divided by commas outside of parentheses.
fn terms(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0;
    for next in text.chars() {
        match next {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => (),
        }
        if let Some(last) = found.last_mut() {
            last.push(next);
        }
    }
    found.into_iter().map(|term| term.trim().to_owned()).filter(|term| !term.is_empty()).collect()
}

/// Whether a term is true of an object: `path == value`, `path in (a, b)`, `path > 1`, `path` and their opposites.
fn holds(term: &str, object: &Value) -> Result<bool, String> {
    let value = |path: &str| -> Result<Option<String>, String> {
        let path = path.trim().trim_start_matches('{').trim_end_matches('}');
        Ok(jsonpath::find(object, path)?.first().map(crate::expr::show))
    };
    let set = |text: &str| -> Vec<String> {
        text.trim().trim_matches(|c| c == '(' || c == ')').split(',').map(|one| one.trim().to_owned()).collect()
    };
    if let Some((path, values)) = term.split_once(" notin ") {
        return Ok(value(path)?.is_none_or(|have| !set(values).contains(&have)));
    }
    if let Some((path, values)) = term.split_once(" in ") {
        return Ok(value(path)?.is_some_and(|have| set(values).contains(&have)));
    }
    for operator in ["!=", "==", "=", ">", "<"] {
        let Some((path, wanted)) = term.split_once(operator) else { continue };
        let (have, wanted) = (value(path)?, wanted.trim());
        let number =
            |text: &str| text.parse::<f64>().map_err(|_| format!("{text:?} in the condition {term:?} is no number"));
        return Ok(match (operator, have) {
            ("!=", have) => have.as_deref() != Some(wanted),
            (_, None) => false,
            (">", Some(have)) => number(&have)? > number(wanted)?,
            ("<", Some(have)) => number(&have)? < number(wanted)?,
            (_, Some(have)) => have == wanted,
        });
    }
    match term.strip_prefix('!') {
        Some(path) => Ok(value(path)?.is_none()),
        None => Ok(value(term)?.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_looked_up_in_the_object() {
        let object = json!({"status": {"succeeded": 2, "phase": "Running", "applicationState": {"state": "COMPLETED"}, "conditions": [{"type": "Complete", "status": "True"}]}});
        for (term, wanted) in [
            ("status.phase == Running", true),
            ("status.phase = Running", true),
            ("status.phase != Running", false),
            ("status.succeeded > 1", true),
            ("status.succeeded < 2", false),
            ("status.failed > 1", false),
            ("status.applicationState.state in (COMPLETED, DONE)", true),
            ("status.applicationState.state notin (FAILED)", true),
            ("status.conditions[0].status == True", true),
            ("status.phase", true),
            ("!status.failed", true),
        ] {
            assert_eq!(holds(term, &object), Ok(wanted), "{term}");
        }
        assert_eq!(terms("a in (b, c), d == e"), ["a in (b, c)", "d == e"]);
        assert!(holds("status.phase > 1", &object).is_err());
        assert_eq!(plain_filter(&object, ".status.conditions[].type").unwrap(), "Complete");
        assert!(plain_filter(&object, ".a | length").is_err());
        assert_eq!((attempt("a.b(3)"), attempt("a(0:x)")), ("3".to_owned(), "0".to_owned()));
    }
}
