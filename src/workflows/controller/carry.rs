//! Carries out what a workflow wants: what must be there before a pod, the pods, the status, and then what is to go.

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::Api;
use kube::core::ObjectMeta;
use serde_json::{Map, Value, json};
use tinderbox_api::workflows::{NodePhase, Workflow, labels};
use tinderbox_client::error::Doing;
use tinderbox_client::patch::diff;
use tinderbox_client::{Applier, Error, Note, ObjectKey, Plan, Result, Step};

use super::{View, pods};
use crate::view::{Observed, Turn};

/// Pods of a workflow that are made at the same time.
const TOGETHER: usize = 16;

impl View {
    pub(super) async fn carry_out(
        &self,
        workflow: &Workflow,
        observed: &Observed,
        mut turn: Turn,
        applier: &Applier,
    ) -> Result<()> {
        applier.apply(before(workflow, observed, &turn)).await?;
        self.make_pods(workflow, &mut turn, applier).await?;
        for request in std::mem::take(&mut turn.requests) {
            self.ask_for(workflow, &request).await?;
        }
        let mut plan = Plan::default();
        status(workflow, &turn).into_iter().for_each(|step| plan.push(step));
        plan.then();
        self.afterwards(workflow, &turn, &mut plan);
        for (warning, reason, message) in &turn.events {
            plan.note(match warning {
                true => Note::warning(workflow, reason, message.clone()),
                false => Note::normal(workflow, reason, message.clone()),
            });
        }
        plan.stages.retain(|stage| !stage.is_empty());
        applier.apply(plan).await?;
        Ok(())
    }

    /// Makes pods, several at once; one that the API will never take is an error of its node.
    async fn make_pods(&self, workflow: &Workflow, turn: &mut Turn, applier: &Applier) -> Result<()> {
        let pods = std::mem::take(&mut turn.pods);
        let making: Vec<_> = pods.iter().map(|pod| self.make(workflow, pod, applier).boxed()).collect();
        let made: Vec<Option<String>> = stream::iter(making).buffered(TOGETHER).try_collect().await?;
        for (pod, refused) in pods.iter().zip(made) {
            let id = pod.annotations().get(labels::NODE_ID).cloned().unwrap_or_default();
            if let Some(why) = refused
                && let Some(node) = turn.status.nodes.get_mut(&id)
            {
                node.phase = NodePhase::Error;
                node.message = Some(why);
                node.finished_at = node.started_at.clone();
            }
        }
        Ok(())
    }

    /// Makes a pod, unless it was made before by a controller that could not write it down; why, when it is refused for good.
    async fn make(&self, workflow: &Workflow, pod: &Pod, applier: &Applier) -> Result<Option<String>> {
        let key = ObjectKey::of(pod);
        let uid = workflow.uid().unwrap_or_default();
        let ours = |have: &Pod| have.owner_references().iter().any(|owner| owner.uid == uid);
        if self.pods.get(&key).is_some_and(|have| ours(&have)) && self.is_there(pod, ours).await? {
            return Ok(None);
        }
        match applier.step(Step::create(pod)).await {
            Ok(()) => Ok(None),
            Err(error) if is_refusal(&error) => Ok(Some(error.message())),
            Err(error) => Err(error),
        }
    }

    /// Whether a pod is really there: one that was deleted so that its node can be run again may still be seen.
    async fn is_there(&self, pod: &Pod, ours: impl Fn(&Pod) -> bool) -> Result<bool> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let found = api.get_opt(&name).await.doing(|| format!("get pod {namespace}/{name}"))?;
        Ok(found.is_some_and(|found| found.metadata.deletion_timestamp.is_none() && ours(&found)))
    }

    /// What is done once the status is written: pods are marked, ended and deleted, claims and the workflow itself go.
    fn afterwards(&self, workflow: &Workflow, turn: &Turn, plan: &mut Plan) {
        let namespace = workflow.namespace().unwrap_or_default();
        for pod in self.pods.controlled_by(&workflow.uid().unwrap_or_default()) {
            let name = pod.name_any();
            if turn.delete.contains(&name) {
                plan.push(Step::delete(&*pod));
                continue;
            }
            let id = pod.annotations().get(labels::NODE_ID);
            let node = id.and_then(|id| turn.status.nodes.get(id));
            // Of a workflow that is over not every node is kept.
            let over = node.map_or(turn.status.phase.is_completed(), |node| node.phase.is_fulfilled());
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let running = matches!(phase, Some("Running" | "Pending"));
            let told = pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds) == Some(1);
            if running && !told && (turn.stop.contains(&name) || (over && pods::has_sidecars(&pod))) {
                // The node ends its containers, and its logs stay.
                plan.push(Step::merge(&*pod, json!({"spec": {"activeDeadlineSeconds": 1}})));
            }
            if over && !pods::is_marked(&pod) {
                plan.push(Step::merge(&*pod, json!({"metadata": {"labels": {labels::COMPLETED: "true"}}})));
            }
        }
        for name in &turn.delete_claims {
            plan.push(Step::delete(&PersistentVolumeClaim { metadata: named(&namespace, name), ..Default::default() }));
        }
        if turn.budget.as_ref().is_some_and(|budget| budget["delete"] == true) {
            let budget =
                PodDisruptionBudget { metadata: named(&namespace, &workflow.name_any()), ..Default::default() };
            plan.push(Step::delete(&budget));
        }
        if turn.expired {
            plan.then();
            plan.push(Step::delete(workflow));
        }
    }
}

/// Whether the API says that an object will never be taken as it is; what a quota refuses may pass later.
fn is_refusal(error: &Error) -> bool {
    let refused = error.status().is_some_and(|status| matches!(status.code, 400 | 403 | 404 | 422));
    refused && !error.message().contains("exceeded quota") && !error.is_namespace_terminating()
}

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

/// What must be there before the pods.
fn before(workflow: &Workflow, observed: &Observed, turn: &Turn) -> Plan {
    let mut plan = Plan::default();
    let namespace = workflow.namespace().unwrap_or_default();
    for claim in &turn.claims {
        if let Ok(claim) = serde_json::from_value::<PersistentVolumeClaim>(claim.clone()) {
            plan.push(Step::apply(&claim));
        }
    }
    if let Some(budget) = turn.budget.as_ref().filter(|budget| budget["delete"] != true)
        && let Ok(budget) = serde_json::from_value::<PodDisruptionBudget>(budget.clone())
    {
        plan.push(Step::apply(&budget));
    }
    let mut made: Vec<&str> = Vec::new();
    for one in &turn.remember {
        let mut metadata = named(&namespace, &one.config_map);
        if observed.config_maps.contains_key(&one.config_map) || made.contains(&one.config_map.as_str()) {
            plan.then();
            let map = ConfigMap { metadata, ..ConfigMap::default() };
            plan.push(Step::merge(&map, json!({"data": {&one.key: one.entry}})));
            continue;
        }
        made.push(&one.config_map);
        metadata.labels = Some([(labels::CONFIG_MAP_TYPE.to_owned(), "Cache".to_owned())].into());
        let data = Some([(one.key.clone(), one.entry.clone())].into());
        plan.push(Step::create(&ConfigMap { metadata, data, ..ConfigMap::default() }));
    }
    plan
}

/// The write of the status, with labels and annotations, unless nothing changed or somebody else changed the workflow.
fn status(workflow: &Workflow, turn: &Turn) -> Option<Step> {
    let from = workflow.status.as_ref().map_or_else(|| json!({}), |status| json!(status));
    let mut body = Map::new();
    if let Some(status) = diff(&from, &json!(turn.status)) {
        body.insert("status".to_owned(), status);
    }
    let mut metadata = Map::new();
    for (name, have, wanted) in
        [("labels", workflow.labels(), &turn.labels), ("annotations", workflow.annotations(), &turn.annotations)]
    {
        let new: Map<String, Value> = wanted
            .iter()
            .filter(|(key, value)| have.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        if !new.is_empty() {
            metadata.insert(name.to_owned(), new.into());
        }
    }
    if body.is_empty() && metadata.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(workflow.resource_version()));
    body.insert("metadata".to_owned(), metadata.into());
    Some(Step::merge(workflow, body.into()))
}
