//! Writes the statuses of one pod to the API, in order, the newest one only; it decides nothing about them.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// The task that writes, and the way to it.
pub(crate) struct StatusWriter {
    wanted: watch::Sender<(u64, PodStatus)>,
    written: watch::Receiver<u64>,
    _task: AbortOnDropHandle<()>,
}

impl StatusWriter {
    /// Starts from what the API holds.
    pub(crate) fn start(client: Client, pod: &Pod) -> Self {
        let held = pod.status.clone().unwrap_or_default();
        let (wanted, wishes) = watch::channel((0, held.clone()));
        let (done, written) = watch::channel(0);
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let target = Target {
            api: Api::namespaced(client, &namespace),
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
        };
        Self { wanted, written, _task: AbortOnDropHandle::new(tokio::spawn(write(target, held, wishes, done))) }
    }

    /// Wants this status written.
    pub(crate) fn want(&self, status: PodStatus) {
        self.wanted.send_modify(|(number, wanted)| {
            *number += 1;
            *wanted = status;
        });
    }

    /// Waits until everything wanted so far is written, or the pod is gone.
    pub(crate) async fn flush(&mut self) {
        let number = self.wanted.borrow().0;
        // An error means that the task has ended: the pod is gone.
        let _ = self.written.wait_for(|written| *written >= number).await;
    }
}

struct Target {
    api: Api<Pod>,
    name: String,
    uid: String,
}

async fn write(
    target: Target,
    mut held: PodStatus,
    mut wishes: watch::Receiver<(u64, PodStatus)>,
    done: watch::Sender<u64>,
) {
    let mut pause = RETRY_FIRST;
    while wishes.changed().await.is_ok() {
        loop {
            let (number, wanted) = wishes.borrow_and_update().clone();
            let Some(patch) = patch(&target.uid, &held, &wanted) else {
                done.send_replace(number);
                break;
            };
            let params = PatchParams::default();
            match target.api.patch_status(&target.name, &params, &Patch::Strategic(patch)).await {
                Ok(_) => {
                    held = wanted;
                    pause = RETRY_FIRST;
                    done.send_replace(number);
                    break;
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return,
                Err(error) => {
                    tracing::warn!(pod = target.name, %error, "cannot write a pod's status; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        }
    }
}

/// The strategic merge patch from one status to the other; `None` when they are equal.
fn patch(uid: &str, held: &PodStatus, wanted: &PodStatus) -> Option<Value> {
    let object = |status: &PodStatus| match serde_json::to_value(status) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (held, wanted) = (object(held), object(wanted));
    let mut changes = Map::new();
    for (key, value) in &wanted {
        if held.get(key) != Some(value) {
            let before = held.get(key);
            changes.insert(key.clone(), change(key, before, value));
        }
    }
    for key in held.keys().filter(|key| !wanted.contains_key(*key)) {
        if OWNED.contains(&key.as_str()) {
            changes.insert(key.clone(), Value::Null);
        }
    }
    let nothing = changes.is_empty();
    (!nothing).then(|| json!({"metadata": {"uid": uid}, "status": changes}))
}

/// Fields that the node takes back when they no longer hold.
const OWNED: [&str; 6] = ["reason", "message", "podIP", "podIPs", "containerStatuses", "initContainerStatuses"];

/// Lists that a strategic merge patch merges by key: what is to go has to be said.
fn change(key: &str, before: Option<&Value>, value: &Value) -> Value {
    match key {
        "podIPs" | "hostIPs" if before.is_some() => {
            let mut list = value.as_array().cloned().unwrap_or_default();
            list.push(json!({"$patch": "replace"}));
            Value::Array(list)
        }
        "conditions" => {
            let find = |kind: &Value| {
                let list = before.and_then(Value::as_array).into_iter().flatten();
                list.clone().find(|c| c["type"] == *kind)
            };
            let mut list = value.as_array().cloned().unwrap_or_default();
            for condition in &mut list {
                let old = find(&condition["type"]).cloned().unwrap_or_default();
                for field in ["reason", "message"] {
                    if condition.get(field).is_none() && old.get(field).is_some() {
                        condition[field] = Value::Null;
                    }
                }
            }
            Value::Array(list)
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_changed_and_nulls_for_what_went() {
        let held = status(json!({"phase": "Pending", "podIP": "1", "podIPs": [{"ip": "1"}], "reason": "r",
            "conditions": [{"type": "Ready", "status": "False", "reason": "x"}], "qosClass": "Burstable", "nominatedNodeName": "n"}));
        let wanted = status(json!({"phase": "Running", "podIP": "2", "podIPs": [{"ip": "2"}],
            "conditions": [{"type": "Ready", "status": "True"}], "qosClass": "Burstable"}));
        assert_eq!(
            patch("u", &held, &wanted),
            Some(json!({"metadata": {"uid": "u"}, "status": {
                "phase": "Running", "podIP": "2", "podIPs": [{"ip": "2"}, {"$patch": "replace"}], "reason": null,
                "conditions": [{"type": "Ready", "status": "True", "reason": null}]}}))
        );
        assert_eq!(patch("u", &held, &held), None);
    }
}
