//! Kubernetes Events from controllers: written in the background, repeated ones counted instead of written anew. Losing one
//! is allowed, waiting for one is not.

use std::collections::VecDeque;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Clock;
use crate::error::chain;

/// Events waiting to be written; more than these are dropped.
const WAITING: usize = 1024;
/// Events remembered to be counted on.
const REMEMBERED: usize = 256;

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// All is well.
    Normal,
    /// Something may go wrong.
    Warning,
}

/// An event to be: what is said of which object.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The object.
    pub regarding: ObjectReference,
    /// `type`.
    pub severity: Severity,
    /// `reason`, as in `FailedScheduling`.
    pub reason: String,
    /// `message`.
    pub message: String,
}

impl Note {
    /// A note of type `Normal`.
    pub fn normal<K>(object: &K, reason: &str, message: impl Into<String>) -> Self
    where
        K: Resource<DynamicType = ()>,
    {
        Self {
            regarding: reference(object),
            severity: Severity::Normal,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// A note of type `Warning`.
    pub fn warning<K>(object: &K, reason: &str, message: impl Into<String>) -> Self
    where
        K: Resource<DynamicType = ()>,
    {
        Self { severity: Severity::Warning, ..Self::normal(object, reason, message) }
    }
}

/// A reference to an object, as events and endpoints carry it.
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// Writes the events of one component.
#[derive(Debug, Clone)]
pub struct Recorder(mpsc::Sender<Note>);

impl Recorder {
    /// A recorder for `component` (as in `default-scheduler`); it writes until cancelled.
    #[must_use]
    pub fn new(
        client: Client,
        component: impl Into<String>,
        clock: Clock,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let component = component.into();
        // Where others begin elsewhere, events of several components about one object at one moment have names of their own.
        let written =
            component.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) & 0x00ff_ffff;
        let writer = Writer { client, component, clock, known: VecDeque::new(), written };
        tracker.spawn(async move {
            tokio::select! {
                () = token.cancelled() => (),
                () = writer.run(receiver) => (),
            }
        });
        Self(sender)
    }

    /// Hands an event over to be written; dropped when too many wait.
    pub fn publish(&self, note: Note) {
        if let Err(error) = self.0.try_send(note) {
            tracing::debug!(%error, "event dropped");
        }
    }
}

struct Known {
    note: Note,
    namespace: String,
    name: String,
    count: i32,
}

struct Writer {
    client: Client,
    component: String,
    clock: Clock,
    known: VecDeque<Known>,
    /// Tells events of the same moment apart.
    written: u32,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        while let Some(note) = notes.recv().await {
            if let Err(error) = self.write(note).await {
                tracing::debug!(error = %chain(&error), "event not written");
            }
        }
    }

    async fn write(&mut self, note: Note) -> Result<(), kube::Error> {
        let now = self.clock.now();
        let at = self.known.iter().position(|known| same(&known.note, &note));
        if let Some(mut known) = at.and_then(|at| self.known.remove(at)) {
            known.count = known.count.saturating_add(1);
            let api: Api<Event> = Api::namespaced(self.client.clone(), &known.namespace);
            let patch = json!({"count": known.count, "lastTimestamp": Time(now)});
            let patched = api.patch(&known.name, &PatchParams::default(), &Patch::Merge(patch)).await;
            match patched {
                Ok(_) => {
                    self.remember(known);
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.code == 404 => (),
                Err(error) => return Err(error),
            }
        }
        self.written = self.written.wrapping_add(1);
        let event = event(&note, &self.component, now, self.written);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let name = event.metadata.name.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        api.create(&PostParams::default(), &event).await?;
        self.remember(Known { note, namespace, name, count: 1 });
        Ok(())
    }

    fn remember(&mut self, known: Known) {
        if self.known.len() >= REMEMBERED {
            self.known.pop_front();
        }
        self.known.push_back(known);
    }
}

fn same(one: &Note, other: &Note) -> bool {
    one.regarding.uid == other.regarding.uid
        && one.regarding.name == other.regarding.name
        && one.regarding.kind == other.regarding.kind
        && one.regarding.field_path == other.regarding.field_path
        && (&one.reason, &one.message, one.severity) == (&other.reason, &other.message, other.severity)
}

fn event(note: &Note, component: &str, now: Timestamp, number: u32) -> Event {
    let regarding = &note.regarding;
    let namespace = match regarding.namespace.as_deref() {
        None | Some("") => "default".to_owned(),
        Some(namespace) => namespace.to_owned(),
    };
    let name = regarding.name.as_deref().unwrap_or(component);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:016x}", now.as_nanosecond() + i128::from(number))),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        involved_object: regarding.clone(),
        reason: Some(note.reason.clone()),
        message: Some(note.message.clone()),
        type_: Some(format!("{:?}", note.severity)),
        source: Some(EventSource { component: Some(component.to_owned()), host: None }),
        reporting_component: Some(component.to_owned()),
        reporting_instance: Some(String::new()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        event_time: None::<MicroTime>,
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Node, Pod};

    #[test]
    fn an_event_lies_beside_its_object() {
        let pod = Pod {
            metadata: ObjectMeta {
                name: Some("p".to_owned()),
                namespace: Some("n".to_owned()),
                uid: Some("u".to_owned()),
                ..ObjectMeta::default()
            },
            ..Pod::default()
        };
        let note = Note::warning(&pod, "FailedScheduling", "0/1 nodes are available");
        let event = event(&note, "default-scheduler", Timestamp::UNIX_EPOCH, 1);
        assert_eq!(event.metadata.namespace.as_deref(), Some("n"));
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert_eq!(event.involved_object.kind.as_deref(), Some("Pod"));
        let mut later = note.clone();
        later.regarding.resource_version = Some("7".to_owned());
        assert!(same(&note, &later));
        later.message.push('.');
        assert!(!same(&note, &later));
    }

    #[test]
    fn events_of_cluster_scoped_objects_lie_in_default() {
        let note = Note::normal(&Node::default(), "Starting", "");
        let event = event(&note, "kubelet", Timestamp::UNIX_EPOCH, 1);
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
    }
}
