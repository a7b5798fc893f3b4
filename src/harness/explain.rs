//! Why something failed or waits, as far as the cluster itself says: events, conditions, container states and last log lines of
//! what is concerned, and the first cause that shows in them. It collects and does not guess.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::diagnose::{self, Cause, Known};
use crate::follow::Texts;
use crate::observe::{Record, World};

/// Most events that are told.
const EVENTS: usize = 20;
/// Most log lines that are told of one container.
const LINES: usize = 15;

/// What explains a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What failed, in one sentence.
    pub summary: String,
    /// The first real cause, as far as it shows, and what to change.
    pub cause: Option<Cause>,
    /// Conditions and container states that are not as they should be.
    pub conditions: Vec<String>,
    /// Events of the objects concerned, oldest first.
    pub events: Vec<String>,
    /// Last log lines.
    pub logs: Vec<Tail>,
}

/// The end of a container's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tail {
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Its last lines.
    pub lines: Vec<String>,
}

/// Explains a failure that concerns some objects and pods, by UID.
#[must_use]
pub(crate) fn explain(summary: String, world: &World, concerned: &[String], texts: &Texts) -> Explanation {
    let uids: BTreeSet<&str> = concerned.iter().map(String::as_str).collect();
    let records: Vec<(&String, &Record)> =
        world.records.iter().filter(|(uid, _)| uids.contains(uid.as_str())).collect();
    let failed: Vec<&str> = records.iter().filter(|(_, record)| is_bad(record)).map(|(uid, _)| uid.as_str()).collect();
    let all = concerned.iter().cloned().collect();
    let known = Known { world, texts, now: Timestamp::now() };
    Explanation {
        summary,
        cause: diagnose::diagnose(known, &all),
        conditions: records.iter().flat_map(|(_, record)| conditions(record)).collect(),
        events: events(world, &uids),
        logs: tails(texts, &uids, &failed),
    }
}

/// Events of the objects with these UIDs, oldest first, as text.
#[must_use]
pub fn events(world: &World, uids: &BTreeSet<&str>) -> Vec<String> {
    // Events tell whole seconds: within one, the order in which they were seen counts.
    let mut found: Vec<(String, Instant, String)> = world
        .of_kind("Event")
        .map(|(_, record)| (record.versions[0].at, record.object()))
        .filter(|(_, event)| event["involvedObject"]["uid"].as_str().is_some_and(|uid| uids.contains(uid)))
        .map(|(seen, event)| (event_time(event), seen, event_text(event)))
        .collect();
    found.sort();
    let skip = found.len().saturating_sub(EVENTS);
    found.into_iter().skip(skip).map(|(_, _, text)| text).collect()
}

fn event_time(event: &Value) -> String {
    ["lastTimestamp", "eventTime", "firstTimestamp"]
        .iter()
        .find_map(|field| event[*field].as_str())
        .unwrap_or_default()
        .to_owned()
}

/// One event in one line.
#[must_use]
pub fn event_text(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let times = match event["count"].as_i64() {
        Some(count) if count > 1 => format!(" ({count} times)"),
        _ => String::new(),
    };
    format!(
        "{} {}/{}: {}: {}{times}",
        text(&event["type"]),
        text(&event["involvedObject"]["kind"]).to_lowercase(),
        text(&event["involvedObject"]["name"]),
        text(&event["reason"]),
        text(&event["message"]).trim(),
    )
}

/// Whether an object has failed or is held up.
fn is_bad(record: &Record) -> bool {
    matches!(crate::kin::phase(record.object()).as_deref(), Some("Failed")) || !conditions(record).is_empty()
}

/// What an object says about itself that is not as it should be.
#[must_use]
pub fn conditions(record: &Record) -> Vec<String> {
    let status = &record.object()["status"];
    let name = &record.name;
    let over = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
    let mut found = Vec::new();
    if let Some(message) = status["applicationState"]["errorMessage"].as_str().filter(|message| !message.is_empty()) {
        found.push(format!("{name}: {message}"));
    }
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let kind = condition["type"].as_str().unwrap_or_default();
        let state = condition["status"].as_str().unwrap_or_default();
        // Some conditions are good when they are false.
        let bad_when_true = kind.contains("Fail")
            || kind.contains("Pressure")
            || kind.contains("Unavailable")
            || kind == "DisruptionTarget";
        // A finished pod is rightly not ready, and what it failed with is its containers' to say.
        let finished = matches!(condition["reason"].as_str(), Some("PodCompleted" | "PodFailed"))
            || (over && kind == "PodReadyToStartContainers");
        // It repeats Ready.
        let again = kind == "ContainersReady";
        if (state == "True") == bad_when_true && !finished && !again && kind != "Suspended" {
            let rest: Vec<&str> = ["reason", "message"]
                .iter()
                .filter_map(|field| condition[*field].as_str())
                .filter(|text| !text.is_empty())
                .collect();
            found.push(format!(
                "{name}: {kind} is {state}{}{}",
                if rest.is_empty() { "" } else { ": " },
                rest.join(": ")
            ));
        }
    }
    for field in ["initContainerStatuses", "containerStatuses"] {
        for container in status[field].as_array().into_iter().flatten() {
            let who = container["name"].as_str().unwrap_or_default();
            let restarts = container["restartCount"].as_i64().unwrap_or(0);
            let again = if restarts > 0 { format!(", started again {restarts} times") } else { String::new() };
            for (which, state) in [("state", &container["state"]), ("last state", &container["lastState"])] {
                if let Some(ended) = state.get("terminated").filter(|ended| ended["exitCode"].as_i64() != Some(0)) {
                    let code = ended["exitCode"].as_i64().unwrap_or(-1);
                    let why = said(ended);
                    found.push(format!("{name}: container {who}: {which}: exit code {code}{why}{again}"));
                } else if let Some(waiting) = state.get("waiting").filter(|waiting| {
                    waiting["reason"] != "PodInitializing" && waiting["reason"] != "ContainerCreating"
                }) {
                    found.push(format!("{name}: container {who} waits{}{again}", said(waiting)));
                }
            }
        }
    }
    found
}

fn said(state: &Value) -> String {
    ["reason", "message"]
        .iter()
        .filter_map(|field| state[*field].as_str())
        .filter(|text| !text.is_empty())
        .map(|text| format!(": {}", text.trim()))
        .collect()
}

/// The ends of the logs of failed pods, or of all concerned when none of them failed.
fn tails(texts: &Texts, uids: &BTreeSet<&str>, failed: &[&str]) -> Vec<Tail> {
    let some_failed = texts.keys().any(|(uid, _, _)| failed.contains(&uid.as_str()));
    texts
        .iter()
        .filter(
            |((uid, _, _), _)| if some_failed { failed.contains(&uid.as_str()) } else { uids.contains(uid.as_str()) },
        )
        .filter(|(_, text)| !text.lines.is_empty())
        .map(|(_, text)| Tail {
            pod: text.pod.clone(),
            container: text.container.clone(),
            lines: text.lines[text.lines.len().saturating_sub(LINES)..].to_vec(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ObjectName;
    use crate::observe::Version;
    use serde_json::json;
    use std::sync::Arc;

    fn record(kind: &str, name: &str, object: Value) -> Record {
        Record {
            name: ObjectName { kind: kind.into(), namespace: "x".into(), name: name.into() },
            api_version: "v1".into(),
            before: false,
            versions: vec![Version { at: Instant::now(), object: Arc::new(object) }],
            gone: None,
        }
    }

    #[test]
    fn tells_what_keeps_a_pod_from_running() {
        let mut world = World::default();
        world.records.insert(
            "1".into(),
            record(
                "Pod",
                "a",
                json!({"status": {"phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}],
                    "containerStatuses": [{"name": "c", "restartCount": 2, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}}),
            ),
        );
        world.records.insert(
            "2".into(),
            record(
                "Event",
                "e",
                json!({"type": "Warning", "reason": "FailedScheduling", "message": "it does not fit", "count": 3,
                    "involvedObject": {"kind": "Pod", "name": "a", "uid": "1"}}),
            ),
        );
        let told = explain("it waits".into(), &world, &["1".to_owned()], &Texts::new());
        assert_eq!(
            told.conditions,
            [
                "pod/a: PodScheduled is False: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
                "pod/a: container c waits: ImagePullBackOff: no such image, started again 2 times",
            ]
        );
        assert_eq!(told.events, ["Warning pod/a: FailedScheduling: it does not fit (3 times)"]);
    }
}
