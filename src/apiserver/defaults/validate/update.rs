//! What of a built-in kind stays as it was made.
//! Upstream rules: the `Validate…Update` functions of k8s.io/kubernetes `pkg/apis/*/validation`; the differences that
//! upstream prints behind some messages are left out.

use serde_json::{Value, json};

use super::common::{Errors, has, list, quantity, text};
use super::storage;
use crate::schema::Path;

const IMMUTABLE: &str = "field is immutable";
const POD: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const STATEFUL_SET: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
const STATEFUL_SET_FREE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const CLAIM: &str =
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
const WHEN_SET: &str = "field is immutable when `immutable` is set";

pub(super) fn check(group: &str, kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    let mut same = |paths: &[&str]| fixed(paths, new, old, errors);
    match (group, kind) {
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => same(&["spec.selector"]),
        ("discovery.k8s.io", "EndpointSlice") => same(&["addressType"]),
        ("networking.k8s.io", "IngressClass") => same(&["spec.controller"]),
        ("apps", "ControllerRevision") => same(&["data"]),
        ("storage.k8s.io", "StorageClass") => {
            same(&["volumeBindingMode"]);
            for field in
                ["parameters", "provisioner", "reclaimPolicy"].iter().filter(|field| new[**field] != old[**field])
            {
                errors.forbidden(*field, &format!("updates to {field} are forbidden."));
            }
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            if new["value"] != old["value"] {
                errors.forbidden("value", "may not be changed in an update.");
            }
            fixed(&["preemptionPolicy"], new, old, errors);
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") if new["roleRef"] != old["roleRef"] => {
            errors.invalid("roleRef", &new["roleRef"], "cannot change roleRef");
        }
        ("apps", "StatefulSet")
            if without(&new["spec"], &STATEFUL_SET_FREE) != without(&old["spec"], &STATEFUL_SET_FREE) =>
        {
            errors.forbidden("spec", STATEFUL_SET);
        }
        ("batch", "Job") => job(new, old, errors),
        ("", "Pod") => pod(&new["spec"], &old["spec"], errors),
        ("", "Service") => service(&new["spec"], &old["spec"], errors),
        ("", "PersistentVolumeClaim") => claim(new, old, errors),
        ("", "PersistentVolume") => volume(&new["spec"], &old["spec"], errors),
        ("", "ConfigMap") => immutable(new, old, &["data", "binaryData"], errors),
        ("", "Secret") => {
            fixed(&["type"], new, old, errors);
            immutable(new, old, &["data"], errors);
        }
        _ => {}
    }
}

fn fixed(paths: &[&str], new: &Value, old: &Value, errors: &mut Errors) {
    for path in paths {
        let get = |object: &Value| path.split('.').fold(object.clone(), |value, step| value[step].clone());
        let found = get(new);
        if found != get(old) {
            errors.invalid(*path, &found, IMMUTABLE);
        }
    }
}

fn without(spec: &Value, fields: &[&str]) -> Value {
    let kept = spec.as_object().into_iter().flatten().filter(|(name, _)| !fields.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn immutable(new: &Value, old: &Value, fields: &[&str], errors: &mut Errors) {
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        errors.forbidden("immutable", WHEN_SET);
    }
    for field in fields.iter().filter(|field| new[**field] != old[**field]) {
        errors.forbidden(*field, WHEN_SET);
    }
}

fn pod(new: &Value, old: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    for field in ["containers", "initContainers"] {
        if list(&new[field]).count() != list(&old[field]).count() {
            errors.forbidden(path.field(field), "pod updates may not add or remove containers");
            return;
        }
    }
    let at = path.field("activeDeadlineSeconds");
    match (new["activeDeadlineSeconds"].as_i64(), old["activeDeadlineSeconds"].as_i64()) {
        (Some(is), Some(was)) if is > was => {
            return errors.invalid(at, &json!(is), "must be less than or equal to previous value");
        }
        (None, Some(_)) => {
            errors.invalid(at, &Value::Null, "must not update from a positive integer to nil value");
        }
        _ => {}
    }
    let tolerations = |spec: &Value| list(&spec["tolerations"]).cloned().collect::<Vec<_>>();
    let (is, was) = (tolerations(new), tolerations(old));
    let same =
        |one: &Value, other: &Value| without(one, &["tolerationSeconds"]) == without(other, &["tolerationSeconds"]);
    if !was.iter().all(|old| is.iter().any(|new| same(new, old))) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.forbidden(path.field("tolerations"), detail);
    }
    let gates =
        |spec: &Value| list(&spec["schedulingGates"]).map(|gate| text(gate, "name").to_owned()).collect::<Vec<_>>();
    let (is, was) = (gates(new), gates(old));
    for (index, added) in is.iter().enumerate().filter(|(_, gate)| !was.contains(gate)) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{added}'");
        errors.forbidden(path.field("schedulingGates").index(index).field("name"), &detail);
    }
    let mut wanted = new.clone();
    for field in ["containers", "initContainers"] {
        for (index, container) in list(&old[field]).enumerate() {
            if let Some(own) = wanted[field].get_mut(index).filter(|own| own.is_object()) {
                own["image"] = container["image"].clone();
            }
        }
    }
    let shrunk = old["terminationGracePeriodSeconds"].as_i64().is_some_and(|was| was < 0)
        && new["terminationGracePeriodSeconds"] == 1;
    let mut free = vec!["activeDeadlineSeconds", "tolerations", "schedulingGates"];
    if shrunk {
        free.push("terminationGracePeriodSeconds");
    }
    // Where a pod may run is open while something keeps it from being scheduled.
    if !was.is_empty() {
        free.extend(["nodeSelector", "affinity"]);
        node_selector(&new["nodeSelector"], &old["nodeSelector"], &path.field("nodeSelector"), errors);
    }
    if without(&wanted, &free) != without(old, &free) {
        errors.forbidden(path, POD);
    }
}

fn node_selector(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    let old = old.as_object().into_iter().flatten();
    if old.into_iter().any(|(key, value)| new.get(key) != Some(value)) {
        errors.invalid(path, new, "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
    }
}

fn service(new: &Value, old: &Value, errors: &mut Errors) {
    let external = |spec: &Value| spec["type"] == "ExternalName";
    let headless = |spec: &Value| text(spec, "clusterIP") == "None";
    if external(new) || external(old) || headless(new) && headless(old) {
        return;
    }
    let at = Path::new("spec.clusterIPs").index(0);
    let first = |spec: &Value| list(&spec["clusterIPs"]).next().cloned();
    match (first(new), first(old)) {
        (None, Some(_)) => errors.invalid(at, &json!([]), "primary clusterIP can not be unset"),
        (Some(is), Some(was)) if is != was => errors.invalid(at, &new["clusterIPs"], "may not change once set"),
        _ => {}
    }
}

fn claim(new: &Value, old: &Value, errors: &mut Errors) {
    let (mut is, mut was) = (new["spec"].clone(), old["spec"].clone());
    if !has(&was, "volumeName") {
        was["volumeName"] = is["volumeName"].clone();
    }
    if !has(&was, "storageClassName") {
        was["storageClassName"] = is["storageClassName"].clone();
    }
    let bound = new["status"]["phase"] == "Bound";
    let storage = |spec: &Value| spec["resources"]["requests"]["storage"].clone();
    let (size, former) = (storage(&is), storage(&was));
    if bound {
        is["resources"]["requests"]["storage"] = former.clone();
        is["volumeAttributesClassName"] = was["volumeAttributesClassName"].clone();
    }
    let plain = |spec: &Value| {
        let fields = spec.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    if plain(&is) != plain(&was) {
        errors.forbidden("spec", CLAIM);
    }
    let capacity = quantity(&old["status"]["capacity"]["storage"]);
    if let (Some(size), Some(former)) = (quantity(&size), quantity(&former))
        && size < former
        && capacity.is_none_or(|capacity| size <= capacity)
        && (capacity.is_some() || size.milli_value() <= 0)
    {
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
    }
    if new["spec"]["volumeMode"] != old["spec"]["volumeMode"] {
        errors.invalid("volumeMode", &new["spec"]["volumeMode"], IMMUTABLE);
    }
}

fn volume(new: &Value, old: &Value, errors: &mut Errors) {
    if without(new, &storage::NO_SOURCE) != without(old, &storage::NO_SOURCE) {
        errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation");
    }
    if new["volumeMode"] != old["volumeMode"] {
        errors.invalid("volumeMode", &new["volumeMode"], IMMUTABLE);
    }
    if has(old, "nodeAffinity") && new["nodeAffinity"] != old["nodeAffinity"] {
        errors.invalid("spec.nodeAffinity", &new["nodeAffinity"], IMMUTABLE);
    }
}

fn job(new: &Value, old: &Value, errors: &mut Errors) {
    let (is, was) = (&new["spec"], &old["spec"]);
    if is["completionMode"] != "Indexed" {
        fixed(&["spec.completions"], new, old, errors);
    } else if is["completions"] != was["completions"] && is["completions"] != is["parallelism"] {
        let detail = "can only be modified in tandem with spec.parallelism";
        errors.invalid("spec.completions", &is["completions"], detail);
    }
    let mut before = old.clone();
    // Where its pods may run is open until a suspended job first starts.
    if was["suspend"] == true && !has(&old["status"], "startTime") {
        let template = is["template"].clone();
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            before["spec"]["template"]["spec"][field] = template["spec"][field].clone();
        }
        before["spec"]["template"]["spec"]["affinity"]["nodeAffinity"] =
            template["spec"]["affinity"]["nodeAffinity"].clone();
        before["spec"]["template"]["metadata"] = template["metadata"].clone();
    }
    drop_nulls(&mut before);
    let mut after = new.clone();
    drop_nulls(&mut after);
    let rest = [
        "spec.selector",
        "spec.template",
        "spec.completionMode",
        "spec.podFailurePolicy",
        "spec.backoffLimitPerIndex",
        "spec.managedBy",
        "spec.successPolicy",
    ];
    fixed(&rest, &after, &before, errors);
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(drop_nulls);
        fields.retain(|name, value| !(value.is_null() || name == "affinity" && *value == json!({})));
    }
}
