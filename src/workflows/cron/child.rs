//! The workflows of a CronWorkflow: one for each time, whose name tells the time, so that none is made twice. Pure.
//! Upstream rule: `ConvertCronWorkflowToWorkflowWithProperties` in `workflow/common/convert.go` of argoproj/argo-workflows.

use jiff::Timestamp;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use tinderbox_api::workflows::{CronWorkflow, Workflow, labels};

use super::times;

/// The name of the run for a time.
pub(super) fn name(cron: &CronWorkflow, time: Timestamp) -> String {
    format!("{}-{}", cron.name_any(), time.as_second())
}

/// The run for a time.
pub(super) fn new(cron: &CronWorkflow, time: Timestamp) -> Workflow {
    let metadata = cron.spec.workflow_metadata.clone().unwrap_or_default();
    let (mut marks, mut annotations) = (metadata.labels, metadata.annotations);
    marks.insert(labels::CRON_WORKFLOW.to_owned(), cron.name_any());
    let zone = times::zone(&cron.spec).unwrap_or(jiff::tz::TimeZone::UTC);
    let local = time.display_with_offset(zone.to_offset(time)).to_string();
    let local = local.strip_suffix("+00:00").map_or(local.clone(), |plain| format!("{plain}Z"));
    annotations.insert(labels::SCHEDULED_TIME.to_owned(), local);
    let mut workflow = Workflow::new(ObjectMeta {
        name: Some(name(cron, time)),
        namespace: cron.namespace(),
        labels: Some(marks),
        annotations: Some(annotations),
        owner_references: cron.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    });
    workflow.spec = cron.spec.workflow_spec.clone();
    workflow
}

/// Whether a workflow is a run of the schedule, and not of an earlier one by the same name.
pub(super) fn is_of(cron: &CronWorkflow, workflow: &Workflow) -> bool {
    workflow.owner_references().iter().any(|owner| Some(&owner.uid) == cron.metadata.uid.as_ref())
}
