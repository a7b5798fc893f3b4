//! Limit ranges: defaults for containers that say nothing, and bounds for what they say.
//! Upstream rule: k8s.io/kubernetes `plugin/pkg/admission/limitranger/admission.go`; bounds of containers alone.

use serde_json::{Map, Value};
use tinderbox_api::quantity::Quantity;

use crate::call::Call;
use crate::codec;
use crate::error::ApiError;
use crate::object::text;

pub(super) fn admit(call: &Call, pod: &mut Value) -> Result<(), ApiError> {
    let Some(ranges) = call.api.registry().find("", "v1", "limitranges") else {
        return Ok(());
    };
    let list = call.api.store().list(&ranges.collection, Some(&call.path.namespace), None, 0);
    let mut problems = Vec::new();
    for range in &list.items {
        let range = codec::decode(range);
        let limits = range["spec"]["limits"].as_array().into_iter().flatten();
        for limit in limits.filter(|limit| limit["type"] == "Container") {
            for containers in ["initContainers", "containers"] {
                for container in pod["spec"][containers].as_array_mut().into_iter().flatten() {
                    fill(container, limit);
                    bound(container, limit, &mut problems);
                }
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let words = match problems.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(ApiError::forbidden(("", "pods"), text(pod, &["metadata", "name"]), &words))
}

fn fill(container: &mut Value, limit: &Value) {
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
            }
        }
    }
}

fn bound(container: &Value, limit: &Value, problems: &mut Vec<String>) {
    let amount = |value: &Value| value.as_str().and_then(|text| text.parse::<Quantity>().ok());
    let entries = |field: &str| limit[field].as_object().cloned().unwrap_or_default();
    for (resource, least) in entries("min") {
        let request = &container["resources"]["requests"][&resource];
        match (amount(&least), amount(request)) {
            (Some(least), Some(request)) if request < least => {
                problems.push(format!("minimum {resource} usage per Container is {least}, but request is {request}"))
            }
            (Some(least), None) => {
                problems.push(format!("minimum {resource} usage per Container is {least}.  No request is specified"))
            }
            _ => {}
        }
    }
    for (resource, most) in entries("max") {
        let own = &container["resources"]["limits"][&resource];
        match (amount(&most), amount(own)) {
            (Some(most), Some(own)) if own > most => {
                problems.push(format!("maximum {resource} usage per Container is {most}, but limit is {own}"));
            }
            (Some(most), None) => {
                problems.push(format!("maximum {resource} usage per Container is {most}.  No limit is specified"))
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fills_and_bounds() {
        let limit = json!({"default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "2"}, "min": {"memory": "1Mi"}});
        let mut container = json!({});
        fill(&mut container, &limit);
        assert_eq!(container["resources"], json!({"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}}));
        let mut problems = Vec::new();
        bound(&container, &limit, &mut problems);
        assert_eq!(problems, ["minimum memory usage per Container is 1Mi.  No request is specified"]);
        problems.clear();
        let wide = json!({"resources": {"limits": {"cpu": "3"}, "requests": {"memory": "1Gi"}}});
        bound(&wide, &limit, &mut problems);
        assert_eq!(problems, ["maximum cpu usage per Container is 2, but limit is 3"]);
    }
}
