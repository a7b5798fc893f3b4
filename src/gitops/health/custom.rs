//! Kinds of others, whose rules Argo CD ships as scripts: what this platform is made of.

use serde_json::Value;

use super::Health::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};
use super::{Finding, condition};

/// How well an object of a custom kind works.
pub(super) fn of(group: &str, kind: &str, object: &Value) -> Option<Finding> {
    let found = match (group, kind) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("argoproj.io", "Application") => application(object),
        ("argoproj.io", "Workflow") => workflow(object),
        ("argoproj.io", "CronWorkflow") => cron_workflow(object),
        ("argoproj.io", "ApplicationSet") => application_set(object),
        ("batch", "CronJob") => cron_job(object),
        ("sparkoperator.k8s.io", "SparkApplication") => spark(object),
        ("monitoring.coreos.com", "Prometheus") => prometheus(object),
        _ => return None,
    };
    Some(found)
}

fn definition(object: &Value) -> Finding {
    let is = |of: &str, status: &str| condition(object, of).is_some_and(|(is, ..)| is == status);
    let message = |of: &str| condition(object, of).map_or("", |(.., message)| message).to_owned();
    if condition(object, "Established").is_none() && condition(object, "NamesAccepted").is_none() {
        return Finding::new(Progressing, "Status conditions not found");
    }
    if is("Terminating", "True") {
        return Finding::new(Progressing, "CRD is being terminated");
    }
    if is("NamesAccepted", "False") {
        return Finding::new(Degraded, format!("CRD names have not been accepted: {}", message("NamesAccepted")));
    }
    if is("NonStructuralSchema", "True") {
        return Finding::new(Degraded, format!("Schema violations found: {}", message("NonStructuralSchema")));
    }
    if is("Established", "True") {
        return Finding::new(Healthy, "CRD is healthy");
    }
    Finding::new(Progressing, format!("CRD is not established: {}", message("Established")))
}

/// The rule that `manifests/platform/argo-cd/config.yaml` gives Argo CD, which has none of its own.
fn application(object: &Value) -> Finding {
    let status = &object["status"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (health, operation) = (&status["health"], &status["operationState"]);
    let said = match health["status"].as_str().unwrap_or_default() {
        _ if operation["phase"] == "Running" => return Finding::new(Progressing, text(&operation["message"])),
        "Healthy" => Healthy,
        "Suspended" => Suspended,
        "Missing" => Missing,
        "Degraded" => Degraded,
        "Unknown" => Unknown,
        _ => Progressing,
    };
    Finding::new(said, text(&health["message"]))
}

fn workflow(object: &Value) -> Finding {
    let message = object["status"]["message"].as_str().unwrap_or_default();
    match object["status"]["phase"].as_str().unwrap_or_default() {
        "" | "Pending" | "Running" => Finding::new(Progressing, message),
        "Succeeded" => Finding::new(Healthy, message),
        "Failed" | "Error" => Finding::new(Degraded, message),
        _ => Finding::new(Unknown, message),
    }
}

fn cron_workflow(object: &Value) -> Finding {
    for of in ["SpecError", "SubmissionError"] {
        if let Some(("True", _, message)) = condition(object, of) {
            return Finding::new(Degraded, message);
        }
    }
    Healthy.into()
}

fn application_set(object: &Value) -> Finding {
    if object["status"]["conditions"].is_null() {
        return Finding::new(Progressing, "Waiting for the status to be reported");
    }
    if let Some(("True", _, message)) = condition(object, "ErrorOccurred") {
        return Finding::new(Degraded, message);
    }
    if let Some(("True", _, message)) = condition(object, "ResourcesUpToDate") {
        return Finding::new(Healthy, message);
    }
    Finding::new(Progressing, "Waiting for the applications to be up to date")
}

fn cron_job(object: &Value) -> Finding {
    if object["spec"]["suspend"] == true {
        return Finding::new(Suspended, "CronJob is Suspended");
    }
    let status = &object["status"];
    let time = |field: &str| status[field].as_str().unwrap_or_default();
    let is_active = status["active"].as_array().is_some_and(|all| !all.is_empty());
    if is_active {
        return Finding::new(Progressing, "CronJob has active jobs");
    }
    if time("lastScheduleTime").is_empty() {
        return Finding::new(Healthy, "CronJob has not been scheduled yet");
    }
    if time("lastSuccessfulTime") < time("lastScheduleTime") {
        return Finding::new(Degraded, "CronJob has not completed its last execution successfully");
    }
    Finding::new(Healthy, "CronJob has completed its last execution successfully")
}

fn spark(object: &Value) -> Finding {
    let state = &object["status"]["applicationState"];
    let error = state["errorMessage"].as_str().unwrap_or_default();
    match state["state"].as_str().unwrap_or_default() {
        "" => Finding::new(Progressing, "SparkApplication was added, enqueuing it for submission"),
        "SUBMITTED" => Finding::new(Progressing, "SparkApplication was submitted successfully"),
        "PENDING_RERUN" => Finding::new(Progressing, "SparkApplication is Pending Rerun"),
        "SUCCEEDING" => Finding::new(Progressing, "SparkApplication is Succeeding"),
        "UNKNOWN" => Finding::new(Progressing, "SparkApplication is in an unknown state"),
        "RUNNING" => running(object),
        "COMPLETED" => Finding::new(Healthy, "SparkApplication was Completed"),
        "FAILED" | "SUBMISSION_FAILED" | "FAILING" => Finding::new(Degraded, error),
        "INVALIDATING" => Finding::new(Missing, "SparkApplication is in an invalid state"),
        _ => Finding::new(Progressing, "Waiting for executor pods"),
    }
}

/// A run works when as many executors run as were asked for.
fn running(object: &Value) -> Finding {
    let states = object["status"]["executorState"].as_object();
    let count = states.map_or(0, |states| states.values().filter(|state| *state == "RUNNING").count());
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let spec = &object["spec"];
    let dynamic = &spec["dynamicAllocation"];
    let by_conf = spec["sparkConf"]["spark.dynamicAllocation.enabled"] == "true";
    let wanted = if dynamic["enabled"] == true || by_conf {
        let bound = |field: &str, key: &str, otherwise: i64| {
            let from_conf = spec["sparkConf"][key].as_str().and_then(|text| text.parse().ok());
            dynamic[field].as_i64().or(from_conf).unwrap_or(otherwise)
        };
        let least = bound("minExecutors", "spark.dynamicAllocation.minExecutors", 0);
        let most = bound("maxExecutors", "spark.dynamicAllocation.maxExecutors", i64::MAX);
        (least..=most).contains(&count)
    } else {
        spec["executor"]["instances"].as_i64().map_or(count >= 1, |instances| instances == count)
    };
    if wanted {
        return Finding::new(Healthy, "SparkApplication is Running");
    }
    Finding::new(Progressing, "Waiting for executor pods")
}

fn prometheus(object: &Value) -> Finding {
    match condition(object, "Available") {
        Some(("True", ..)) => Finding::new(Healthy, "All instances are available"),
        Some((_, "SomePodsNotReady", message)) => Finding::new(Progressing, message),
        Some((.., message)) => Finding::new(Degraded, message),
        None => Finding::new(Progressing, "Prometheus initialized"),
    }
}
