//! Kubernetes' own kinds.

use serde_json::Value;
use tinderbox_api::gitops::marks;

use super::Health::{Degraded, Healthy, Progressing, Suspended, Unknown};
use super::{Finding, condition};

/// How well an object of a built-in kind works.
pub(super) fn of(group: &str, kind: &str, object: &Value) -> Option<Finding> {
    let found = match (group, kind) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "Service") => service(object),
        ("networking.k8s.io" | "extensions", "Ingress") => balanced(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("apiregistration.k8s.io", "APIService") => api_service(object),
        _ => return None,
    };
    Some(found)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn is_observed(object: &Value) -> bool {
    number(&object["metadata"]["generation"]) <= number(&object["status"]["observedGeneration"])
}

fn deployment(object: &Value) -> Finding {
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["paused"] == true {
        return Finding::new(Suspended, "Deployment is paused");
    }
    if !is_observed(object) {
        return Finding::new(
            Progressing,
            "Waiting for rollout to finish: observed deployment generation less than desired generation",
        );
    }
    if let Some(("False", "ProgressDeadlineExceeded", _)) | Some((_, "ProgressDeadlineExceeded", _)) =
        condition(object, "Progressing")
    {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        return Finding::new(Degraded, format!("Deployment {name:?} exceeded its progress deadline"));
    }
    let wanted = spec["replicas"].as_i64();
    let (updated, all, available) =
        (number(&status["updatedReplicas"]), number(&status["replicas"]), number(&status["availableReplicas"]));
    if wanted.is_some_and(|wanted| updated < wanted) {
        let wanted = wanted.unwrap_or_default();
        let message = format!("{updated} out of {wanted} new replicas have been updated...");
        return Finding::new(Progressing, format!("Waiting for rollout to finish: {message}"));
    }
    if all > updated {
        let message = format!("{} old replicas are pending termination...", all - updated);
        return Finding::new(Progressing, format!("Waiting for rollout to finish: {message}"));
    }
    if available < updated {
        let message = format!("{available} of {updated} updated replicas are available...");
        return Finding::new(Progressing, format!("Waiting for rollout to finish: {message}"));
    }
    Healthy.into()
}

fn stateful_set(object: &Value) -> Finding {
    let (spec, status) = (&object["spec"], &object["status"]);
    if number(&status["observedGeneration"]) == 0 || !is_observed(object) {
        return Finding::new(Progressing, "Waiting for statefulset spec update to be observed...");
    }
    let wanted = spec["replicas"].as_i64();
    if wanted.is_some_and(|wanted| number(&status["readyReplicas"]) < wanted) {
        let missing = wanted.unwrap_or_default() - number(&status["readyReplicas"]);
        return Finding::new(Progressing, format!("Waiting for {missing} pods to be ready..."));
    }
    let strategy = &spec["updateStrategy"];
    let updated = number(&status["updatedReplicas"]);
    if strategy["type"] == "RollingUpdate" && !strategy["rollingUpdate"].is_null() {
        let partition = number(&strategy["rollingUpdate"]["partition"]);
        if let Some(wanted) = wanted.filter(|wanted| updated < wanted - partition) {
            let wanted = wanted - partition;
            let message = format!("{updated} out of {wanted} new pods have been updated...");
            return Finding::new(Progressing, format!("Waiting for partitioned roll out to finish: {message}"));
        }
        return Finding::new(
            Healthy,
            format!("partitioned roll out complete: {updated} new pods have been updated..."),
        );
    }
    if strategy["type"] == "OnDelete" {
        return Finding::new(Healthy, format!("statefulset has {} ready pods", number(&status["readyReplicas"])));
    }
    if status["updateRevision"] != status["currentRevision"] {
        return Finding::new(
            Progressing,
            format!(
                "waiting for statefulset rolling update to complete {updated} pods at revision {}...",
                status["updateRevision"].as_str().unwrap_or_default()
            ),
        );
    }
    let message = format!(
        "statefulset rolling update complete {} pods at revision {}...",
        number(&status["currentReplicas"]),
        status["currentRevision"].as_str().unwrap_or_default()
    );
    Finding::new(Healthy, message)
}

fn daemon_set(object: &Value) -> Finding {
    let (name, status) = (object["metadata"]["name"].as_str().unwrap_or_default(), &object["status"]);
    if !is_observed(object) {
        return Finding::new(
            Progressing,
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        );
    }
    let (updated, available, wanted) = (
        number(&status["updatedNumberScheduled"]),
        number(&status["numberAvailable"]),
        number(&status["desiredNumberScheduled"]),
    );
    if object["spec"]["updateStrategy"]["type"] == "OnDelete" {
        return Finding::new(Healthy, format!("daemon set {updated} out of {wanted} new pods have been updated"));
    }
    if updated < wanted {
        let message = format!("{updated} out of {wanted} new pods have been updated...");
        return Finding::new(Progressing, format!("Waiting for daemon set {name:?} rollout to finish: {message}"));
    }
    if available < wanted {
        let message = format!("{available} of {wanted} updated pods are available...");
        return Finding::new(Progressing, format!("Waiting for daemon set {name:?} rollout to finish: {message}"));
    }
    Healthy.into()
}

fn replica_set(object: &Value) -> Finding {
    if !is_observed(object) {
        return Finding::new(
            Progressing,
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        );
    }
    if let Some(("True", _, message)) = condition(object, "ReplicaFailure") {
        return Finding::new(Degraded, message);
    }
    let available = number(&object["status"]["availableReplicas"]);
    if let Some(wanted) = object["spec"]["replicas"].as_i64().filter(|wanted| available < *wanted) {
        let message = format!("{available} out of {wanted} new replicas are available...");
        return Finding::new(Progressing, format!("Waiting for rollout to finish: {message}"));
    }
    Healthy.into()
}

fn job(object: &Value) -> Finding {
    let is = |of: &str| condition(object, of).filter(|(status, ..)| *status == "True");
    if let Some((.., message)) = is("Failed") {
        return Finding::new(Degraded, message);
    }
    if let Some((.., message)) = is("Complete") {
        return Finding::new(Healthy, message);
    }
    if let Some((.., message)) = is("Suspended") {
        return Finding::new(Suspended, message);
    }
    if object["spec"]["suspend"] == true {
        return Finding::new(Suspended, "Job is suspended");
    }
    Progressing.into()
}

fn pod(object: &Value) -> Finding {
    let (spec, status) = (&object["spec"], &object["status"]);
    let message = status["message"].as_str().unwrap_or_default();
    let containers = || {
        ["initContainerStatuses", "containerStatuses"].iter().filter_map(|field| status[*field].as_array()).flatten()
    };
    let always = spec["restartPolicy"].as_str().unwrap_or("Always") == "Always";
    if always {
        let stuck: Vec<&str> = containers()
            .filter(|one| {
                let reason = one["state"]["waiting"]["reason"].as_str().unwrap_or_default();
                reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
            })
            .map(|one| one["state"]["waiting"]["message"].as_str().unwrap_or_default())
            .collect();
        if !stuck.is_empty() {
            return Finding::new(Degraded, stuck.join(", "));
        }
    }
    match status["phase"].as_str().unwrap_or_default() {
        "Pending" => Finding::new(Progressing, message),
        "Succeeded" => Finding::new(Healthy, message),
        "Failed" => {
            let ended = containers()
                .map(|one| &one["state"]["terminated"])
                .find(|one| one["reason"] == "OOMKilled" || one["exitCode"].as_i64().is_some_and(|code| code != 0));
            let said = ended.map(|one| match one["message"].as_str().filter(|text| !text.is_empty()) {
                Some(text) => text.to_owned(),
                None if one["reason"] == "OOMKilled" => "OOMKilled".to_owned(),
                None => format!("container failed with exit code {}", number(&one["exitCode"])),
            });
            Finding::new(Degraded, if message.is_empty() { said.unwrap_or_default() } else { message.to_owned() })
        }
        "Running" if always || object["metadata"]["annotations"][marks::IGNORE_RESTART_POLICY] == "true" => {
            if condition(object, "Ready").is_some_and(|(status, ..)| status == "True") {
                return Finding::new(Healthy, message);
            }
            let again = containers().any(|one| !one["lastState"]["terminated"].is_null());
            Finding::new(if again { Degraded } else { Progressing }, message)
        }
        "Running" => Finding::new(Progressing, message),
        _ => Finding::new(Unknown, message),
    }
}

fn service(object: &Value) -> Finding {
    if object["spec"]["type"] == "LoadBalancer" { balanced(object) } else { Healthy.into() }
}

fn balanced(object: &Value) -> Finding {
    let ingress = object["status"]["loadBalancer"]["ingress"].as_array();
    if ingress.is_some_and(|all| !all.is_empty()) { Healthy.into() } else { Progressing.into() }
}

fn claim(object: &Value) -> Finding {
    match object["status"]["phase"].as_str().unwrap_or_default() {
        "Bound" => Healthy.into(),
        "Pending" => Progressing.into(),
        "Lost" => Degraded.into(),
        _ => Unknown.into(),
    }
}

fn autoscaler(object: &Value) -> Finding {
    const FAILURES: [&str; 8] = [
        "FailedGetScale",
        "FailedUpdateScale",
        "FailedComputeMetricsReplicas",
        "FailedGetResourceMetric",
        "FailedGetExternalMetric",
        "FailedGetObjectMetric",
        "FailedGetPodsMetric",
        "InvalidSelector",
    ];
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    let failed = conditions.iter().find(|one| FAILURES.contains(&text(one, "reason").as_str()));
    if let Some(one) = failed {
        return Finding::new(Degraded, text(one, "message"));
    }
    let works = conditions
        .iter()
        .find(|one| one["status"] == "True" && (one["type"] == "AbleToScale" || one["type"] == "ScalingLimited"));
    match works {
        Some(one) => Finding::new(Healthy, text(one, "message")),
        None => Finding::new(Progressing, "Waiting to Autoscale"),
    }
}

fn api_service(object: &Value) -> Finding {
    match condition(object, "Available") {
        Some(("True", reason, message)) => Finding::new(Healthy, format!("{reason}: {message}")),
        Some((_, reason, message)) => Finding::new(Progressing, format!("{reason}: {message}")),
        None => Finding::new(Progressing, "Waiting to be processed"),
    }
}
