//! What makes pods for ever: Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/apps/validation/validation.go`.

use serde_json::{Value, json};
use tinderbox_api::selector::LabelSelector;

use super::common::{Errors, has, list, text};
use super::pod;
use crate::error::FieldError;
use crate::schema::Path;

const STATEFUL_POLICIES: [&str; 2] = ["OrderedReady", "Parallel"];

pub(super) fn deployment(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    errors.not_negative(path.field("replicas"), &spec["replicas"]);
    selector(spec, "deployment", errors);
    template(spec, "ReplicaSet", errors);
    strategy(&spec["strategy"], &path.field("strategy"), errors);
    errors.none_negative(spec, &path, &["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"]);
    let ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    if spec["progressDeadlineSeconds"].as_i64().is_some_and(|deadline| deadline <= ready) {
        let detail = "must be greater than minReadySeconds";
        errors.invalid(path.field("progressDeadlineSeconds"), &spec["progressDeadlineSeconds"], detail);
    }
}

fn strategy(strategy: &Value, path: &Path, errors: &mut Errors) {
    match text(strategy, "type") {
        "RollingUpdate" => {
            let (rolling, at) = (&strategy["rollingUpdate"], path.field("rollingUpdate"));
            errors.count_or_percent(&at.field("maxUnavailable"), &rolling["maxUnavailable"], Some(100));
            errors.count_or_percent(&at.field("maxSurge"), &rolling["maxSurge"], None);
            let zero = |field: &str| rolling[field] == 0 || rolling[field] == "0%";
            if zero("maxUnavailable") && zero("maxSurge") {
                let found = &rolling["maxUnavailable"];
                errors.invalid(at.field("maxUnavailable"), found, "may not be 0 when `maxSurge` is 0");
            }
        }
        "Recreate" => {
            if has(strategy, "rollingUpdate") {
                let detail = "may not be specified when strategy `type` is 'Recreate'";
                errors.forbidden(path.field("rollingUpdate"), detail);
            }
        }
        _ => errors.0.push(FieldError::not_supported(path, strategy, &["Recreate", "RollingUpdate"])),
    }
}

pub(super) fn replica_set(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    errors.none_negative(spec, &path, &["replicas", "minReadySeconds"]);
    selector(spec, "replica set", errors);
    template(spec, "ReplicaSet", errors);
}

pub(super) fn replication_controller(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    errors.none_negative(spec, &path, &["minReadySeconds", "replicas"]);
    if spec["selector"].as_object().is_none_or(serde_json::Map::is_empty) {
        errors.required(path.field("selector"), "");
    }
    if has(spec, "template") {
        template(spec, "ReplicationController", errors);
    } else {
        errors.required(path.field("template"), "");
    }
}

pub(super) fn daemon_set(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    selector(spec, "daemonset", errors);
    template(spec, "DaemonSet", errors);
    errors.none_negative(spec, &path, &["minReadySeconds", "revisionHistoryLimit"]);
    let (strategy, at) = (&spec["updateStrategy"], path.field("updateStrategy"));
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let (rolling, at) = (&strategy["rollingUpdate"], at.field("rollingUpdate"));
            errors.count_or_percent(&at.field("maxUnavailable"), &rolling["maxUnavailable"], Some(100));
            errors.count_or_percent(&at.field("maxSurge"), &rolling["maxSurge"], Some(100));
        }
        _ => errors.0.push(FieldError::not_supported(at, strategy, &["RollingUpdate", "OnDelete"])),
    }
}

pub(super) fn stateful_set(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let policy = text(spec, "podManagementPolicy");
    if !STATEFUL_POLICIES.contains(&policy) {
        let detail = "must be 'OrderedReady' or 'Parallel'";
        errors.invalid(path.field("podManagementPolicy"), &json!(policy), detail);
    }
    let (strategy, at) = (&spec["updateStrategy"], path.field("updateStrategy"));
    match text(strategy, "type") {
        "OnDelete" => {
            if has(strategy, "rollingUpdate") {
                let detail = "only allowed for updateStrategy 'RollingUpdate'";
                errors.invalid(at.field("rollingUpdate"), &strategy["rollingUpdate"], detail);
            }
        }
        "RollingUpdate" => {
            let rolling = &strategy["rollingUpdate"];
            errors.not_negative(at.field("rollingUpdate").field("partition"), &rolling["partition"]);
        }
        _ => errors.invalid(at, strategy, "must be 'RollingUpdate' or 'OnDelete'"),
    }
    for field in ["whenDeleted", "whenScaled"] {
        let at = path.field("persistentVolumeClaimRetentionPolicy").field(field);
        errors.choice(at, &spec["persistentVolumeClaimRetentionPolicy"][field], &["Retain", "Delete"]);
    }
    errors.none_negative(spec, &path, &["replicas", "minReadySeconds"]);
    selector(spec, "statefulset", errors);
    template(spec, "StatefulSet", errors);
}

/// A selector must be there and select something.
fn selector(spec: &Value, kind: &str, errors: &mut Errors) {
    let path = Path::new("spec.selector");
    let selector = &spec["selector"];
    if selector.is_null() {
        return errors.required(path, "");
    }
    errors.selector(selector, &path);
    let empty = list(&selector["matchExpressions"]).next().is_none()
        && selector["matchLabels"].as_object().is_none_or(serde_json::Map::is_empty);
    if empty {
        errors.invalid(path, selector, &format!("empty selector is invalid for {kind}"));
    } else if LabelSelector::from_object(selector).is_err() {
        errors.invalid(path, selector, "invalid label selector");
    }
}

/// The pods of a template must be selected, sound, and restarted for ever.
fn template(spec: &Value, owner: &str, errors: &mut Errors) {
    let path = Path::new("spec.template");
    let template = &spec["template"];
    let labels = &template["metadata"]["labels"];
    let selector = &spec["selector"];
    let none = selector.as_object().is_none_or(serde_json::Map::is_empty);
    if !none || selector.is_null() {
        selects(selector, labels, &path, errors);
    }
    pod::template(template, &path, errors);
    let pods = &template["spec"];
    let known = ["Always", "OnFailure", "Never"];
    if known.contains(&text(pods, "restartPolicy")) {
        errors.choice(path.field("spec").field("restartPolicy"), &pods["restartPolicy"], &["Always"]);
    }
    if has(pods, "activeDeadlineSeconds") {
        let detail = format!("activeDeadlineSeconds in {owner} is not Supported");
        errors.forbidden(path.field("spec").field("activeDeadlineSeconds"), &detail);
    }
}

/// Also of jobs.
pub(super) fn selects(selector: &Value, labels: &Value, template: &Path, errors: &mut Errors) {
    match LabelSelector::from_object(selector) {
        Ok(found) if selector.is_null() || !found.matches(|key| labels.get(key)?.as_str()) => {
            let detail = "`selector` does not match template `labels`";
            errors.invalid(template.field("metadata").field("labels"), labels, detail);
        }
        _ => {}
    }
}
