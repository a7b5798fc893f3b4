//! What people ask of workflows: new ones of a template, and merge patches of those that run. Pure.
//! Upstream rule: `SubmitWorkflow`, `StopWorkflow`, `TerminateWorkflow` and `ResumeWorkflow` in `workflow/util` of
//! argoproj/argo-workflows.

use jiff::{Timestamp, Unit};
use serde_json::{Map, Value, json};

use super::{NodePhase, NodeType, Workflow};

/// How a workflow is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// What runs is ended, and exit handlers still run.
    Stop,
    /// Exit handlers do not run either.
    Terminate,
}

/// The spec of a workflow that runs a WorkflowTemplate with these parameters.
#[must_use]
pub fn of_template<'a, V: Into<Value>>(template: &str, parameters: impl IntoIterator<Item = (&'a String, V)>) -> Value {
    let given = parameters.into_iter().map(|(name, value)| json!({"name": name, "value": value.into()}));
    let given: Vec<Value> = given.collect();
    json!({"workflowTemplateRef": {"name": template}, "arguments": {"parameters": given}})
}

impl Workflow {
    /// The patch that ends it.
    ///
    /// # Errors
    /// When it is over; with what it came to.
    pub fn shutdown(&self, how: Shutdown) -> Result<Value, String> {
        if let Some(status) = self.status.as_ref().filter(|status| status.phase.is_completed()) {
            return Err(format!("the workflow {} is over: {}", self.name(), status.phase));
        }
        Ok(json!({"spec": {"shutdown": format!("{how:?}")}}))
    }

    /// The patch that lets it go on: as a whole, and past the gates that it waits at.
    ///
    /// # Errors
    /// When it is not suspended.
    pub fn resumed(&self, now: Timestamp) -> Result<Value, String> {
        let nodes = self.status.iter().flat_map(|status| &status.nodes);
        let waiting = nodes.filter(|(_, node)| node.r#type == NodeType::Suspend && node.phase == NodePhase::Running);
        let now = now.round(Unit::Second).unwrap_or(now).to_string();
        let over = json!({"phase": "Succeeded", "finishedAt": now});
        let nodes: Map<String, Value> = waiting.map(|(id, _)| (id.clone(), over.clone())).collect();
        if nodes.is_empty() && self.spec.suspend != Some(true) {
            return Err(format!("the workflow {} is not suspended", self.name()));
        }
        Ok(json!({"spec": {"suspend": null}, "status": {"nodes": nodes}}))
    }

    fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}
