//! Which container of a pod is meant, with Kubernetes' words when it cannot be told. It must not ask the node.

use serde_json::Value;
use tinderbox_api::streams::ContainerRef;

use crate::error::ApiError;

/// The pod itself, without a container.
pub(super) fn pod(pod: &Value) -> ContainerRef {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    ContainerRef { namespace: text("namespace"), pod: text("name"), uid: text("uid"), container: String::new() }
}

/// The container named `wanted`, or the only one.
pub(super) fn container(object: &Value, wanted: &str) -> Result<ContainerRef, ApiError> {
    let names = |list: &str| -> Vec<&str> {
        let containers = object["spec"][list].as_array();
        let containers = containers.map(Vec::as_slice).unwrap_or_default().iter();
        containers.filter_map(|one| one["name"].as_str()).collect()
    };
    let (regular, init) = (names("containers"), names("initContainers"));
    let mut reference = pod(object);
    if wanted.is_empty() {
        let [only] = regular.as_slice() else {
            let init = match init.as_slice() {
                [] => String::new(),
                some => format!(" or one of the init containers: [{}]", some.join(" ")),
            };
            return Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]{init}",
                reference.pod,
                regular.join(" ")
            )));
        };
        reference.container = (*only).to_owned();
        return Ok(reference);
    }
    let known = [regular, init, names("ephemeralContainers")].iter().any(|list| list.contains(&wanted));
    if !known {
        return Err(ApiError::bad_request(format!("container {wanted} is not valid for pod {}", reference.pod)));
    }
    reference.container = wanted.to_owned();
    Ok(reference)
}

/// Whether the pod has a node and has not ended.
pub(super) fn running(object: &Value) -> Result<(), ApiError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if object["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    match object["status"]["phase"].as_str() {
        Some(phase @ ("Succeeded" | "Failed")) => Err(ApiError::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn two() -> Value {
        json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}})
    }

    #[test]
    fn finds_the_container_meant() {
        assert_eq!(container(&two(), "b").unwrap().container, "b");
        assert_eq!(container(&two(), "i").unwrap().uid, "u");
        let mut one = two();
        one["spec"]["containers"] = json!([{"name": "only"}]);
        assert_eq!(container(&one, "").unwrap().container, "only");
    }

    #[test]
    fn says_which_there_are() {
        assert_eq!(
            container(&two(), "").unwrap_err().message,
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
        assert_eq!(container(&two(), "c").unwrap_err().message, "container c is not valid for pod p");
    }

    #[test]
    fn wants_a_node_and_life() {
        let mut pod = two();
        assert_eq!(running(&pod).unwrap_err().message, "pod p does not have a host assigned");
        pod["spec"]["nodeName"] = json!("local-0");
        assert!(running(&pod).is_ok());
        pod["status"]["phase"] = json!("Succeeded");
        assert!(running(&pod).unwrap_err().message.ends_with("current phase is Succeeded"));
    }
}
