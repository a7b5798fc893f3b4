//! The end of a workflow and what comes after it: pods, claims and the workflow itself are deleted when it was asked for.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::Resource;
use serde_json::{Value, json};
use tinderbox_api::workflows::{Condition, NodePhase, NodeType, Phase};

use tinderbox_api::selector::LabelSelector as Selector;

use super::Operation;
use crate::durations::{after, read};
use crate::tags::{Unknown, fill_all};
use crate::view::PodView;

/// How much later than it could be a pod is deleted.
const POD_DELAY: SignedDuration = SignedDuration::from_secs(5);

impl Operation<'_> {
    /// Ends the workflow.
    pub(super) fn end(&mut self, phase: Phase, message: Option<String>) {
        let message = message.filter(|message| !message.is_empty());
        self.status.phase = phase;
        self.status.message = message.clone();
        self.status.started_at.get_or_insert(Time(self.now));
        self.status.finished_at = Some(Time(self.now));
        self.status.conditions.retain(|condition| condition.r#type != "Completed" && condition.r#type != "PodRunning");
        for (r#type, status) in [("PodRunning", "False"), ("Completed", "True")] {
            self.status.conditions.push(Condition {
                r#type: r#type.to_owned(),
                status: status.to_owned(),
                message: None,
            });
        }
        self.locks.release_all(&format!("{}/{}", self.namespace, self.name));
        let (warning, reason, told) = match phase {
            Phase::Succeeded => (false, "WorkflowSucceeded", "Workflow completed".to_owned()),
            Phase::Failed => (true, "WorkflowFailed", message.unwrap_or_default()),
            _ => (true, "WorkflowFailed", message.unwrap_or_default()),
        };
        self.turn.events.push((warning, reason, told));
        self.count_progress();
        if !self.spec.templates.is_empty() {
            self.clean_up();
        }
    }

    /// Looks after what an ended workflow leaves.
    pub(super) fn after_the_end(&mut self) {
        if self.load_spec().is_ok() {
            self.clean_up();
        }
    }

    pub(super) fn count_progress(&mut self) {
        let counted = |kind| matches!(kind, NodeType::Pod | NodeType::Container | NodeType::HTTP);
        let nodes: Vec<_> = self.status.nodes.values().filter(|node| counted(node.r#type)).collect();
        let done = nodes.iter().filter(|node| node.phase.is_fulfilled()).count();
        self.status.progress = Some(format!("{done}/{}", nodes.len()));
        if !self.status.phase.is_completed() {
            self.collect_pods();
        }
    }

    fn clean_up(&mut self) {
        self.collect_pods();
        self.collect_claims();
        if self.spec.pod_disruption_budget.is_some() && self.before != self.status.phase {
            self.turn.budget = Some(json!({"metadata": {"name": self.name}, "delete": true}));
        }
        let ttl = self.spec.ttl_strategy.clone().unwrap_or_default();
        let special = match self.status.phase {
            Phase::Succeeded => ttl.seconds_after_success,
            _ => ttl.seconds_after_failure,
        };
        let Some(seconds) = special.or(ttl.seconds_after_completion) else { return };
        let finished = self.status.finished_at.as_ref().map_or(self.now, |time| time.0);
        let end = after(finished, SignedDuration::from_secs(seconds));
        if self.now >= end { self.turn.expired = true } else { self.turn.at(end) }
    }

    /// Deletes pods that are over, when it was asked for.
    fn collect_pods(&mut self) {
        let Some(gc) = self.spec.pod_gc.clone() else { return };
        let strategy = gc.strategy.as_deref().unwrap_or("OnPodCompletion");
        let delay = gc.delete_delay_duration.as_ref().and_then(|delay| read(&delay.0).ok()).unwrap_or(POD_DELAY);
        let selector = gc.label_selector.as_ref().and_then(|selector| Selector::from_object(selector).ok());
        let ended = self.status.phase.is_completed();
        let whole = match strategy {
            "OnWorkflowCompletion" => ended,
            "OnWorkflowSuccess" => self.status.phase == Phase::Succeeded,
            _ => true,
        };
        if !whole {
            return;
        }
        let nodes: Vec<_> = self
            .status
            .nodes
            .values()
            .filter(|node| node.r#type.has_pod() && node.phase.is_fulfilled())
            .cloned()
            .collect();
        for node in nodes {
            if strategy == "OnPodSuccess" && node.phase != NodePhase::Succeeded {
                continue;
            }
            let Some(pod) = self.pod_of(&node.id) else { continue };
            let meant = |view: &PodView| selector.as_ref().is_none_or(|of| of.matches_map(Some(&view.labels)));
            if !self.observed.pods.get(&pod).is_some_and(meant) {
                continue;
            }
            let workflow_end = self.status.finished_at.as_ref().filter(|_| strategy.starts_with("OnWorkflow"));
            let finished = workflow_end.or(node.finished_at.as_ref()).map_or(self.now, |time| time.0);
            let end = after(finished, delay);
            if self.now >= end {
                self.turn.delete.push(pod);
            } else {
                self.turn.at(end);
            }
        }
    }

    /// Makes the claims that the workflow wants, unless it has them.
    pub(super) fn make_claims(&mut self) {
        if !self.status.persistent_volume_claims.is_empty() {
            return;
        }
        let templates = self.spec.volume_claim_templates.clone();
        for mut template in templates {
            let name = template["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let claim = format!("{}-{name}", self.name);
            if fill_all(&mut template, &self.globals, Unknown::Kept).is_err() {
                continue;
            }
            template["apiVersion"] = json!("v1");
            template["kind"] = json!("PersistentVolumeClaim");
            template["metadata"]["name"] = json!(claim);
            template["metadata"]["namespace"] = json!(self.namespace);
            template["metadata"]["ownerReferences"] = json!([self.workflow.controller_owner_ref(&())]);
            self.status
                .persistent_volume_claims
                .push(json!({"name": name, "persistentVolumeClaim": {"claimName": claim}}));
            self.turn.claims.push(template);
        }
    }

    fn collect_claims(&mut self) {
        let strategy = self.spec.volume_claim_gc.clone().and_then(|gc| gc.strategy);
        let due = match strategy.as_deref() {
            Some("OnWorkflowCompletion") => true,
            _ => self.status.phase == Phase::Succeeded,
        };
        if !due {
            return;
        }
        for volume in std::mem::take(&mut self.status.persistent_volume_claims) {
            let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
            self.turn.delete_claims.extend(claim.map(str::to_owned));
        }
    }

    /// Makes the budget that keeps pods from being evicted.
    pub(super) fn make_budget(&mut self) {
        let Some(spec) = self.spec.pod_disruption_budget.clone() else { return };
        let selector = LabelSelector {
            match_labels: Some([(tinderbox_api::workflows::labels::WORKFLOW.to_owned(), self.name.clone())].into()),
            match_expressions: None,
        };
        let mut spec: Value = spec;
        spec["selector"] = json!(selector);
        self.turn.budget = Some(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": self.name, "namespace": self.namespace, "ownerReferences": [self.workflow.controller_owner_ref(&())],
                "labels": {tinderbox_api::workflows::labels::WORKFLOW: self.name}},
            "spec": spec,
        }));
    }
}
