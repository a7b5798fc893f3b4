//! Pods: the first status, and the class of service that follows from their requests.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/core/helper/qos/qos.go`.

use serde_json::{Value, json};
use tinderbox_api::quantity::Quantity;

pub(super) fn on_create(pod: &mut Value) {
    pod["status"] = json!({"phase": "Pending", "qosClass": qos_class(pod)});
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
fn qos_class(pod: &Value) -> &'static str {
    let spec = &pod["spec"];
    let containers: Vec<&Value> =
        ["containers", "initContainers"].iter().filter_map(|field| spec[*field].as_array()).flatten().collect();
    let amount = |container: &Value, kind: &str, resource: &str| {
        let text = container["resources"][kind][resource].as_str()?;
        let amount: Quantity = text.parse().ok()?;
        (amount > Quantity::units(0)).then_some(amount)
    };
    let resources = ["cpu", "memory"];
    let any = containers.iter().any(|container| {
        resources.iter().any(|resource| {
            amount(container, "requests", resource).is_some() || amount(container, "limits", resource).is_some()
        })
    });
    if !any {
        return "BestEffort";
    }
    let guaranteed = containers.iter().all(|container| {
        resources.iter().all(|resource| {
            let limit = amount(container, "limits", resource);
            let request = amount(container, "requests", resource).or(limit);
            limit.is_some() && limit == request
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_from_requests() {
        for (resources, class) in [
            (json!({}), "BestEffort"),
            (json!({"requests": {"cpu": "1"}}), "Burstable"),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
            (
                json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}),
                "Burstable",
            ),
        ] {
            let pod = json!({"spec": {"containers": [{"resources": resources}]}});
            assert_eq!(qos_class(&pod), class, "{resources}");
        }
    }
}
