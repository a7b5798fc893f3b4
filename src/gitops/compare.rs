//! Objects as they should be beside objects as they are: whose they are, whether they differ, and what follows for the
//! application. Pure.
//! Upstream rule: `controller/state.go` and `gitops-engine/pkg/diff` of argoproj/argo-cd.

mod ignore;
mod jq;

use serde_json::Value;
use tinderbox_api::gitops::{HealthReport, IgnoreDifference, ResourceStatus, marks};

use crate::health;
use crate::sync::{Key, Marks, Pair, has_option};

pub use ignore::{check, keep_live};

/// The tracking id of an object.
#[must_use]
pub fn tracking_id(app: &str, key: &Key) -> String {
    format!("{app}:{}/{}:{}/{}", key.group, key.kind, key.namespace, key.name)
}

/// The application that an object belongs to. An id that speaks of another object is a copy, and says nothing.
#[must_use]
pub fn owner(object: &Value) -> Option<&str> {
    let id = object["metadata"]["annotations"][marks::TRACKING_ID].as_str()?;
    let (app, rest) = id.split_once(':')?;
    let key = Key::of(object);
    (rest == format!("{}/{}:{}/{}", key.group, key.kind, key.namespace, key.name)).then_some(app)
}

/// What the API adds to metadata.
const ADDED: [&str; 6] = ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"];

/// Whether two versions of an object differ in what somebody wants of it. Both are what the API says, one of them what it would
/// say: defaults make no difference.
#[must_use]
pub fn differ(wanted: &Value, live: &Value, ignored: &[IgnoreDifference]) -> bool {
    normalized(wanted, live, ignored) != normalized(live, live, ignored)
}

/// An object without what does not count; `live` tells which fields are whose.
#[must_use]
pub fn normalized(object: &Value, live: &Value, ignored: &[IgnoreDifference]) -> Value {
    let mut object = object.clone();
    ignore::strip(&mut object, live, ignored);
    content(&object)
}

/// An object without its status and without what the API adds to its metadata.
#[must_use]
pub fn content(object: &Value) -> Value {
    let fields = object.as_object().into_iter().flatten().filter(|(key, _)| *key != "status" && *key != "metadata");
    let mut content: serde_json::Map<String, Value> = fields.map(|(key, value)| (key.clone(), value.clone())).collect();
    let metadata = object["metadata"].as_object().into_iter().flatten();
    let metadata = metadata.filter(|(key, _)| !ADDED.contains(&key.as_str()));
    content.insert("metadata".to_owned(), metadata.map(|(key, value)| (key.clone(), value.clone())).collect());
    Value::Object(content)
}

/// The words for the state of an application and its objects.
pub const SYNCED: &str = "Synced";
/// See [`SYNCED`].
pub const OUT_OF_SYNC: &str = "OutOfSync";

/// What is to be said of an object.
#[must_use]
pub fn status_of(pair: &Pair) -> ResourceStatus {
    let key = pair.key();
    let object = pair.target.as_ref().or(pair.live.as_ref());
    let version = object.and_then(|object| object["apiVersion"].as_str()).unwrap_or_default();
    let version = version.split_once('/').map_or(version, |(_, version)| version).to_owned();
    let wave = object.map(Marks::of).unwrap_or_default().wave;
    let extra = pair.target.is_none();
    let health = match &pair.live {
        Some(live) => health::of(live).filter(|_| health::counts(live)),
        None => Some(health::Health::Missing.into()),
    };
    let asks = |option: &str| object.is_some_and(|object| has_option(object, option));
    ResourceStatus {
        group: key.group,
        version,
        kind: key.kind,
        namespace: key.namespace,
        name: key.name,
        status: if is_out_of_sync(pair) { OUT_OF_SYNC } else { SYNCED }.to_owned(),
        health: health.map(|found| HealthReport {
            status: found.health.as_str().to_owned(),
            message: found.message,
            last_transition_time: None,
        }),
        hook: None,
        requires_pruning: Some(extra).filter(|extra| *extra),
        sync_wave: Some(wave).filter(|wave| *wave != 0),
        requires_deletion_confirmation: Some(asks("Prune=confirm") || asks("Delete=confirm")).filter(|asks| *asks),
    }
}

/// Whether an object is not as it should be.
#[must_use]
pub fn is_out_of_sync(pair: &Pair) -> bool {
    match (&pair.target, &pair.live) {
        (Some(_), Some(_)) => pair.modified,
        (Some(_), None) => true,
        (None, _) => true,
    }
}

/// Whether an object makes its application out of sync; extra ones may be meant to be there.
#[must_use]
pub fn counts(pair: &Pair) -> bool {
    let options = |object: &Value| {
        let text = object["metadata"]["annotations"][marks::COMPARE_OPTIONS].as_str();
        text.is_some_and(|text| text.split(',').any(|one| one.trim() == "IgnoreExtraneous"))
    };
    pair.target.is_some() || !pair.live.as_ref().is_some_and(options)
}

/// The word for all objects of an application together.
#[must_use]
pub fn summary(pairs: &[Pair]) -> &'static str {
    if pairs.iter().any(|pair| counts(pair) && is_out_of_sync(pair)) { OUT_OF_SYNC } else { SYNCED }
}

#[cfg(test)]
mod tests;
