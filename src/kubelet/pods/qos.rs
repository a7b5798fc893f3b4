//! The quality-of-service class of a pod. Pure.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/core/v1/helper/qos/qos.go`.

use k8s_openapi::api::core::v1::{Container, Pod};
use tinderbox_api::quantity::Quantity;

const COUNTED: [&str; 2] = ["cpu", "memory"];

fn amount(container: &Container, limits: bool, resource: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let list = if limits { resources.limits.as_ref() } else { resources.requests.as_ref() };
    let quantity: Quantity = list?.get(resource)?.0.parse().ok()?;
    (quantity.milli_value() > 0).then_some(quantity)
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn class(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else {
        return "BestEffort";
    };
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let any =
        containers().any(|c| COUNTED.iter().any(|r| amount(c, true, r).is_some() || amount(c, false, r).is_some()));
    let guaranteed = containers().all(|c| {
        COUNTED.iter().all(|r| {
            let limit = amount(c, true, r);
            limit.is_some() && amount(c, false, r).is_none_or(|request| Some(request) == limit)
        })
    });
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classes() {
        for (resources, class_name) in [
            (json!({}), "BestEffort"),
            (json!({"requests": {"cpu": "1"}}), "Burstable"),
            (
                json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1024Mi"}}),
                "Guaranteed",
            ),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
            (json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Gi"}}), "Burstable"),
        ] {
            let pod: Pod =
                serde_json::from_value(json!({"spec": {"containers": [{"name": "a", "resources": resources}]}}))
                    .unwrap();
            assert_eq!(class(&pod), class_name, "{resources}");
        }
    }
}
