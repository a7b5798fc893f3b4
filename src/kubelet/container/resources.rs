//! What a container may use, and how readily the kernel ends it. Pure.
//! Upstream rule: k8s.io/kubernetes `pkg/kubelet/qos/policy.go`.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use tinderbox_api::quantity::Quantity;

use crate::cgroups::Limits;
use crate::pods::qos;

/// Scores of the two extreme classes.
const GUARANTEED: i32 = -997;
const BEST_EFFORT: i32 = 1000;

fn amount(text: Option<&Text>) -> Option<Quantity> {
    text?.0.parse().ok()
}

fn whole(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// What a container may use.
pub(crate) fn limits(container: &Container) -> Limits {
    let resources = container.resources.as_ref();
    let limit = |name: &str| amount(resources.and_then(|resources| resources.limits.as_ref()?.get(name)));
    let request = |name: &str| amount(resources.and_then(|resources| resources.requests.as_ref()?.get(name)));
    Limits {
        memory: limit("memory").and_then(|amount| whole(amount.value())),
        cpu_millis: limit("cpu").and_then(|amount| whole(amount.milli_value())),
        cpu_request_millis: request("cpu").and_then(|amount| whole(amount.milli_value())).unwrap_or_default(),
    }
}

/// How readily the kernel ends a container when a machine with so much memory has none left.
pub(crate) fn oom_score(pod: &Pod, container: &Container, memory: i64) -> i32 {
    match qos::class(pod) {
        "Guaranteed" => GUARANTEED,
        "BestEffort" => BEST_EFFORT,
        _ => {
            let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
            let asked = amount(requests.and_then(|requests| requests.get("memory"))).map_or(0, Quantity::value);
            let score = 1000 - i32::try_from(asked.saturating_mul(1000) / memory.max(1)).unwrap_or(1000);
            score.clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scores_follow_the_class() {
        for (resources, score) in [
            (json!({}), 1000),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}), -997),
            (json!({"requests": {"memory": "1Gi"}}), 875),
            (json!({"requests": {"memory": "1"}}), 999),
            (json!({"requests": {"memory": "8Gi"}}), 3),
        ] {
            let pod = json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
            let pod: Pod = serde_json::from_value(pod).unwrap();
            assert_eq!(oom_score(&pod, &pod.spec.as_ref().unwrap().containers[0], 8 << 30), score, "{resources}");
        }
    }

    #[test]
    fn limits_are_read() {
        let resources = json!({"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}});
        let container: Container = serde_json::from_value(json!({"name": "a", "resources": resources})).unwrap();
        let wanted = Limits { memory: Some(64 << 20), cpu_millis: Some(1500), cpu_request_millis: 250 };
        assert_eq!(limits(&container), wanted);
        assert_eq!(limits(&Container::default()), Limits::default());
    }
}
