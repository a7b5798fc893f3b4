//! The resources of apps, batch and autoscaling.

use super::{Resource, View};
use crate::table::workloads;

pub(super) fn table() -> Vec<Resource> {
    let apps = |kind, plural| Resource::namespaced("apps", "v1", kind, plural);
    let batch = |kind, plural| Resource::namespaced("batch", "v1", kind, plural);
    vec![
        apps("ControllerRevision", "controllerrevisions").columns(workloads::REVISIONS),
        apps("DaemonSet", "daemonsets")
            .short(&["ds"])
            .categories(&["all"])
            .columns(workloads::DAEMON_SETS)
            .counted()
            .status(),
        apps("Deployment", "deployments")
            .short(&["deploy"])
            .categories(&["all"])
            .columns(workloads::DEPLOYMENTS)
            .counted()
            .scale("spec.selector")
            .status(),
        apps("ReplicaSet", "replicasets")
            .short(&["rs"])
            .categories(&["all"])
            .columns(workloads::REPLICA_SETS)
            .field("status.replicas", "status.replicas", "0")
            .counted()
            .scale("spec.selector")
            .status(),
        apps("StatefulSet", "statefulsets")
            .short(&["sts"])
            .categories(&["all"])
            .columns(workloads::STATEFUL_SETS)
            .counted()
            .scale("spec.selector")
            .status(),
        autoscaler("v2", View::Same),
        autoscaler("v1", View::Autoscalers),
        batch("CronJob", "cronjobs")
            .short(&["cj"])
            .categories(&["all"])
            .columns(workloads::CRON_JOBS)
            .counted()
            .status(),
        batch("Job", "jobs")
            .categories(&["all"])
            .columns(workloads::JOBS)
            .field("status.successful", "status.succeeded", "0")
            .counted()
            .status(),
    ]
}

fn autoscaler(version: &str, view: View) -> Resource {
    let mut resource =
        Resource::namespaced("autoscaling", version, "HorizontalPodAutoscaler", "horizontalpodautoscalers")
            .short(&["hpa"])
            .categories(&["all"])
            .columns(workloads::AUTOSCALERS)
            .status();
    resource.view = view;
    resource
}
