//! The SparkApplications of a ScheduledSparkApplication: one per time, whose name tells the time, so that none is made
//! twice. Pure.
//! Upstream rule: `createSparkApplication` in `internal/controller/scheduledsparkapplication/controller.go` of
//! kubeflow/spark-operator.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use tinderbox_api::spark::{ScheduledSparkApplication, SparkApplication, State, labels};

/// The name of the run for a time: upstream's default form, in nanoseconds.
pub(super) fn name(scheduled: &ScheduledSparkApplication, time: Timestamp) -> String {
    format!("{}-{}", scheduled.name_any(), time.as_nanosecond())
}

/// The run for a time.
pub(super) fn new(scheduled: &ScheduledSparkApplication, time: Timestamp) -> SparkApplication {
    let mut labels = scheduled.labels().clone();
    labels.insert(labels::SCHEDULED_APP_NAME.to_owned(), scheduled.name_any());
    let mut app = SparkApplication::new(ObjectMeta {
        name: Some(name(scheduled, time)),
        namespace: scheduled.namespace(),
        labels: Some(labels),
        // Upstream does not make the schedule the run's controller.
        owner_references: Some(vec![OwnerReference {
            block_owner_deletion: Some(true),
            ..scheduled.owner_ref(&()).unwrap_or_default()
        }]),
        ..ObjectMeta::default()
    });
    app.spec = scheduled.spec.template.clone();
    app
}

/// Whether an application is a run of the schedule, and not of an earlier one by the same name.
pub(super) fn is_of(scheduled: &ScheduledSparkApplication, app: &SparkApplication) -> bool {
    app.owner_references().iter().any(|owner| Some(&owner.uid) == scheduled.metadata.uid.as_ref())
}

/// The state of a run.
pub(super) fn state(app: &SparkApplication) -> State {
    app.status.as_ref().map(|status| status.application_state.state).unwrap_or_default()
}

/// Runs by their creation, the newest first.
pub(super) fn newest_first(mut apps: Vec<Arc<SparkApplication>>) -> Vec<Arc<SparkApplication>> {
    let created = |app: &SparkApplication| app.metadata.creation_timestamp.as_ref().map(|time| time.0);
    apps.sort_by_key(|app| Reverse((created(app), app.name_any())));
    apps
}
