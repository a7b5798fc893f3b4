//! What of an object is on the page wherever it is one of many: its state in a word, how that is, and a little more. Pure functions
//! from an object to a row; it must not ask for anything.

use kube::ResourceExt;
use kube::core::DynamicObject;
use serde::Serialize;
use serde_json::{Value, json};
use tinderbox_api::spark::labels;

/// Most characters of a message.
const MESSAGE: usize = 240;

/// How a state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    /// As wanted.
    Good,
    /// On its way.
    Busy,
    /// Not as wanted.
    Bad,
    /// Neither.
    Calm,
}

/// One object among many. The names are short because there are many.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Kind.
    pub(crate) k: &'static str,
    /// Namespace.
    pub(crate) ns: String,
    /// Name.
    pub(crate) n: String,
    /// UID.
    pub(crate) u: String,
    /// State.
    pub(crate) s: String,
    /// How that is.
    pub(crate) t: Tone,
    /// When it was made.
    pub(crate) c: String,
    /// What is to be said of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) m: String,
    /// UIDs of its owners.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) o: Vec<String>,
    /// What only its kind has.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) x: Value,
}

/// What is special of a kind: state, how that is, a message, and more.
type Special = (String, Tone, String, Value);

/// The row of an object.
pub(crate) fn row(kind: &'static str, object: &DynamicObject) -> Row {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let version = object.resource_version().unwrap_or_default();
    let (s, t, m, x) = match kind {
        "Node" => node(spec, status),
        "Pod" | super::kinds::DRIVER => pod(object, spec, status),
        "Event" => event(&object.data),
        "SparkApplication" => spark(spec, status, &version),
        "ScheduledSparkApplication" => schedule(spec, status),
        "Workflow" => workflow(spec, status, &version),
        "WorkflowTemplate" => parameters(spec),
        "CronWorkflow" => cron(spec, status),
        "Application" => application(spec, status, &version),
        "Job" => job(spec, status),
        "CronJob" => (suspended(spec), Tone::Calm, String::new(), json!({"schedule": spec["schedule"]})),
        "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet" => replicas(kind, spec, status),
        "PersistentVolumeClaim" => {
            let phase = text(&status["phase"]);
            let tone = if phase == "Bound" { Tone::Good } else { Tone::Busy };
            (phase, tone, String::new(), Value::Null)
        }
        "Service" => (text(&spec["type"]), Tone::Calm, String::new(), Value::Null),
        _ => (String::new(), Tone::Calm, String::new(), Value::Null),
    };
    Row {
        k: kind,
        ns: object.namespace().unwrap_or_default(),
        n: object.name_any(),
        u: object.uid().unwrap_or_default(),
        s,
        t,
        c: object.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default(),
        m: m.chars().take(MESSAGE).collect(),
        o: object.owner_references().iter().map(|owner| owner.uid.clone()).collect(),
        x,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn suspended(spec: &Value) -> String {
    if spec["suspend"] == true { "Suspended" } else { "Scheduled" }.to_owned()
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn node(spec: &Value, status: &Value) -> Special {
    let ready = condition(status, "Ready");
    let is_ready = ready.is_some_and(|ready| ready["status"] == "True");
    let state = match (is_ready, spec["unschedulable"] == true) {
        (true, false) => "Ready",
        (true, true) => "Ready, cordoned",
        (false, _) => "NotReady",
    };
    let message = if is_ready { String::new() } else { ready.map(|one| text(&one["message"])).unwrap_or_default() };
    let tone = if is_ready { Tone::Good } else { Tone::Bad };
    let room = json!({"cpu": status["allocatable"]["cpu"], "memory": status["allocatable"]["memory"]});
    (state.to_owned(), tone, message, room)
}

/// As kubectl tells it: the reason of a container that waits or ended goes before the phase.
fn pod(object: &DynamicObject, spec: &Value, status: &Value) -> Special {
    let all = |field: &str| status[field].as_array().cloned().unwrap_or_default();
    let (inits, containers) = (all("initContainerStatuses"), all("containerStatuses"));
    let phase = text(&status["phase"]);
    let waiting = inits.iter().chain(&containers).find_map(|one| {
        let waits = &one["state"]["waiting"];
        let reason = waits["reason"].as_str().filter(|reason| *reason != "PodInitializing")?;
        Some((reason.to_owned(), text(&waits["message"])))
    });
    let ended = containers.iter().find_map(|one| {
        let end = &one["state"]["terminated"];
        let bad = end["exitCode"].as_i64().is_some_and(|code| code != 0);
        bad.then(|| (text(&end["reason"]), format!("exit code {} of {}", end["exitCode"], text(&one["name"]))))
    });
    let unplaced = condition(status, "PodScheduled").filter(|one| one["status"] == "False");
    let (state, message) = match (&waiting, &ended) {
        _ if object.metadata.deletion_timestamp.is_some() => ("Terminating".to_owned(), String::new()),
        (Some((reason, message)), _) if phase == "Pending" || phase == "Running" => (reason.clone(), message.clone()),
        (_, Some((reason, message))) if phase == "Failed" && !reason.is_empty() => (reason.clone(), message.clone()),
        _ => {
            let why = unplaced.map_or_else(|| text(&status["message"]), |one| text(&one["message"]));
            (phase.clone(), why)
        }
    };
    let stuck = state.contains("Err") || state.contains("BackOff") || state.contains("Invalid");
    let tone = match phase.as_str() {
        "Failed" => Tone::Bad,
        _ if stuck => Tone::Bad,
        "Running" => Tone::Good,
        "Succeeded" => Tone::Calm,
        _ => Tone::Busy,
    };
    let ready = containers.iter().filter(|one| one["ready"] == true).count();
    let restarts: i64 = containers.iter().filter_map(|one| one["restartCount"].as_i64()).sum();
    let label = |key: &str| object.labels().get(key).cloned();
    let more = json!({
        "node": spec["nodeName"], "ready": format!("{ready}/{}", containers.len()), "restarts": restarts,
        "role": label(labels::ROLE), "app": label(labels::APP_NAME), "start": status["startTime"],
    });
    (state, tone, message, more)
}

fn event(event: &Value) -> Special {
    let about = &event["involvedObject"];
    let kind = text(&event["type"]);
    let last = [&event["lastTimestamp"], &event["eventTime"], &event["firstTimestamp"]];
    let last = last.into_iter().find(|time| time.is_string()).cloned();
    let more = json!({
        "kind": about["kind"], "name": about["name"], "uid": about["uid"], "last": last, "count": event["count"],
        "from": event["source"]["component"].as_str().or(event["reportingComponent"].as_str()),
    });
    let tone = if kind == "Warning" { Tone::Bad } else { Tone::Calm };
    (text(&event["reason"]), tone, text(&event["message"]), more)
}

fn spark(spec: &Value, status: &Value, version: &str) -> Special {
    let state = status["applicationState"]["state"].as_str().filter(|state| !state.is_empty()).unwrap_or("NEW");
    let tone = match state {
        "COMPLETED" | "RUNNING" => Tone::Good,
        "FAILED" | "SUBMISSION_FAILED" | "FAILING" => Tone::Bad,
        "SUSPENDED" | "SUSPENDING" | "UNKNOWN" => Tone::Calm,
        _ => Tone::Busy,
    };
    let executors = status["executorState"].as_object();
    let running = executors.map_or(0, |all| all.values().filter(|state| **state == "RUNNING").count());
    let more = json!({
        "v": version, "type": spec["type"], "executors": running, "driver": status["driverInfo"]["podName"],
        "id": status["sparkApplicationId"], "start": status["lastSubmissionAttemptTime"],
        "end": status["terminationTime"], "attempts": status["executionAttempts"], "suspend": spec["suspend"],
    });
    (state.to_owned(), tone, text(&status["applicationState"]["errorMessage"]), more)
}

fn schedule(spec: &Value, status: &Value) -> Special {
    let state = status["scheduleState"].as_str().filter(|state| !state.is_empty()).unwrap_or("New").to_owned();
    let state = if spec["suspend"] == true { "Suspended".to_owned() } else { state };
    let tone = match state.as_str() {
        "FailedValidation" => Tone::Bad,
        "Scheduled" => Tone::Good,
        _ => Tone::Calm,
    };
    let more = json!({
        "schedule": spec["schedule"], "zone": spec["timeZone"], "next": status["nextRun"], "last": status["lastRun"],
        "run": status["lastRunName"], "suspend": spec["suspend"],
    });
    (state, tone, text(&status["reason"]), more)
}

fn phase_tone(phase: &str) -> Tone {
    match phase {
        "Succeeded" => Tone::Good,
        "Failed" | "Error" => Tone::Bad,
        _ => Tone::Busy,
    }
}

fn workflow(spec: &Value, status: &Value, version: &str) -> Special {
    let phase = status["phase"].as_str().filter(|phase| !phase.is_empty()).unwrap_or("Pending").to_owned();
    let nodes = status["nodes"].as_object();
    let waits =
        nodes.is_some_and(|nodes| nodes.values().any(|node| node["type"] == "Suspend" && node["phase"] == "Running"));
    let more = json!({
        "v": version, "progress": status["progress"], "start": status["startedAt"], "end": status["finishedAt"],
        "suspended": waits || spec["suspend"] == true, "template": spec["workflowTemplateRef"]["name"],
    });
    (phase.clone(), phase_tone(&phase), text(&status["message"]), more)
}

fn parameters(spec: &Value) -> Special {
    let parameters = spec["arguments"]["parameters"].clone();
    (String::new(), Tone::Calm, String::new(), json!({"parameters": parameters}))
}

fn cron(spec: &Value, status: &Value) -> Special {
    let schedules = spec["schedules"].as_array().cloned().unwrap_or_else(|| vec![spec["schedule"].clone()]);
    let bad = condition(status, "SpecError").or_else(|| condition(status, "SubmissionError"));
    let tone = if bad.is_some() { Tone::Bad } else { Tone::Good };
    let more = json!({"schedules": schedules, "last": status["lastScheduledTime"], "suspend": spec["suspend"]});
    (suspended(spec), tone, bad.map(|one| text(&one["message"])).unwrap_or_default(), more)
}

fn application(spec: &Value, status: &Value, version: &str) -> Special {
    let or = |value: &Value, other: &str| value.as_str().unwrap_or(other).to_owned();
    let (sync, health) = (or(&status["sync"]["status"], "Unknown"), or(&status["health"]["status"], "Unknown"));
    let operation = &status["operationState"];
    let failed = matches!(operation["phase"].as_str(), Some("Failed" | "Error"));
    let running = operation["phase"] == "Running";
    let tone = match (health.as_str(), sync.as_str()) {
        ("Degraded" | "Missing", _) => Tone::Bad,
        _ if failed => Tone::Bad,
        ("Progressing", _) => Tone::Busy,
        _ if running => Tone::Busy,
        ("Healthy", "Synced") => Tone::Good,
        _ => Tone::Calm,
    };
    let mut message = status["conditions"][0]["message"].as_str().unwrap_or_default().to_owned();
    if message.is_empty() && failed {
        message = text(&operation["message"]);
    }
    let more = json!({
        "v": version, "sync": sync, "health": health, "revision": status["sync"]["revision"],
        "operation": operation["phase"], "source": spec["source"]["path"], "to": spec["destination"]["namespace"],
        "last": operation["finishedAt"], "auto": spec["syncPolicy"]["automated"].is_object(),
    });
    (health, tone, message, more)
}

fn job(spec: &Value, status: &Value) -> Special {
    let done = |kind: &str| condition(status, kind).filter(|one| one["status"] == "True");
    let more = json!({"start": status["startTime"], "end": status["completionTime"], "suspend": spec["suspend"]});
    let (state, tone, message) = if let Some(failed) = done("Failed") {
        ("Failed", Tone::Bad, text(&failed["message"]))
    } else if done("Complete").is_some() {
        ("Complete", Tone::Good, String::new())
    } else if spec["suspend"] == true {
        ("Suspended", Tone::Calm, String::new())
    } else if status["startTime"].is_string() {
        ("Active", Tone::Busy, String::new())
    } else {
        ("Waiting", Tone::Busy, String::new())
    };
    (state.to_owned(), tone, message, more)
}

fn replicas(kind: &str, spec: &Value, status: &Value) -> Special {
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let (ready, wanted) = match kind {
        "DaemonSet" => (number(&status["numberReady"]), number(&status["desiredNumberScheduled"])),
        _ => (number(&status["readyReplicas"]), spec["replicas"].as_i64().unwrap_or(1)),
    };
    let tone = match (ready >= wanted, wanted) {
        (_, 0) => Tone::Calm,
        (true, _) => Tone::Good,
        (false, _) => Tone::Busy,
    };
    (format!("{ready}/{wanted} ready"), tone, String::new(), Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &'static str, object: Value) -> Row {
        row(kind, &serde_json::from_value(object).expect("an object"))
    }

    #[test]
    fn a_pod_is_told_as_kubectl_tells_it() {
        let pod = |status: Value| {
            let row = of("Pod", json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {}, "status": status}));
            (row.s, row.t, row.m)
        };
        assert_eq!(pod(json!({"phase": "Running"})), ("Running".to_owned(), Tone::Good, String::new()));
        let waiting = json!({"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no image"}}});
        let stuck = pod(json!({"phase": "Pending", "containerStatuses": [waiting]}));
        assert_eq!(stuck, ("ImagePullBackOff".to_owned(), Tone::Bad, "no image".to_owned()));
        let ended = json!({"name": "a", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}});
        let failed = pod(json!({"phase": "Failed", "containerStatuses": [ended]}));
        assert_eq!(failed, ("OOMKilled".to_owned(), Tone::Bad, "exit code 137 of a".to_owned()));
        let unplaced = json!({"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"});
        let waits = pod(json!({"phase": "Pending", "conditions": [unplaced]}));
        assert_eq!(waits, ("Pending".to_owned(), Tone::Busy, "0/1 nodes are available".to_owned()));
    }

    #[test]
    fn an_application_tells_sync_and_health_apart() {
        let app = |sync: &str, health: &str, operation: &str| {
            let status = json!({"sync": {"status": sync}, "health": {"status": health},
                "operationState": {"phase": operation, "message": "one or more objects failed to apply"}});
            of("Application", json!({"metadata": {"name": "a", "resourceVersion": "5"}, "spec": {}, "status": status}))
        };
        let good = app("Synced", "Healthy", "Succeeded");
        assert_eq!((good.s.as_str(), good.t, good.x["sync"].as_str()), ("Healthy", Tone::Good, Some("Synced")));
        assert_eq!(app("OutOfSync", "Healthy", "Succeeded").t, Tone::Calm);
        let failed = app("OutOfSync", "Healthy", "Failed");
        assert_eq!((failed.t, failed.m.as_str()), (Tone::Bad, "one or more objects failed to apply"));
        assert_eq!(app("Synced", "Progressing", "Running").t, Tone::Busy);
    }

    #[test]
    fn a_new_spark_application_has_a_state_too() {
        let row = of("SparkApplication", json!({"metadata": {"name": "pi"}, "spec": {"type": "Python"}}));
        assert_eq!((row.s.as_str(), row.t), ("NEW", Tone::Busy));
        let status = json!({"applicationState": {"state": "RUNNING"},
            "executorState": {"a": "RUNNING", "b": "PENDING", "c": "RUNNING"}});
        let row = of("SparkApplication", json!({"metadata": {"name": "pi"}, "spec": {}, "status": status}));
        assert_eq!((row.t, row.x["executors"].as_i64()), (Tone::Good, Some(2)));
    }
}
