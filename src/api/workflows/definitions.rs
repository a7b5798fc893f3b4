//! The definitions of the kinds, as they are applied to a cluster. As upstream's they have no way of their own for the status.
//! Upstream rule: `manifests/base/crds/full` of argoproj/argo-workflows.

use serde_json::{Value, json};

use super::{CronWorkflowSpec, CronWorkflowStatus, GROUP, Outputs, VERSION, WorkflowSpec, WorkflowStatus};
use crate::crd::{Column, Definition, schema_of};

/// The definitions of Workflow, WorkflowTemplate, ClusterWorkflowTemplate, CronWorkflow and WorkflowTaskResult.
#[must_use]
pub fn definitions() -> [Value; 5] {
    let empty = Definition::within(GROUP, VERSION);
    let text = || json!({"type": "string"});
    let workflow = Definition {
        kind: "Workflow",
        plural: "workflows",
        short_name: "wf",
        columns: &[
            Column("Status", "string", ".status.phase"),
            Column("Age", "date", ".status.startedAt"),
            Column("Message", "string", ".status.message"),
        ],
        fields: vec![("spec", schema_of::<WorkflowSpec>()), ("status", schema_of::<WorkflowStatus>())],
        ..empty.clone()
    };
    let template = Definition {
        kind: "WorkflowTemplate",
        plural: "workflowtemplates",
        short_name: "wftmpl",
        fields: vec![("spec", schema_of::<WorkflowSpec>())],
        ..empty.clone()
    };
    let cluster = Definition {
        kind: "ClusterWorkflowTemplate",
        plural: "clusterworkflowtemplates",
        short_name: "cwft",
        cluster: true,
        ..template.clone()
    };
    let cron = Definition {
        kind: "CronWorkflow",
        plural: "cronworkflows",
        short_name: "cwf",
        columns: &[
            Column("Schedules", "string", ".spec.schedules"),
            Column("Suspend", "boolean", ".spec.suspend"),
            Column("Last Scheduled", "date", ".status.lastScheduledTime"),
            Column("Age", "date", ".metadata.creationTimestamp"),
        ],
        fields: vec![("spec", schema_of::<CronWorkflowSpec>()), ("status", schema_of::<CronWorkflowStatus>())],
        ..empty.clone()
    };
    let result = Definition {
        kind: "WorkflowTaskResult",
        plural: "workflowtaskresults",
        short_name: "wftr",
        fields: vec![("phase", text()), ("message", text()), ("progress", text()), ("outputs", schema_of::<Outputs>())],
        ..empty
    };
    [workflow, template, cluster, cron, result].map(Definition::into_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is applied, here and in production, is made from the types and never by hand.
    #[test]
    fn the_manifests_say_what_the_types_say() {
        crate::crd::hold("argo-workflows", &definitions());
    }

    #[test]
    fn what_may_be_anything_is_kept_and_names_are_required() {
        let [workflow, _, cluster, cron, result] = definitions();
        let schema = |value: &Value| value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        let template = &schema(&workflow)["properties"]["spec"]["properties"]["templates"]["items"]["properties"];
        for kept in [
            &template["container"],
            &template["script"],
            &template["dag"]["properties"]["tasks"]["items"]["properties"]["inline"],
            &template["inputs"]["properties"]["parameters"]["items"]["properties"]["value"],
            &template["dag"]["properties"]["tasks"]["items"]["properties"]["withItems"]["items"],
        ] {
            assert_eq!(kept["x-kubernetes-preserve-unknown-fields"], true, "{kept}");
        }
        assert_eq!(template["steps"]["items"]["items"]["required"], Value::Null);
        assert_eq!(template["retryStrategy"]["properties"]["limit"]["x-kubernetes-int-or-string"], true);
        assert_eq!(cluster["spec"]["scope"], "Cluster");
        assert_eq!(workflow["spec"]["versions"][0]["subresources"], json!({}));
        assert_eq!(schema(&cron)["required"], json!(["metadata", "spec"]));
        assert_eq!(schema(&result)["required"], json!(["metadata"]));
    }

    #[test]
    fn values_that_are_no_texts_become_texts() {
        let read: super::super::Workflow = serde_json::from_value(json!({"spec": {
            "arguments": {"parameters": [{"name": "a", "value": 1}, {"name": "b", "value": true}, {"name": "c", "value": [1]}]},
            "templates": [{"name": "t", "retryStrategy": {"limit": "3", "backoff": {"duration": 5, "factor": 2}}}],
        }}))
        .unwrap();
        let values: Vec<_> = read.spec.arguments.parameters.iter().filter_map(|one| one.value.clone()).collect();
        assert_eq!(values.iter().map(|value| value.0.as_str()).collect::<Vec<_>>(), ["1", "true", "[1]"]);
        let retry = read.spec.templates[0].retry_strategy.clone().unwrap();
        assert_eq!(retry.limit.unwrap().number(), Ok(3));
    }
}
