//! The kinds that the console watches. Names only; what is shown of an object is told elsewhere.

use kube::core::ApiResource;
use tinderbox_client::discovery::Served;

/// The drivers among the pods that no SparkApplication has: a kind of the console's own, so that a page of jobs needs no pods.
pub(crate) const DRIVER: &str = "Driver";

/// Group and kind, those that belong to work first.
pub(crate) const WATCHED: [(&str, &str); 18] = [
    ("", "Node"),
    ("argoproj.io", "Application"),
    ("sparkoperator.k8s.io", "SparkApplication"),
    ("sparkoperator.k8s.io", "ScheduledSparkApplication"),
    ("argoproj.io", "Workflow"),
    ("argoproj.io", "WorkflowTemplate"),
    ("argoproj.io", "CronWorkflow"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("", "Service"),
    ("networking.k8s.io", "Ingress"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("", "Event"),
];

/// A kind by its name, as it lives for ever.
pub(crate) fn known(kind: &str) -> Option<&'static str> {
    let all = WATCHED.iter().map(|(_, kind)| *kind).chain([DRIVER]);
    all.into_iter().find(|one| *one == kind)
}

/// How the API calls a kind, if it serves it.
pub(crate) fn resource(served: &[Served], (group, kind): (&str, &str)) -> Option<(ApiResource, bool)> {
    let is_it = |one: &&Served| one.resource.group == group && one.resource.kind == kind;
    served.iter().find(is_it).map(|one| (one.resource.clone(), one.namespaced))
}

/// How the API calls a kind, whether it is watched or not.
pub(crate) fn any(served: &[Served], kind: &str) -> Option<(ApiResource, bool)> {
    let of = WATCHED.iter().find(|(_, known)| *known == kind);
    let watched = of.and_then(|of| resource(served, *of));
    watched.or_else(|| {
        let found = served.iter().find(|one| one.resource.kind == kind)?;
        Some((found.resource.clone(), found.namespaced))
    })
}
