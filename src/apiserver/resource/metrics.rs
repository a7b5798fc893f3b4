//! The resources of metrics: what pods and nodes use, measured when asked for.

use super::Resource;

pub(super) fn table() -> Vec<Resource> {
    const GROUP: &str = "metrics.k8s.io";
    let all = [
        Resource::cluster(GROUP, "v1beta1", "NodeMetrics", "nodes"),
        Resource::namespaced(GROUP, "v1beta1", "PodMetrics", "pods"),
    ];
    all.map(|mut one| {
        one.singular = "".into();
        one.verbs(&["get", "list"])
    })
    .into()
}
