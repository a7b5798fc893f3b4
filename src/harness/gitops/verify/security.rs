//! Pods meet Kubernetes' "restricted" standard where their namespace enforces it. Pure.
//! Upstream rule: `staging/src/k8s.io/pod-security-admission/policy` of kubernetes/kubernetes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Fault, Seen, pods};

/// The label of a namespace that says what its pods have to meet.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What is against the standard, among all objects.
pub(super) fn check(all: &[Seen<'_>]) -> Vec<Fault> {
    let is_strict =
        |one: &&Seen<'_>| one.kind() == "Namespace" && one.object.value["metadata"]["labels"][ENFORCE] == "restricted";
    let strict: BTreeSet<String> = all.iter().filter(is_strict).map(|one| one.object.name().name).collect();
    all.iter().filter(|one| strict.contains(one.namespace())).flat_map(of).collect()
}

fn of(seen: &Seen<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for pod in pods::of(&seen.object.value) {
        // Steps of workflows get what their workflow says of all pods.
        let inherits = seen.kind().ends_with("Workflow") || seen.kind().ends_with("WorkflowTemplate");
        if inherits {
            continue;
        }
        let is_spark = seen.kind().ends_with("SparkApplication");
        let whole = &pod.fields[if is_spark { "podSecurityContext" } else { "securityContext" }];
        let mut containers = pod.containers();
        if is_spark && !containers.iter().any(|(path, _)| *path == pod.path) {
            containers.push((pod.path.clone(), pod.fields));
        }
        let mut wrong: Vec<(String, String)> = Vec::new();
        for host in ["hostNetwork", "hostPID", "hostIPC"] {
            if pod.fields[host] == true {
                wrong.push((format!("{}.{host}", pod.path), format!("{host} is not allowed")));
            }
        }
        for (index, volume) in pod.volumes.1.as_array().into_iter().flatten().enumerate() {
            if volume["hostPath"].is_object() {
                wrong.push((
                    format!("{}[{index}].hostPath", pod.volumes.0),
                    "hostPath volumes are not allowed".to_owned(),
                ));
            }
        }
        for (path, container) in containers {
            let lacks = lacks(whole, &container["securityContext"]);
            if !lacks.is_empty() {
                let name = container["name"].as_str().map(|name| format!("container {name:?}: ")).unwrap_or_default();
                wrong.push((path, format!("{name}{}", lacks.join(", "))));
            }
        }
        let say = |(path, what): (String, String)| {
            let message =
                format!("pods would violate PodSecurity \"restricted:latest\" of {}: {what}", seen.namespace());
            seen.fault(&path, "secured", message)
        };
        faults.extend(wrong.into_iter().map(say));
    }
    faults
}

/// What a container lacks; `whole` is said of all containers of its pod.
fn lacks(whole: &Value, own: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    if own["privileged"] == true {
        found.push("securityContext.privileged=true is not allowed");
    }
    if own["allowPrivilegeEscalation"] != false {
        found.push("securityContext.allowPrivilegeEscalation=false is missing");
    }
    let drops = own["capabilities"]["drop"].as_array();
    if !drops.is_some_and(|all| all.iter().any(|one| one == "ALL")) {
        found.push("securityContext.capabilities.drop=[\"ALL\"] is missing");
    }
    let said = |field: &str| if own[field].is_null() { &whole[field] } else { &own[field] };
    if *said("runAsNonRoot") != true {
        found.push("securityContext.runAsNonRoot=true is missing");
    }
    let profile = said("seccompProfile")["type"].as_str();
    if !matches!(profile, Some("RuntimeDefault" | "Localhost")) {
        found.push("securityContext.seccompProfile.type is not \"RuntimeDefault\" or \"Localhost\"");
    }
    found
}
