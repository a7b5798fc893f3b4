//! Events about pods and the node as the kubelet writes them: repeated ones are counted, not multiplied. Writing happens in one task,
//! so that nobody waits for it; what cannot be written is logged and dropped.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

/// Distinct events remembered for counting.
const REMEMBERED: usize = 1024;
const QUEUE: usize = 1024;
const COMPONENT: &str = "kubelet";
/// Where events about nodes are, which have no namespace.
const NODES: &str = "default";

/// How an event is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Level {
    Normal,
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Said {
    kind: &'static str,
    namespace: String,
    object: String,
    uid: String,
    field: Option<String>,
    level: Level,
    reason: &'static str,
    message: String,
}

struct Written {
    name: String,
    count: i32,
}

/// Takes events from anywhere on the node.
#[derive(Clone)]
pub(crate) struct Events {
    sender: mpsc::Sender<(Said, Timestamp)>,
    node: String,
}

impl Events {
    /// Starts the task that writes; it ends when the last sender is gone.
    pub(crate) fn start(client: Client, node: String) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write(client, node.clone(), receiver));
        Self { sender, node }
    }

    /// Says something about a pod.
    pub(crate) fn pod(&self, pod: &Pod, level: Level, reason: &'static str, message: String) {
        self.say(pod, None, level, reason, message);
    }

    /// Says something about one of a pod's containers.
    pub(crate) fn container(&self, pod: &Pod, container: &str, level: Level, reason: &'static str, message: String) {
        let spec = pod.spec.as_ref();
        let init = spec.and_then(|s| s.init_containers.as_deref()).unwrap_or_default();
        let added = spec.and_then(|s| s.ephemeral_containers.as_deref()).unwrap_or_default();
        let list = if init.iter().any(|c| c.name == container) {
            "initContainers"
        } else if added.iter().any(|c| c.name == container) {
            "ephemeralContainers"
        } else {
            "containers"
        };
        let field = format!("spec.{list}{{{container}}}");
        self.say(pod, Some(field), level, reason, message);
    }

    /// Says something about the node; as upstream, its name stands for its uid.
    pub(crate) fn node(&self, reason: &'static str, message: String) {
        let (namespace, object, uid) = (NODES.to_owned(), self.node.clone(), self.node.clone());
        self.send(Said { kind: "Node", namespace, object, uid, field: None, level: Level::Normal, reason, message });
    }

    fn say(&self, pod: &Pod, field: Option<String>, level: Level, reason: &'static str, message: String) {
        self.send(Said {
            kind: "Pod",
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            object: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            field,
            level,
            reason,
            message,
        });
    }

    fn send(&self, said: Said) {
        if let Err(error) = self.sender.try_send((said, Timestamp::now())) {
            tracing::debug!(%error, "an event was dropped");
        }
    }
}

async fn write(client: Client, node: String, mut queue: mpsc::Receiver<(Said, Timestamp)>) {
    let mut known: HashMap<Said, Written> = HashMap::new();
    while let Some((said, now)) = queue.recv().await {
        let api: Api<Event> = Api::namespaced(client.clone(), &said.namespace);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let outcome = match known.get_mut(&said) {
            Some(written) => count(&api, written, now).await,
            None => Ok(false),
        };
        let outcome = match outcome {
            Ok(true) => Ok(()),
            Ok(false) => create(&api, &said, &node, now).await.map(|name| {
                known.insert(said, Written { name, count: 1 });
            }),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "an event could not be written");
        }
    }
}

/// Counts one more; false when the event is no longer there.
async fn count(api: &Api<Event>, written: &mut Written, now: Timestamp) -> kube::Result<bool> {
    let patch = json!({"count": written.count + 1, "lastTimestamp": Time(now)});
    match api.patch(&written.name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => {
            written.count += 1;
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

async fn create(api: &Api<Event>, said: &Said, node: &str, now: Timestamp) -> kube::Result<String> {
    let name = format!("{}.{:x}", said.object, now.as_nanosecond());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(said.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".into()),
            kind: Some(said.kind.into()),
            namespace: (said.kind == "Pod").then(|| said.namespace.clone()),
            name: Some(said.object.clone()),
            uid: Some(said.uid.clone()),
            field_path: said.field.clone(),
            ..ObjectReference::default()
        },
        type_: Some(
            match said.level {
                Level::Normal => "Normal",
                Level::Warning => "Warning",
            }
            .into(),
        ),
        reason: Some(said.reason.into()),
        message: Some(said.message.clone()),
        source: Some(EventSource { component: Some(COMPONENT.into()), host: Some(node.into()) }),
        reporting_component: Some(COMPONENT.into()),
        reporting_instance: Some(node.into()),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    };
    api.create(&PostParams::default(), &event).await?;
    Ok(name)
}
