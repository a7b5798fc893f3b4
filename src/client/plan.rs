//! What a controller wants done, as a value: writes in stages, events, and when to look again. Pure functions make plans,
//! tests compare them, and the applier alone carries them out.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::PropagationPolicy;
use kube::core::discovery::ApiResource;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use crate::events::{Note, Severity};
use crate::patch::diff;

/// Writes, events and an appointment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Steps of a stage go out together; a stage begins when the one before went well.
    pub stages: Vec<Vec<Step>>,
    /// Events to publish once every stage went well.
    pub notes: Vec<Note>,
    /// When to plan again though nothing changed.
    pub again: Option<Timestamp>,
}

impl Plan {
    /// Adds a step to the current stage.
    pub fn push(&mut self, step: Step) {
        match self.stages.last_mut() {
            Some(stage) => stage.push(step),
            None => self.stages.push(vec![step]),
        }
    }

    /// Ends the current stage: what follows waits for it.
    pub fn then(&mut self) {
        if self.stages.last().is_some_and(|stage| !stage.is_empty()) {
            self.stages.push(Vec::new());
        }
    }

    /// Adds an event.
    pub fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Asks to plan again at `at`, or earlier if that was asked before.
    pub fn at(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |have| have.min(at)));
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flatten()
    }

    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.steps().next().is_none() && self.notes.is_empty()
    }
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The kind.
    pub resource: ApiResource,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name; for a create without one, the prefix of the name to be.
    pub name: String,
    /// What to do.
    pub verb: Verb,
    /// Event when it went well; the object's name is added to its message.
    pub done: Option<Note>,
    /// Event when it went well, as it stands.
    pub told: Option<Note>,
    /// Event when it failed; the API's message is added to its message.
    pub failed: Option<Note>,
}

/// The kind of write.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Makes the object (or posts to a subresource of it).
    Create {
        /// As in `binding`.
        subresource: Option<&'static str>,
        /// The object.
        body: Value,
    },
    /// Changes the object by a merge patch.
    Merge {
        /// As in `status`.
        subresource: Option<&'static str>,
        /// The patch.
        body: Value,
    },
    /// Server-side apply.
    Apply {
        /// Takes fields over from other managers.
        force: bool,
        /// The fields that are ours.
        body: Value,
    },
    /// Replaces the object or a subresource of it.
    Replace {
        /// As in `finalize`.
        subresource: Option<&'static str>,
        /// The object.
        body: Value,
    },
    /// Deletes the object, if it still is the one of that uid.
    Delete {
        /// Uid, empty for any.
        uid: String,
        /// Version that it must have.
        version: Option<String>,
        /// What happens to its dependents.
        propagation: Option<PropagationPolicy>,
        /// Seconds that it gets instead of its own grace.
        grace: Option<u32>,
    },
}

impl Step {
    fn new<K: Resource<DynamicType = ()>>(object: &K, verb: Verb) -> Self {
        let meta = object.meta();
        let name = meta.name.clone().or_else(|| meta.generate_name.clone());
        Self {
            resource: ApiResource::erase::<K>(&()),
            namespace: object.namespace().unwrap_or_default(),
            name: name.unwrap_or_default(),
            verb,
            done: None,
            told: None,
            failed: None,
        }
    }

    /// Makes an object.
    pub fn create<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Self {
        let body = encode(object);
        let subresource = None;
        Self::new(object, Verb::Create { subresource, body })
    }

    /// Posts `body` to a subresource of an object.
    pub fn post<K: Resource<DynamicType = ()>>(object: &K, subresource: &'static str, body: Value) -> Self {
        let subresource = Some(subresource);
        Self::new(object, Verb::Create { subresource, body })
    }

    /// Applies the fields in `object` and takes them over.
    pub fn apply<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Self {
        let body = encode(object);
        Self::new(object, Verb::Apply { force: true, body })
    }

    /// Changes an object, whatever its version, by a merge patch.
    pub fn merge<K: Resource<DynamicType = ()>>(object: &K, body: Value) -> Self {
        let subresource = None;
        Self::new(object, Verb::Merge { subresource, body })
    }

    /// Turns the fields of `old` into those of `new` if nobody else changed the object; nothing when they are equal.
    /// Status is left out: it has a way of its own.
    pub fn update<K: Resource<DynamicType = ()> + Serialize>(old: &K, new: &K) -> Option<Self> {
        let (mut from, mut to) = (encode(old), encode(new));
        for value in [&mut from, &mut to] {
            if let Some(fields) = value.as_object_mut() {
                fields.remove("status");
            }
        }
        let body = locked(old, diff(&from, &to)?);
        let subresource = None;
        Some(Self::new(old, Verb::Merge { subresource, body }))
    }

    /// Gives an object the status `new` if nobody else changed the object; nothing when it has that status.
    pub fn status<K, S>(object: &K, old: Option<&S>, new: &S) -> Option<Self>
    where
        K: Resource<DynamicType = ()>,
        S: Serialize,
    {
        let from = old.map_or_else(|| json!({}), encode);
        let body = locked(object, json!({"status": diff(&from, &encode(new))?}));
        let subresource = Some("status");
        Some(Self::new(object, Verb::Merge { subresource, body }))
    }

    /// Replaces a subresource.
    pub fn replace<K: Resource<DynamicType = ()>>(object: &K, subresource: &'static str, body: Value) -> Self {
        let subresource = Some(subresource);
        Self::new(object, Verb::Replace { subresource, body })
    }

    /// Deletes an object, never another one of the same name.
    pub fn delete<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let verb = Verb::Delete {
            uid: object.uid().unwrap_or_default(),
            version: None,
            propagation: Some(PropagationPolicy::Background),
            grace: None,
        };
        Self::new(object, verb)
    }

    /// The same delete without any grace.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        if let Verb::Delete { grace, .. } = &mut self.verb {
            *grace = Some(0);
        }
        self
    }

    /// The event to publish when the step went well; the object's name follows `message`.
    #[must_use]
    pub fn done(mut self, of: &ObjectReference, reason: &str, message: &str) -> Self {
        self.done = Some(Note {
            regarding: of.clone(),
            severity: Severity::Normal,
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
        self
    }

    /// The event to publish when the step went well, for steps whose object has a name already.
    #[must_use]
    pub fn told(mut self, of: &ObjectReference, reason: &str, message: impl Into<String>) -> Self {
        self.told = Some(Note {
            regarding: of.clone(),
            severity: Severity::Normal,
            reason: reason.to_owned(),
            message: message.into(),
        });
        self
    }

    /// The event to publish when the step failed; the API's message follows `message`.
    #[must_use]
    pub fn failed(mut self, of: &ObjectReference, reason: &str, message: impl Into<String>) -> Self {
        self.failed = Some(Note {
            regarding: of.clone(),
            severity: Severity::Warning,
            reason: reason.to_owned(),
            message: message.into(),
        });
        self
    }

    /// What the step does, in words: `create pods default/web-`.
    #[must_use]
    pub fn describe(&self) -> String {
        let (verb, subresource) = match &self.verb {
            Verb::Create { subresource, .. } => ("create", *subresource),
            Verb::Merge { subresource, .. } => ("patch", *subresource),
            Verb::Apply { .. } => ("apply", None),
            Verb::Replace { subresource, .. } => ("replace", *subresource),
            Verb::Delete { .. } => ("delete", None),
        };
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        let (dot, subresource) = subresource.map_or(("", ""), |one| ("/", one));
        format!("{verb} {}{dot}{subresource} {}{slash}{}", self.resource.plural, self.namespace, self.name)
    }

    /// The body of the write; null for a delete.
    #[must_use]
    pub fn body(&self) -> &Value {
        match &self.verb {
            Verb::Create { body, .. }
            | Verb::Merge { body, .. }
            | Verb::Apply { body, .. }
            | Verb::Replace { body, .. } => body,
            Verb::Delete { .. } => &Value::Null,
        }
    }
}

/// A typed value as JSON. Types of the Kubernetes API always encode; null stands for one that would not.
pub fn encode<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| {
        tracing::error!(%error, "a value does not encode");
        Value::Null
    })
}

fn locked<K: Resource>(object: &K, mut patch: Value) -> Value {
    if let Some(version) = object.resource_version()
        && let Some(fields) = patch.as_object_mut()
    {
        let meta = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("resourceVersion".to_owned(), Value::String(version));
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Pod, PodStatus};
    use kube::core::ObjectMeta;

    fn pod() -> Pod {
        Pod {
            metadata: ObjectMeta {
                name: Some("p".to_owned()),
                namespace: Some("n".to_owned()),
                uid: Some("u".to_owned()),
                resource_version: Some("5".to_owned()),
                ..ObjectMeta::default()
            },
            ..Pod::default()
        }
    }

    #[test]
    fn updates_and_statuses_say_only_what_differs_and_hold_the_version() {
        let old = pod();
        assert_eq!(Step::update(&old, &old), None);
        let mut new = old.clone();
        new.metadata.finalizers = Some(vec!["f".to_owned()]);
        let step = Step::update(&old, &new);
        assert_eq!(
            step.as_ref().map(|step| (step.describe(), step.body().clone())),
            Some(("patch pods n/p".to_owned(), json!({"metadata": {"finalizers": ["f"], "resourceVersion": "5"}})))
        );
        let status = PodStatus { phase: Some("Running".to_owned()), ..PodStatus::default() };
        assert_eq!(Step::status(&old, Some(&status), &status), None);
        assert_eq!(
            Step::status(&old, None, &status).map(|step| step.body().clone()),
            Some(json!({"metadata": {"resourceVersion": "5"}, "status": {"phase": "Running"}}))
        );
    }

    #[test]
    fn stages_and_appointments() {
        let mut plan = Plan::default();
        plan.then();
        plan.push(Step::delete(&pod()));
        plan.then();
        plan.then();
        plan.push(Step::create(&pod()));
        plan.at(Timestamp::MAX);
        plan.at(Timestamp::UNIX_EPOCH);
        let sizes: Vec<usize> = plan.stages.iter().map(Vec::len).collect();
        assert_eq!((sizes, plan.again), (vec![1, 1], Some(Timestamp::UNIX_EPOCH)));
    }
}
