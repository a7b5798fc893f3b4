//! The pod of a container, a script or a container set. How scripts and raw artifacts get in, and how outputs get out, is said in
//! [`crate::outlet`].
//! Upstream rule: `createWorkflowPod` in `workflow/controller/workflowpod.go` of argoproj/argo-workflows.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use serde_json::{Map, Value, json};
use tinderbox_api::workflows::{Template, WorkflowSpec, labels};

use super::Operation;
use super::call::Call;
use super::leaf::container;
use super::spec::lay_over;
use crate::{caller, outlet};

/// The name of the main container.
pub(crate) const MAIN: &str = "main";

/// What a workflow's spec says of every pod.
pub(super) struct Common {
    /// Its fields but for the templates.
    fields: Value,
    /// Whether what containers print is asked for by anybody.
    asks_results: bool,
}

impl Operation<'_> {
    pub(super) fn pod(&mut self, call: &Call, template: &Template, name: &str) -> Result<Pod, String> {
        let id = self.id(&call.name);
        let mut annotations = template.metadata.annotations.clone();
        let mut marks = BTreeMap::new();
        if let Some(metadata) = &self.spec.pod_metadata {
            marks.extend(metadata.labels.clone());
            for (key, text) in &metadata.annotations {
                annotations.entry(key.clone()).or_insert_with(|| text.clone());
            }
        }
        marks.extend(template.metadata.labels.clone());
        marks.insert(labels::WORKFLOW.to_owned(), self.name.clone());
        marks.insert(labels::COMPLETED.to_owned(), "false".to_owned());
        if call.on_exit {
            marks.insert(labels::ON_EXIT.to_owned(), "true".to_owned());
        }
        let mut containers = self.containers_of(template)?;
        let main = containers.last().and_then(|one| one["name"].as_str()).unwrap_or(MAIN).to_owned();
        annotations.insert(labels::NODE_NAME.to_owned(), call.name.clone());
        annotations.insert(labels::NODE_ID.to_owned(), id.clone());
        annotations.entry(labels::DEFAULT_CONTAINER.to_owned()).or_insert(main);
        let mut volumes = self.spec.volumes.clone();
        volumes.extend(self.status.persistent_volume_claims.clone());
        volumes.extend(template.volumes.clone());
        let wants_result = template.script.is_some() || self.common().asks_results;
        outlet::fit(template, &mut containers, &mut volumes, &mut annotations, wants_result)?;
        for sidecar in &template.sidecars {
            let sidecar_name = sidecar["name"].as_str().unwrap_or_default().to_owned();
            containers.push(container(sidecar, &sidecar_name)?);
        }
        for one in &mut containers {
            self.add_environment(one, &id, name);
        }
        let mut init: Vec<Value> = template.init_containers.clone();
        for one in &mut init {
            let mirror =
                one.as_object_mut().and_then(|fields| fields.remove("mirrorVolumeMounts")) == Some(json!(true));
            if mirror {
                one["volumeMounts"] = containers[0].get("volumeMounts").cloned().unwrap_or_else(|| json!([]));
            }
        }
        let mut spec = Map::new();
        spec.insert("restartPolicy".to_owned(), json!("Never"));
        if template.http.is_some() {
            // It asks whom it is told to: nobody else's credentials are at hand.
            spec.insert("automountServiceAccountToken".to_owned(), json!(false));
        }
        spec.insert("containers".to_owned(), containers.into_iter().map(Value::Object).collect::<Vec<_>>().into());
        if !init.is_empty() {
            spec.insert("initContainers".to_owned(), init.into());
        }
        if !volumes.is_empty() {
            spec.insert("volumes".to_owned(), volumes.into());
        }
        self.place(template, &mut spec)?;
        let mut spec = Value::Object(spec);
        for patch in [&self.spec.pod_spec_patch, &template.pod_spec_patch].into_iter().flatten() {
            self.patch(&mut spec, patch)?;
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": marks, "annotations": annotations,
                "ownerReferences": [self.workflow.controller_owner_ref(&())]},
            "spec": spec,
        });
        serde_json::from_value(pod).map_err(|error| format!("the template does not make a pod: {error}"))
    }

    fn containers_of(&self, template: &Template) -> Result<Vec<Map<String, Value>>, String> {
        if let Some(set) = &template.container_set {
            let mut made = Vec::new();
            for one in &set.containers {
                let mut container = container(one, one["name"].as_str().unwrap_or_default())?;
                if !set.volume_mounts.is_empty() {
                    let mut mounts =
                        container.get("volumeMounts").and_then(Value::as_array).cloned().unwrap_or_default();
                    mounts.extend(set.volume_mounts.clone());
                    container.insert("volumeMounts".to_owned(), mounts.into());
                }
                made.push(container);
            }
            return Ok(made);
        }
        if template.http.is_some() {
            return Ok(vec![container(&json!(caller::container()), MAIN)?]);
        }
        let value = match (&template.container, &template.script) {
            (Some(value), _) => value.clone(),
            (None, Some(script)) => json!(script.container),
            (None, None) => return Err("the template has no container".to_owned()),
        };
        Ok(vec![container(&value, MAIN)?])
    }

    /// What the spec says of every pod.
    fn common(&self) -> &Common {
        self.pods.get_or_init(|| {
            let asks = |template: &Template| {
                let text = serde_json::to_string(template).unwrap_or_default();
                text.contains("outputs.result") || text.contains("outputs['result']")
            };
            let asks_results = self.spec.templates.iter().chain(self.status.stored_templates.values()).any(asks);
            let spec = WorkflowSpec { templates: Vec::new(), ..self.spec.clone() };
            Common { fields: json!(spec), asks_results }
        })
    }

    fn add_environment(&self, container: &mut Map<String, Value>, id: &str, pod: &str) {
        let mut env = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
        let name = container.get("name").cloned().unwrap_or_default();
        for (key, value) in [
            ("ARGO_CONTAINER_NAME", name),
            ("ARGO_NODE_ID", json!(id)),
            ("ARGO_POD_NAME", json!(pod)),
            ("ARGO_WORKFLOW_NAME", json!(self.name)),
        ] {
            if !env.iter().any(|have| have["name"] == key) {
                env.push(json!({"name": key, "value": value}));
            }
        }
        container.insert("env".to_owned(), env.into());
    }

    /// Everything about the pod that is not its containers: the template's word, or else the workflow's.
    fn place(&self, template: &Template, spec: &mut Map<String, Value>) -> Result<(), String> {
        let whole = &self.common().fields;
        let own = json!(template);
        for (key, of_workflow) in [
            ("nodeSelector", "nodeSelector"),
            ("affinity", "affinity"),
            ("serviceAccountName", "serviceAccountName"),
            ("automountServiceAccountToken", "automountServiceAccountToken"),
            ("schedulerName", "schedulerName"),
            ("priorityClassName", "podPriorityClassName"),
            ("securityContext", "securityContext"),
            ("hostNetwork", "hostNetwork"),
            ("dnsPolicy", "dnsPolicy"),
            ("dnsConfig", "dnsConfig"),
            ("imagePullSecrets", "imagePullSecrets"),
            ("priority", "podPriority"),
        ] {
            if let Some(value) = own.get(key).or_else(|| whole.get(of_workflow)) {
                spec.insert(key.to_owned(), value.clone());
            }
        }
        for key in ["tolerations", "hostAliases"] {
            let all: Vec<Value> =
                [whole, &own].iter().filter_map(|from| from.get(key)?.as_array()).flatten().cloned().collect();
            if !all.is_empty() {
                spec.insert(key.to_owned(), all.into());
            }
        }
        let length = match (&template.active_deadline_seconds, &template.timeout) {
            (Some(seconds), _) => Some(seconds.number()?),
            (None, Some(timeout)) => Some(crate::durations::read(timeout)?.as_secs()),
            (None, None) => None,
        };
        spec.extend(length.map(|length| ("activeDeadlineSeconds".to_owned(), json!(length.max(1)))));
        Ok(())
    }

    /// Lays a patch over a pod's spec: containers and such by their names.
    fn patch(&self, spec: &mut Value, patch: &str) -> Result<(), String> {
        let patch = crate::tags::fill(patch, &self.globals, crate::tags::Unknown::Kept)?;
        let patch: Value = serde_yaml::from_str(&patch).map_err(|error| format!("podSpecPatch is no YAML: {error}"))?;
        let Value::Object(patch) = patch else { return Err("podSpecPatch is no map".to_owned()) };
        for (key, value) in patch {
            let named = ["containers", "initContainers", "volumes"].contains(&key.as_str());
            match value {
                Value::Array(items) if named => {
                    for item in items {
                        let list = spec[&key].as_array_mut();
                        let found = list.and_then(|list| list.iter_mut().find(|have| have["name"] == item["name"]));
                        match found {
                            Some(have) => lay_over(have, item),
                            None => match spec[&key].as_array_mut() {
                                Some(list) => list.push(item),
                                None => spec[&key] = json!([item]),
                            },
                        }
                    }
                }
                value => match spec.get_mut(&key) {
                    Some(have) => lay_over(have, value),
                    None => spec[&key] = value,
                },
            }
        }
        Ok(())
    }
}
