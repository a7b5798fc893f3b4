//! The objects on an API server in this process: what others need is made there, the rest is tried without effect, and pods of templates
//! as the pods that they become.

use serde_json::json;
use tinderbox_providers::embedded::node::rehearsal::Rehearsal;

use super::{Fault, Seen, pods, rights};
use crate::apply;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Talk;
use crate::manifest::{self, Object};
use crate::project::Project;

/// Kinds that are made, as others cannot be judged without them.
const MADE: [&str; 9] = [
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];
/// Pods that the rehearsal's node takes: none is ever started.
const PODS: i64 = 10;
/// Argo CD's own definitions, which its cluster has before anything is synced.
const ARGO_CD: &str = "manifests/platform/argo-cd";

/// What the API rejects, and what accounts may not do.
///
/// # Errors
/// When the API server cannot be started.
pub(super) async fn check(project: &Project, all: &[Seen<'_>]) -> Result<Vec<Fault>, Error> {
    let rehearsal = Rehearsal::start(PODS).await?;
    let outcome = on(project, &rehearsal, all).await;
    rehearsal.stop().await;
    outcome
}

async fn on(project: &Project, rehearsal: &Rehearsal, all: &[Seen<'_>]) -> Result<Vec<Fault>, Error> {
    let cluster = Cluster::connect("verify", &rehearsal.kubeconfig()).await?;
    let own = project.root.join(ARGO_CD);
    if own.is_dir() && !all.iter().any(|one| one.object.name().name == "applications.argoproj.io") {
        let mut objects = manifest::load(&own)?;
        apply::in_order(&mut objects);
        apply::apply(&cluster, &objects, "default", &Talk::silent()).await?;
    }
    let mut faults = Vec::new();
    for kind in MADE {
        for one in all.iter().filter(|one| one.kind() == kind) {
            let made = apply::apply(&cluster, std::slice::from_ref(one.object), "default", &Talk::silent()).await;
            faults.extend(fault(one, made.map(drop))?);
        }
    }
    for one in all.iter().filter(|one| !MADE.contains(&one.kind())) {
        faults.extend(fault(one, apply::attempt(&cluster, one.object, "default").await)?);
        for pod in pods_of(one) {
            let refused = fault(one, apply::attempt(&cluster, &pod, "default").await)?;
            faults.extend(refused);
        }
        faults.extend(rights::check(&cluster, one).await?);
    }
    Ok(faults)
}

/// The pods of a template, as they would be made.
fn pods_of(seen: &Seen<'_>) -> Vec<Object> {
    if !matches!(seen.kind(), "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" | "CronJob") {
        return Vec::new();
    }
    let pod = |description: pods::Description<'_>| {
        let value = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "verify", "namespace": seen.namespace()}, "spec": description.fields,
        });
        let place = seen.object.place.as_ref().map(|(spans, inside)| {
            // What is wrong in `spec` of the pod is wrong in its template.
            let above = description.path.strip_suffix(".spec").unwrap_or_default();
            (spans.clone(), if inside.is_empty() { above.to_owned() } else { format!("{inside}.{above}") })
        });
        Object { value, origin: seen.object.origin.clone(), place }
    };
    pods::of(&seen.object.value).into_iter().map(pod).collect()
}

/// What the API says against an object. What it says against us is an error.
fn fault(seen: &Seen<'_>, outcome: Result<(), Error>) -> Result<Option<Fault>, Error> {
    let (origin, message) = match outcome {
        Ok(()) => return Ok(None),
        Err(Error::Rejected { place, message, .. }) => (place, message),
        Err(Error::UnknownKind { api_version, kind, hint, .. }) => {
            (seen.object.place_of("kind"), format!("the API knows no kind {kind} in {api_version}: {hint}"))
        }
        Err(error) => return Err(error),
    };
    let at = Fault { origin, ..seen.fault("", "accepted", message) };
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_templates_have_places_in_them() {
        let text = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, namespace: n}\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: x\n";
        let objects = manifest::parse(std::path::Path::new("a.yaml"), text).expect("right");
        let pods = pods_of(&Seen { application: "", object: &objects[0] });
        assert_eq!(pods[0].place_of("spec.containers[0].image"), "a.yaml:9:9");
        assert_eq!(pods[0].value["spec"]["containers"][0]["name"], "c");
    }
}
