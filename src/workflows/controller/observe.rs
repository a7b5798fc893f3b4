//! What there is of one workflow. It looks, and decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, LogParams};
use kube::{Client, ResourceExt};
use serde_json::Value;
use tinderbox_api::workflows::{Workflow, labels};
use tinderbox_client::error::Doing;
use tinderbox_client::{ObjectKey, Result};

use super::{View, hold, pods};
use crate::outlet::{self, Report};
use crate::tags::{Scope, Unknown, fill};
use crate::view::Observed;

impl View {
    pub(super) async fn observe(&self, workflow: &Workflow) -> Result<Observed> {
        let namespace = workflow.namespace().unwrap_or_default();
        let mut observed = Observed::default();
        for template in self.templates.in_namespace(&namespace) {
            observed.templates.insert(template.name_any(), template);
        }
        for template in self.cluster_templates.iter().flat_map(|cache| cache.list()) {
            observed.cluster_templates.insert(template.name_any(), template);
        }
        for pod in self.pods.controlled_by(&workflow.uid().unwrap_or_default()) {
            let mut seen = pods::view(&pod);
            if seen.awaiting_outputs && !self.is_over(workflow, &pod) {
                match self.report_in_log(&pod).await {
                    Some(report) => {
                        (seen.outputs, seen.answer) = (report.outputs, report.answer);
                        seen.awaiting_outputs = false;
                    }
                    None => seen.message = Some("waiting for the outputs in the log".to_owned()),
                }
            } else {
                seen.awaiting_outputs = false;
            }
            if let Some(id) = pod.annotations().get(labels::NODE_ID)
                && let Some(reported) =
                    self.results.get(&ObjectKey::new(namespace.clone(), id)).and_then(|one| one.outputs.clone())
            {
                seen.outputs = reported;
            }
            observed.pods.insert(pod.name_any(), seen);
        }
        if !workflow.status.as_ref().is_some_and(|status| status.phase.is_completed()) {
            for name in config_maps(workflow, &observed) {
                if let Some(data) = config_map(&self.client, &namespace, &name).await? {
                    observed.config_maps.insert(name, data);
                }
            }
            self.observe_resources(workflow, &mut observed).await?;
        }
        Ok(observed)
    }

    /// Whether a pod's node has ended, as far as the status says.
    fn is_over(&self, workflow: &Workflow, pod: &Pod) -> bool {
        let id = pod.annotations().get(labels::NODE_ID);
        let Some(status) = &workflow.status else { return false };
        let node = id.and_then(|id| status.nodes.get(id));
        status.phase.is_completed() || node.is_some_and(|node| node.phase.is_fulfilled())
    }

    async fn report_in_log(&self, pod: &Pod) -> Option<Report> {
        let uid = pod.uid().unwrap_or_default();
        if let Some(known) = hold(&self.logs).get(&uid) {
            return Some(known.clone());
        }
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let params = LogParams { container: Some(pods::MAIN.to_owned()), tail_lines: Some(2), ..LogParams::default() };
        let log = api.logs(&pod.name_any(), &params).await.ok()?;
        let report = outlet::read_log(&log)?;
        hold(&self.logs).insert(uid, report.clone());
        Some(report)
    }
}

async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<Option<BTreeMap<String, String>>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(name).await.doing(|| format!("get configmap {namespace}/{name}"))?;
    Ok(found.map(|map| map.data.unwrap_or_default()))
}

/// Names of the ConfigMaps that parameters, locks and caches are in.
fn config_maps(workflow: &Workflow, observed: &Observed) -> BTreeSet<String> {
    let mut specs = vec![serde_json::json!(workflow.spec)];
    let mut text = specs[0].to_string();
    let namespaced = observed.templates.iter().map(|(name, template)| (name, &template.spec));
    let cluster = observed.cluster_templates.iter().map(|(name, template)| (name, &template.spec));
    let mut left: Vec<_> = namespaced.chain(cluster).collect();
    // Templates that are named, by the workflow or by each other.
    while let Some(at) = left.iter().position(|(name, _)| text.contains(name.as_str())) {
        let spec = serde_json::json!(left.swap_remove(at).1);
        text.push_str(&spec.to_string());
        specs.push(spec);
    }
    let mut scope = Scope::new();
    for parameter in &workflow.spec.arguments.parameters {
        let value = parameter.value.clone().unwrap_or_default();
        scope.insert(format!("workflow.parameters.{}", parameter.name), value.0);
    }
    let mut names = BTreeSet::new();
    for spec in &specs {
        gather(spec, &mut names);
    }
    let filled = names.into_iter().filter_map(|name| fill(&name, &scope, Unknown::Kept).ok());
    filled.filter(|name| !name.is_empty() && !name.contains("{{")).collect()
}

fn gather(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| gather(item, names)),
        Value::Object(map) => {
            for (key, inner) in map {
                match key.as_str() {
                    // What containers read of ConfigMaps is the kubelet's affair.
                    "container" | "script" | "containerSet" | "initContainers" | "sidecars" | "volumes" => (),
                    "configMapKeyRef" | "configMap" => names.extend(inner["name"].as_str().map(str::to_owned)),
                    _ => gather(inner, names),
                }
            }
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_config_maps_of_the_workflow_itself_are_read() {
        let workflow: Workflow = serde_json::from_value(json!({"spec": {
            "arguments": {"parameters": [{"name": "m", "value": "named"}, {"name": "a", "valueFrom": {"configMapKeyRef": {"name": "args", "key": "k"}}}]},
            "synchronization": {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "k"}}]},
            "templates": [
                {"name": "a", "memoize": {"key": "k", "cache": {"configMap": {"name": "cache"}}},
                    "container": {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "not-ours", "key": "k"}}}]}},
                {"name": "b", "inputs": {"parameters": [{"name": "p", "valueFrom": {"configMapKeyRef": {"name": "{{workflow.parameters.m}}", "key": "k"}}}]}},
            ],
        }}))
        .unwrap();
        let names: Vec<String> = config_maps(&workflow, &Observed::default()).into_iter().collect();
        assert_eq!(names, ["args", "cache", "limits", "named"]);
    }
}
