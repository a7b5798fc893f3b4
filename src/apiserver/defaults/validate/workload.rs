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
            if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
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

fn is_zero(count: &Value) -> bool {
    *count == 0 || *count == "0%"
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
            let surge = &rolling["maxSurge"];
            match (is_zero(&rolling["maxUnavailable"]), is_zero(surge)) {
                (false, false) => {
                    errors.invalid(at.field("maxSurge"), surge, "may not be set when maxUnavailable is non-zero");
                }
                (true, true) => errors.required(at.field("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
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
            let at = at.field("rollingUpdate");
            errors.not_negative(at.field("partition"), &rolling["partition"]);
            errors.count_or_percent(&at.field("maxUnavailable"), &rolling["maxUnavailable"], Some(100));
            if is_zero(&rolling["maxUnavailable"]) {
                errors.invalid(at.field("maxUnavailable"), &rolling["maxUnavailable"], "cannot be 0");
            }
        }
        _ => errors.invalid(at, strategy, "must be 'RollingUpdate' or 'OnDelete'"),
    }
    errors.not_negative(path.field("ordinals").field("start"), &spec["ordinals"]["start"]);
    for field in ["whenDeleted", "whenScaled"] {
        let at = path.field("persistentVolumeClaimRetentionPolicy").field(field);
        errors.choice(at, &spec["persistentVolumeClaimRetentionPolicy"][field], &["Retain", "Delete"]);
    }
    errors.none_negative(spec, &path, &["replicas", "minReadySeconds"]);
    selector(spec, "statefulset", errors);
    template(&with_claims(spec), "StatefulSet", errors);
}

/// The spec of a stateful set whose pods have the volumes that its claims become.
fn with_claims(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let names: Vec<Value> =
        list(&spec["volumeClaimTemplates"]).map(|claim| claim["metadata"]["name"].clone()).collect();
    if !names.is_empty() {
        let volumes = &spec["template"]["spec"]["volumes"];
        let rest = list(volumes).filter(|volume| !names.contains(&volume["name"])).cloned();
        let claims = names.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        let volumes: Vec<Value> = claims.chain(rest).collect();
        spec["template"]["spec"]["volumes"] = volumes.into();
    }
    spec
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: fn(&Value, &mut Errors), spec: &Value) -> Vec<String> {
        let mut whole = json!({
            "podManagementPolicy": "OrderedReady",
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Always", "containers": [
                {"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        let mut errors = Errors::default();
        check(&json!({"spec": whole}), &mut errors);
        let texts = errors.0.into_iter().map(|error| format!("{}: {}", error.field, error.message));
        texts.filter(|text| text.starts_with("spec.")).collect()
    }

    #[test]
    fn claims_of_a_stateful_set_are_volumes_of_its_pods() {
        let rolling = |settings: Value| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": settings}});
        assert_eq!(found(stateful_set, &rolling(json!({"partition": 1, "maxUnavailable": "50%"}))), [""; 0]);
        let mut bare = rolling(json!({"maxUnavailable": 0}));
        bare["volumeClaimTemplates"] = Value::Null;
        bare["ordinals"] = json!({"start": -1});
        assert_eq!(
            found(stateful_set, &bare),
            [
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
                "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
            ]
        );
    }

    #[test]
    fn a_daemon_set_surges_or_goes_without() {
        let set = |unavailable: i32, surge: i32| {
            let rolling = json!({"maxUnavailable": unavailable, "maxSurge": surge});
            let spec = json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}});
            found(daemon_set, &spec).into_iter().filter(|text| text.starts_with("spec.update")).collect::<Vec<_>>()
        };
        assert_eq!(set(0, 1), [""; 0]);
        assert_eq!(
            set(1, 1),
            [
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"
            ]
        );
        assert_eq!(
            set(0, 0),
            ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]
        );
    }
}
