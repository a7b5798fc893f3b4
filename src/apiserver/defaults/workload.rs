//! Defaults of what makes pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, ReplicationController.
//! Upstream rules: k8s.io/kubernetes `pkg/apis/{apps,batch,core}/v1/defaults.go` and `pkg/registry/batch/job/strategy.go`.

use serde_json::{Value, json};

use super::{fill, pod, storage};

pub(super) fn deployment(deployment: &mut Value) {
    let spec = fill::object(deployment, "spec");
    fill::value(spec, "replicas", 1);
    fill::value(spec, "revisionHistoryLimit", 10);
    fill::value(spec, "progressDeadlineSeconds", 600);
    let strategy = fill::object(spec, "strategy");
    fill::text(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = fill::object(strategy, "rollingUpdate");
        fill::value(rolling, "maxUnavailable", "25%");
        fill::value(rolling, "maxSurge", "25%");
    }
    pod::template(fill::object(spec, "template"));
    fill::status(deployment);
}

pub(super) fn replica_set(set: &mut Value) {
    let spec = fill::object(set, "spec");
    fill::value(spec, "replicas", 1);
    pod::template(fill::object(spec, "template"));
    fill::value(fill::object(set, "status"), "replicas", 0);
}

pub(super) fn replication_controller(controller: &mut Value) {
    let spec = fill::object(controller, "spec");
    fill::value(spec, "replicas", 1);
    if let Some(template) = fill::present(spec, "template") {
        pod::template(template);
        let labels = template["metadata"]["labels"].clone();
        if fill::is_empty(spec, "selector") && !labels.is_null() {
            spec["selector"] = labels.clone();
        }
        labels_from(controller, labels);
    }
    fill::value(fill::object(controller, "status"), "replicas", 0);
}

pub(super) fn stateful_set(set: &mut Value) {
    let spec = fill::object(set, "spec");
    fill::value(spec, "serviceName", "");
    fill::text(spec, "podManagementPolicy", "OrderedReady");
    fill::value(spec, "replicas", 1);
    fill::value(spec, "revisionHistoryLimit", 10);
    let strategy = fill::object(spec, "updateStrategy");
    if fill::string(strategy, "type").is_empty() {
        strategy["type"] = json!("RollingUpdate");
        fill::object(strategy, "rollingUpdate");
    }
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = fill::present(strategy, "rollingUpdate")
    {
        fill::value(rolling, "partition", 0);
    }
    let retention = fill::object(spec, "persistentVolumeClaimRetentionPolicy");
    fill::text(retention, "whenDeleted", "Retain");
    fill::text(retention, "whenScaled", "Retain");
    pod::template(fill::object(spec, "template"));
    for claim in fill::items(spec, "volumeClaimTemplates") {
        fill::text(claim, "apiVersion", "v1");
        fill::text(claim, "kind", "PersistentVolumeClaim");
        fill::object(claim, "metadata");
        storage::claim(claim);
    }
    let status = fill::object(set, "status");
    fill::value(status, "replicas", 0);
    fill::value(status, "availableReplicas", 0);
}

pub(super) fn daemon_set(set: &mut Value) {
    let spec = fill::object(set, "spec");
    fill::value(spec, "revisionHistoryLimit", 10);
    let strategy = fill::object(spec, "updateStrategy");
    fill::text(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = fill::object(strategy, "rollingUpdate");
        fill::value(rolling, "maxUnavailable", 1);
        fill::value(rolling, "maxSurge", 0);
    }
    pod::template(fill::object(spec, "template"));
    let status = fill::object(set, "status");
    for field in ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"] {
        fill::value(status, field, 0);
    }
}

pub(super) fn job(job: &mut Value) {
    let spec = fill::object(job, "spec");
    job_spec(spec);
    fill::value(spec, "suspend", false);
    fill::value(spec, "manualSelector", false);
    own_pods(job);
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    labels_from(job, labels);
    fill::status(job);
}

/// What the spec of a job gets, also inside a cron job.
fn job_spec(spec: &mut Value) {
    if spec.get("parallelism").is_none_or(Value::is_null) {
        fill::value(spec, "completions", 1);
        spec["parallelism"] = json!(1);
    }
    let limit = if spec.get("backoffLimitPerIndex").is_some_and(Value::is_i64) { i32::MAX } else { 6 };
    fill::value(spec, "backoffLimit", limit);
    fill::text(spec, "completionMode", "NonIndexed");
    let replacement = if spec.get("podFailurePolicy").is_some() { "Failed" } else { "TerminatingOrFailed" };
    fill::text(spec, "podReplacementPolicy", replacement);
    failure_policy(spec);
    pod::template(fill::object(spec, "template"));
}

fn failure_policy(spec: &mut Value) {
    if let Some(policy) = fill::present(spec, "podFailurePolicy") {
        for rule in fill::items(policy, "rules") {
            for condition in fill::items(rule, "onPodConditions") {
                fill::text(condition, "status", "True");
            }
        }
    }
}

/// A job that has its uid selects its pods by it, unless its author chose the selector.
fn own_pods(job: &mut Value) {
    let uid = fill::string(&job["metadata"], "uid").to_owned();
    let name = fill::string(&job["metadata"], "name").to_owned();
    let spec = &mut job["spec"];
    if uid.is_empty() || spec["manualSelector"] == true || spec.get("selector").is_some() {
        return;
    }
    let labels = fill::object(&mut spec["template"]["metadata"], "labels");
    for (label, value) in [
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        labels[label] = json!(value);
    }
    spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
}

pub(super) fn cron_job(cron: &mut Value) {
    let spec = fill::object(cron, "spec");
    fill::text(spec, "concurrencyPolicy", "Allow");
    fill::value(spec, "suspend", false);
    fill::value(spec, "successfulJobsHistoryLimit", 3);
    fill::value(spec, "failedJobsHistoryLimit", 1);
    let template = fill::object(spec, "jobTemplate");
    fill::object(template, "metadata");
    // Upstream fills the pods of a cron job's template, and leaves the numbers to the jobs that are made.
    let job = fill::object(template, "spec");
    failure_policy(job);
    pod::template(fill::object(job, "template"));
    fill::status(cron);
}

/// An object without labels takes those of its template.
fn labels_from(object: &mut Value, labels: Value) {
    let metadata = fill::object(object, "metadata");
    if fill::is_empty(metadata, "labels") && labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        metadata["labels"] = labels;
    }
}
