//! Limit ranges: defaults for containers that say nothing, and bounds for containers, whole pods and claims.
//! Upstream rule: k8s.io/kubernetes `plugin/pkg/admission/limitranger/admission.go`.

use serde_json::{Map, Value, json};
use tinderbox_api::quantity::Quantity;
use tinderbox_api::quota::{Usage, of_pod};

use crate::call::Call;
use crate::codec;
use crate::error::ApiError;
use crate::object::text;

/// Says what the defaults of a pod were.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
const CONTAINERS: [(&str, &str); 2] = [("containers", "container"), ("initContainers", "init container")];

pub(super) fn admit(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let Some(ranges) = call.api.registry().find("", "v1", "limitranges") else {
        return Ok(());
    };
    let list = call.api.store().list(&ranges.collection, Some(&call.path.namespace), None, 0);
    let ranges: Vec<Value> = list.items.iter().map(|range| codec::decode(range)).collect();
    let limits: Vec<&Value> = ranges.iter().flat_map(|range| range["spec"]["limits"].as_array()).flatten().collect();
    let mut problems = Vec::new();
    if call.resource.is("", "pods") {
        limits.iter().filter(|limit| limit["type"] == "Container").for_each(|limit| complete(object, limit));
        limits.iter().for_each(|limit| bound_pod(&object["spec"], limit, &mut problems));
    } else {
        let amounts = |kind: &str| amounts(&object["spec"]["resources"][kind]);
        let claims = limits.iter().filter(|limit| limit["type"] == "PersistentVolumeClaim");
        claims.for_each(|limit| bound(&amounts("requests"), &amounts("limits"), limit, &mut problems));
    }
    let words = match problems.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(ApiError::forbidden(("", &call.resource.plural), text(object, &["metadata", "name"]), &words))
}

/// Gives the containers of a pod what they do not say.
fn complete(pod: &mut Value, limit: &Value) {
    let mut told = Vec::new();
    for (list, noun) in CONTAINERS {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            let name = text(container, &["name"]).to_owned();
            let (requests, limits) = fill(container, limit);
            let words = [(requests, "request"), (limits, "limit")];
            let words = words.iter().filter(|(names, _)| !names.is_empty());
            told.extend(words.map(|(names, what)| format!("{} {what} for {noun} {name}", names.join(", "))));
        }
    }
    if told.is_empty() {
        return;
    }
    if !pod["metadata"]["annotations"].is_object() {
        pod["metadata"]["annotations"] = json!({});
    }
    pod["metadata"]["annotations"][ANNOTATION] = format!("LimitRanger plugin set: {}", told.join("; ")).into();
}

/// Fills requests and limits; the names of those that were filled.
fn fill(container: &mut Value, limit: &Value) -> (Vec<String>, Vec<String>) {
    let mut filled = (Vec::new(), Vec::new());
    for (field, default) in [("limits", "default"), ("requests", "defaultRequest")] {
        let Some(defaults) = limit[default].as_object() else { continue };
        // What a container limits itself to is what it requests, before any default of requests.
        let own = if field == "requests" { container["resources"]["limits"].clone() } else { Value::Null };
        let resources = &mut container["resources"][field];
        if !resources.is_object() {
            *resources = Value::Object(Map::new());
        }
        for (resource, default) in defaults {
            if resources.get(resource).is_none() {
                let amount = own.get(resource).filter(|_| limit["default"].get(resource).is_none());
                resources[resource] = amount.cloned().unwrap_or_else(|| default.clone());
                if field == "limits" { &mut filled.1 } else { &mut filled.0 }.push(resource.clone());
            }
        }
    }
    filled
}

fn amounts(value: &Value) -> Usage {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.parse().ok()?))).collect()
}

fn bound_pod(spec: &Value, limit: &Value, problems: &mut Vec<String>) {
    match text(limit, &["type"]) {
        "Container" => {
            let all = ["containers", "initContainers"].iter().flat_map(|list| spec[*list].as_array()).flatten();
            for container in all {
                let of = |kind: &str| amounts(&container["resources"][kind]);
                bound(&of("requests"), &of("limits"), limit, problems);
            }
        }
        "Pod" => bound(&of_pod(spec, "requests"), &of_pod(spec, "limits"), limit, problems),
        _ => {}
    }
}

fn bound(requests: &Usage, limits: &Usage, limit: &Value, problems: &mut Vec<String>) {
    let kind = text(limit, &["type"]);
    // Claims have no limits: what they request is held to both bounds.
    let most_is_of_limits = kind != "PersistentVolumeClaim";
    for (resource, least) in amounts(&limit["min"]) {
        let bound = format!("minimum {resource} usage per {kind} is {least}");
        match (requests.get(&resource), limits.get(&resource)) {
            (None, _) => problems.push(format!("{bound}.  No request is specified")),
            (Some(request), _) if *request < least => problems.push(format!("{bound}, but request is {request}")),
            (_, Some(limit)) if *limit < least => problems.push(format!("{bound}, but limit is {limit}")),
            _ => {}
        }
    }
    for (resource, most) in amounts(&limit["max"]) {
        let bound = format!("maximum {resource} usage per {kind} is {most}");
        match (requests.get(&resource), limits.get(&resource)) {
            (_, None) if most_is_of_limits => problems.push(format!("{bound}.  No limit is specified")),
            (None, _) if !most_is_of_limits => problems.push(format!("{bound}.  No request is specified")),
            (_, Some(limit)) if *limit > most => problems.push(format!("{bound}, but limit is {limit}")),
            (Some(request), _) if *request > most => problems.push(format!("{bound}, but request is {request}")),
            _ => {}
        }
    }
    for (resource, most) in amounts(&limit["maxLimitRequestRatio"]) {
        let of = |amounts: &Usage| amounts.get(&resource).copied().filter(|amount| amount.milli_value() != 0);
        let bound = format!("{resource} max limit to request ratio per {kind} is {most}");
        match (of(requests), of(limits)) {
            (None, _) => problems.push(format!("{bound}, but no request is specified or request is 0")),
            (_, None) => problems.push(format!("{bound}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let ratio = number(limit) / number(request);
                if ratio > number(most) {
                    problems.push(format!("{bound}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

fn number(amount: Quantity) -> f64 {
    amount.milli_value() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(limit: Value, spec: Value) -> Vec<String> {
        let mut problems = Vec::new();
        bound_pod(&spec, &limit, &mut problems);
        problems
    }

    #[test]
    fn containers_get_what_they_do_not_say() {
        let limit = json!({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}});
        let mut pod = json!({"metadata": {}, "spec": {"containers": [
            {"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}}]}});
        complete(&mut pod, &limit);
        let resources = &pod["spec"]["containers"][0]["resources"];
        assert_eq!(*resources, json!({"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}}));
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container a; cpu limit for container a"
        );
    }

    #[test]
    fn containers_and_pods_are_bounded() {
        let one = |resources: Value| json!({"containers": [{"resources": resources}]});
        let limit = json!({"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}});
        assert_eq!(
            found(limit.clone(), one(json!({"limits": {"cpu": "1"}}))),
            ["minimum memory usage per Container is 1Mi.  No request is specified"]
        );
        assert_eq!(
            found(limit, one(json!({"limits": {"cpu": "3"}, "requests": {"memory": "1Gi"}}))),
            ["maximum cpu usage per Container is 2, but limit is 3"]
        );
        let both = json!({"limits": {"cpu": "1500m"}, "requests": {"cpu": "500m"}});
        let pod = json!({"containers": [{"resources": both}, {"resources": both}]});
        assert_eq!(
            found(json!({"type": "Pod", "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "2"}}), pod),
            [
                "maximum cpu usage per Pod is 2, but limit is 3",
                "cpu max limit to request ratio per Pod is 2, but provided ratio is 3.000000",
            ]
        );
    }

    #[test]
    fn claims_are_bounded_by_what_they_request() {
        let limit = json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}});
        for (size, wanted) in [
            ("500Mi", Some("minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi")),
            ("2Gi", None),
            ("6Gi", Some("maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi")),
        ] {
            let mut problems = Vec::new();
            bound(&amounts(&json!({"storage": size})), &Usage::new(), &limit, &mut problems);
            assert_eq!(problems.first().map(String::as_str), wanted);
        }
    }
}
