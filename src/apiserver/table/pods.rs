//! How pods are printed: the one word that says how they are.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, Printer, age, items, or_none, text, wide};
use crate::object::{condition, is_deleting, meta, text as text_at};

pub(crate) const PODS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Ready"),
        text("Status"),
        text("Restarts"),
        text("Age"),
        wide("IP"),
        wide("Node"),
        wide("Nominated Node"),
        wide("Readiness Gates"),
    ],
    cells,
});

fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let seen = Seen::of(pod);
    let restarts = match (&seen.last_restart, seen.restarts) {
        (Some(last), restarts) if restarts > 0 => format!("{restarts} ({} ago)", age::since_text(last, now)),
        (_, restarts) => restarts.to_string(),
    };
    let status = &pod["status"];
    let address = status["podIPs"][0]["ip"].as_str().unwrap_or_else(|| text_at(status, &["podIP"]));
    vec![
        meta(pod, "name").into(),
        format!("{}/{}", seen.ready, seen.total).into(),
        seen.reason.into(),
        restarts.into(),
        age::of(pod, now),
        or_none(address),
        or_none(text_at(pod, &["spec", "nodeName"])),
        or_none(text_at(status, &["nominatedNodeName"])),
        gates(pod),
    ]
}

fn gates(pod: &Value) -> Value {
    let gates: Vec<&str> =
        items(&pod["spec"]["readinessGates"]).filter_map(|gate| gate["conditionType"].as_str()).collect();
    if gates.is_empty() {
        return "<none>".into();
    }
    let true_ones = gates.iter().filter(|gate| condition(pod, gate) == Some("True")).count();
    format!("{true_ones}/{}", gates.len()).into()
}

/// What is seen of a pod's containers.
struct Seen {
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<String>,
    reason: String,
}

/// Restarts, and when the last of them was.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<String>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += container["restartCount"].as_i64().unwrap_or(0);
        let ended = container["lastState"]["terminated"]["finishedAt"].as_str();
        // Times in this form order as texts do.
        if let Some(ended) = ended.filter(|ended| self.last.as_deref().is_none_or(|last| last < *ended)) {
            self.last = Some(ended.to_owned());
        }
    }
}

impl Seen {
    fn of(pod: &Value) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let mut reason = text_at(status, &["phase"]).to_owned();
        if let Some(own) = status["reason"].as_str().filter(|own| !own.is_empty()) {
            reason = own.to_owned();
        }
        if items(&status["conditions"]).any(|one| one["type"] == "PodScheduled" && one["reason"] == "SchedulingGated") {
            reason = "SchedulingGated".to_owned();
        }
        let inits: Vec<&Value> = items(&spec["initContainers"]).collect();
        let sidecar = |name: &Value| inits.iter().any(|one| one["name"] == *name && one["restartPolicy"] == "Always");
        let sidecars = inits.iter().filter(|one| one["restartPolicy"] == "Always").count();
        let mut seen = Self {
            ready: 0,
            total: items(&spec["containers"]).count() + sidecars,
            restarts: 0,
            last_restart: None,
            reason,
        };
        let (mut all, mut of_sidecars) = (Restarts::default(), Restarts::default());
        let mut initializing = false;
        for (index, container) in items(&status["initContainerStatuses"]).enumerate() {
            all.add(container);
            let is_sidecar = sidecar(&container["name"]);
            if is_sidecar {
                of_sidecars.add(container);
            }
            let state = &container["state"];
            if state["terminated"]["exitCode"] == 0 {
                continue;
            }
            if is_sidecar && container["started"] == true {
                seen.ready += usize::from(container["ready"] == true);
                continue;
            }
            let waiting = text_at(state, &["waiting", "reason"]);
            seen.reason = if state["terminated"].is_object() {
                format!("Init:{}", ended(&state["terminated"]))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", inits.len())
            };
            initializing = true;
            break;
        }
        if !initializing || condition(pod, "Initialized") == Some("True") {
            all = of_sidecars;
            seen.main(status, &mut all);
        }
        if is_deleting(pod) && status["reason"] == "NodeLost" {
            seen.reason = "Unknown".to_owned();
        } else if is_deleting(pod) && !matches!(text_at(status, &["phase"]), "Succeeded" | "Failed") {
            seen.reason = "Terminating".to_owned();
        }
        seen.restarts = all.count;
        seen.last_restart = all.last;
        seen
    }

    fn main(&mut self, status: &Value, restarts: &mut Restarts) {
        let mut running = false;
        let containers: Vec<&Value> = items(&status["containerStatuses"]).collect();
        for container in containers.into_iter().rev() {
            restarts.add(container);
            let state = &container["state"];
            let waiting = text_at(state, &["waiting", "reason"]);
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if state["terminated"].is_object() {
                self.reason = ended(&state["terminated"]);
            } else if container["ready"] == true && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = items(&status["conditions"]).any(|one| one["type"] == "Ready" && one["status"] == "True");
            self.reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }
}

fn ended(terminated: &Value) -> String {
    let reason = text_at(terminated, &["reason"]);
    if !reason.is_empty() {
        return reason.to_owned();
    }
    match terminated["signal"].as_i64() {
        Some(signal) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(pod: Value) -> (String, String) {
        let seen = Seen::of(&pod);
        (format!("{}/{}", seen.ready, seen.total), seen.reason)
    }

    #[test]
    fn says_in_one_word_how_a_pod_is() {
        let one = |state: Value| {
            json!({"spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Running",
            "containerStatuses": [{"name": "a", "ready": true, "restartCount": 0, "state": state}]}})
        };
        for (pod, ready, reason) in [
            (json!({"spec": {"containers": [{}]}, "status": {"phase": "Pending"}}), "0/1", "Pending"),
            (one(json!({"running": {}})), "1/1", "Running"),
            (one(json!({"waiting": {"reason": "ImagePullBackOff"}})), "0/1", "ImagePullBackOff"),
            (one(json!({"terminated": {"exitCode": 3}})), "0/1", "ExitCode:3"),
            (one(json!({"terminated": {"exitCode": 137, "signal": 9}})), "0/1", "Signal:9"),
            (one(json!({"terminated": {"exitCode": 0, "reason": "Completed"}})), "0/1", "Completed"),
        ] {
            assert_eq!(seen(pod), (ready.to_owned(), reason.to_owned()));
        }
        let mut ending = one(json!({"running": {}}));
        ending["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z".into();
        assert_eq!(seen(ending).1, "Terminating");
    }

    #[test]
    fn tells_how_far_the_beginning_is() {
        let pod = |state: Value| {
            json!({"spec": {"containers": [{}], "initContainers": [{"name": "i"}, {"name": "j"}]},
            "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": state}]}})
        };
        for (state, reason) in [
            (json!({"running": {}}), "Init:0/2"),
            (json!({"terminated": {"exitCode": 1, "reason": "Error"}}), "Init:Error"),
            (json!({"waiting": {"reason": "CrashLoopBackOff"}}), "Init:CrashLoopBackOff"),
        ] {
            assert_eq!(seen(pod(state)).1, reason);
        }
    }
}
