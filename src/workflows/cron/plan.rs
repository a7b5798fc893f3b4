//! What a CronWorkflow wants done next: the run that is due, runs beyond the history's limits away, its status. Pure.
//! Upstream rule: `workflow/cron/operator.go` of argoproj/argo-workflows.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Map, Value, json};
use tinderbox_api::workflows::{CronCondition, CronWorkflow, CronWorkflowStatus, Phase, Workflow, labels};
use tinderbox_client::events::reference;
use tinderbox_client::patch::diff;
use tinderbox_client::{Note, Plan, Step};

use super::{child, times};
use crate::durations::after;
use crate::expr;
use crate::tags::{Unknown, fill};

/// How late a run may be and still be on time: upstream looks every ten seconds.
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// A plan, and the time that it has seen to.
pub(super) struct Turn {
    pub(super) plan: Plan,
    pub(super) seen: Option<Timestamp>,
}

/// What one CronWorkflow wants done, given its runs and the last time that was seen to.
pub(super) fn plan(cron: &CronWorkflow, mut runs: Vec<Arc<Workflow>>, seen: Option<Timestamp>, now: Timestamp) -> Turn {
    if cron.metadata.deletion_timestamp.is_some() {
        return Turn { plan: Plan::default(), seen };
    }
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let created = |run: &Workflow| run.metadata.creation_timestamp.as_ref().map(|time| time.0);
    runs.sort_by_key(|run| Reverse((created(run), run.name_any())));
    let status = cron.status.clone().unwrap_or_default();
    let mut view = View { cron, runs, now, status, plan: Plan::default(), seen };
    view.count();
    view.keep_history();
    view.stop();
    view.follow();
    let View { status, mut plan, seen, .. } = view;
    plan.then();
    write(cron, &status).into_iter().for_each(|step| plan.push(step));
    plan.stages.retain(|stage| !stage.is_empty());
    Turn { plan, seen }
}

fn write(cron: &CronWorkflow, status: &CronWorkflowStatus) -> Option<Step> {
    let from = cron.status.as_ref().map_or_else(|| json!({}), |status| json!(status));
    let mut body =
        json!({"metadata": {"resourceVersion": cron.resource_version()}, "status": diff(&from, &json!(status))?});
    if status.phase == "Stopped" {
        body["metadata"]["labels"] = json!({labels::COMPLETED: "true"});
    }
    Some(Step::merge(cron, body))
}

fn phase(run: &Workflow) -> Phase {
    run.status.as_ref().map(|status| status.phase).unwrap_or_default()
}

struct View<'a> {
    cron: &'a CronWorkflow,
    /// The newest first.
    runs: Vec<Arc<Workflow>>,
    now: Timestamp,
    status: CronWorkflowStatus,
    plan: Plan,
    seen: Option<Timestamp>,
}

impl View<'_> {
    /// Counts runs that have ended, and lists those that have not.
    fn count(&mut self) {
        for active in std::mem::take(&mut self.status.active) {
            let run = self.runs.iter().find(|run| run.metadata.uid == active.uid || run.metadata.name == active.name);
            match run.map(|run| phase(run)) {
                Some(Phase::Succeeded) => self.status.succeeded += 1,
                Some(Phase::Failed | Phase::Error) => self.status.failed += 1,
                Some(_) | None => (),
            }
        }
        let active = self.runs.iter().rev().filter(|run| !phase(run).is_completed());
        self.status.active =
            active.map(|run| ObjectReference { resource_version: None, ..reference(&**run) }).collect();
    }

    fn keep_history(&mut self) {
        let spec = &self.cron.spec;
        for (ends, limit, usual) in [
            (&[Phase::Succeeded][..], spec.successful_jobs_history_limit, 3),
            (&[Phase::Failed, Phase::Error][..], spec.failed_jobs_history_limit, 1),
        ] {
            let limit = usize::try_from(limit.unwrap_or(usual)).unwrap_or_default();
            let ended = self.runs.iter().filter(|run| ends.contains(&phase(run)));
            for run in ended.skip(limit).filter(|run| run.metadata.deletion_timestamp.is_none()) {
                self.plan.push(Step::delete(&**run));
            }
        }
    }

    /// What expressions can ask.
    fn variables(&self) -> Map<String, Value> {
        let last = self.status.last_scheduled_time.as_ref().map(|time| time.0.as_second());
        let mut cron = json!({
            "name": self.cron.name_any(), "namespace": self.cron.namespace(), "labels": self.cron.labels(),
            "annotations": self.cron.annotations(), "failed": self.status.failed, "succeeded": self.status.succeeded,
        });
        cron["lastScheduledTime"] = json!(last);
        let mut variables = Map::new();
        variables.insert(expr::NOW.to_owned(), json!(self.now.as_second()));
        variables.insert("failed".to_owned(), json!(self.status.failed));
        variables.insert("succeeded".to_owned(), json!(self.status.succeeded));
        variables.insert("cronworkflow".to_owned(), cron);
        variables
    }

    /// Stops for good when its own condition says so.
    fn stop(&mut self) {
        if self.status.phase.is_empty() {
            self.status.phase = "Active".to_owned();
        }
        let Some(strategy) = &self.cron.spec.stop_strategy else { return };
        let expression =
            strategy.condition.as_ref().filter(|_| strategy.expression.is_empty()).unwrap_or(&strategy.expression);
        match expr::evaluate_bool(expression, &self.variables()) {
            Ok(true) => self.status.phase = "Stopped".to_owned(),
            Ok(false) => self.condition("SpecError", None),
            Err(why) => self.condition("SpecError", Some(format!("stopStrategy: {why}"))),
        }
    }

    fn follow(&mut self) {
        let spec = &self.cron.spec;
        if spec.suspend == Some(true) || self.status.phase == "Stopped" {
            return;
        }
        let schedules = match times::schedules(spec) {
            Ok(schedules) => schedules,
            Err(why) => return self.condition("SpecError", Some(why)),
        };
        if spec.stop_strategy.is_none() {
            self.condition("SpecError", None);
        }
        let created = self.cron.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let last = self.status.last_scheduled_time.as_ref().map(|time| time.0);
        let tolerance = SignedDuration::from_secs(spec.starting_deadline_seconds.unwrap_or_default()).max(GRACE);
        let oldest = after(self.now, -tolerance);
        let from =
            [created, last, self.seen, Some(after(oldest, -SignedDuration::from_secs(1)))].into_iter().flatten().max();
        if let Some(due) = times::last(&schedules, from.unwrap_or(oldest), self.now) {
            self.seen = Some(due);
            if self.may_start() {
                self.start(due);
            }
        }
        if let Some(next) = times::next(&schedules, self.now) {
            self.plan.at(next);
        }
    }

    /// Whether the run that is due may start: by its condition, and beside the runs that have not ended.
    fn may_start(&mut self) -> bool {
        match self.wanted() {
            Ok(true) => self.condition("SubmissionError", None),
            Ok(false) => return false,
            Err(why) => {
                self.condition("SubmissionError", Some(why));
                return false;
            }
        }
        let active: Vec<Arc<Workflow>> = self.runs.iter().filter(|run| !phase(run).is_completed()).cloned().collect();
        match self.cron.spec.concurrency_policy.as_deref() {
            Some("Forbid") => active.is_empty(),
            Some("Replace") => {
                for run in active.iter().filter(|run| run.spec.shutdown.as_deref() != Some("Terminate")) {
                    self.plan.push(Step::merge(&**run, json!({"spec": {"shutdown": "Terminate"}})));
                }
                true
            }
            _ => true,
        }
    }

    fn wanted(&self) -> Result<bool, String> {
        let Some(when) = self.cron.spec.when.as_deref().filter(|when| !when.trim().is_empty()) else { return Ok(true) };
        let inside = when.trim().strip_prefix("{{=").and_then(|rest| rest.strip_suffix("}}"));
        if let Some(expression) = inside.filter(|inside| !inside.contains("{{")) {
            return expr::evaluate_bool(expression, &self.variables());
        }
        let flat = |name: &str, value: &Value| (format!("cronworkflow.{name}"), expr::show(value));
        let variables = self.variables();
        let scope = variables["cronworkflow"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| flat(name, value))
            .collect();
        crate::when::holds(&fill(when, &scope, Unknown::Kept)?)
    }

    fn start(&mut self, due: Timestamp) {
        let run = child::new(self.cron, due);
        // Made before, by a controller that was ended before it could write it down.
        if self.runs.iter().all(|have| have.metadata.name != run.metadata.name) {
            self.plan.then();
            self.plan.push(Step::create(&run));
            self.plan.note(Note::normal(self.cron, "WorkflowSubmitted", format!("started {}", run.name_any())));
            let own = ObjectReference { uid: None, resource_version: None, ..reference(&run) };
            self.status.active.push(own);
        }
        self.status.last_scheduled_time = Some(Time(due));
    }

    /// Notes what is wrong, or that nothing is.
    fn condition(&mut self, kind: &str, why: Option<String>) {
        self.status.conditions.retain(|condition| condition.r#type != kind);
        if why.is_some() {
            let (r#type, status) = (kind.to_owned(), "True".to_owned());
            self.status.conditions.push(CronCondition { r#type, status, message: why });
        }
    }
}

#[cfg(test)]
mod tests;
