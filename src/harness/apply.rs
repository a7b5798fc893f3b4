//! Bringing objects into a cluster by server-side apply, in an order in which each finds what it needs, and taking them out again.
//! A finished run of a fixed name is replaced. It must not wait for what the objects do.

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::Value;
use tinderbox_client::wait;

use crate::claim;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Applied, Event, Talk};
use crate::kin;
use crate::manifest::Object;

/// The field manager of everything that the harness applies.
const MANAGER: &str = "tinderbox";
/// Objects of one kind that are applied at once.
const TOGETHER: usize = 4;
/// How long an object may take to go when it is deleted.
const REMOVAL: Duration = Duration::from_secs(60);
/// How long a definition may take until its kinds are served.
const SERVED: Duration = Duration::from_secs(30);

/// The order in which kinds are applied; others come last but for what starts pods.
const ORDER: [&str; 14] = [
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "StorageClass",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Service",
];

/// Sorts objects so that each comes after what it needs.
pub(crate) fn in_order(objects: &mut [Object]) {
    objects.sort_by_key(|object| {
        let kind = object.value["kind"].as_str().unwrap_or_default();
        ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
    });
}

/// Applies objects, and tells what each came to. Those without a namespace go to `namespace`.
///
/// # Errors
/// When the API rejects one; those before it stay applied, and so may others of its kind.
pub(crate) async fn apply(
    cluster: &Cluster,
    objects: &[Object],
    namespace: &str,
    talk: &Talk,
) -> Result<Vec<DynamicObject>, Error> {
    let mut done = Vec::with_capacity(objects.len());
    // Objects of one kind do not wait for each other.
    for alike in objects.chunk_by(|one, next| one.value["kind"] == next.value["kind"]) {
        let mut outcomes =
            stream::iter(alike.iter().map(|object| apply_one(cluster, object, namespace))).buffered(TOGETHER);
        for object in alike {
            let Some((applied, outcome)) = outcomes.try_next().await? else { break };
            let mut name = object.name();
            name.namespace = applied.namespace().unwrap_or_default();
            name.name = applied.name_any();
            talk.tell(Event::Applied { object: name, outcome });
            done.push(applied);
        }
    }
    Ok(done)
}

async fn apply_one(cluster: &Cluster, object: &Object, namespace: &str) -> Result<(DynamicObject, Applied), Error> {
    let name = object.name();
    let collection = cluster.collection_of(&object.value, namespace).await.map_err(|error| error.about(object))?;
    let mut value = object.value.clone();
    if let Some(owner) = &cluster.owner {
        claim::mark(&mut value, owner);
    }
    if name.name.is_empty() {
        // A name that the API makes: there is nothing to apply to.
        let made = serde_json::from_value(value)
            .map_err(|error| Error::Document { place: object.place_of(""), message: error.to_string() })?;
        let created = collection.create(&PostParams::default(), &made).await;
        return Ok((created.map_err(|error| rejection(error, object))?, Applied::Created));
    }
    let before = collection.get_opt(&name.name).await.map_err(Error::api(format!("look at {name}")))?;
    let applied = collection
        .patch(&name.name, &PatchParams::apply(MANAGER).force().validation_strict(), &Patch::Apply(&value))
        .await
        .map_err(|error| rejection(error, object))?;
    if name.kind == "CustomResourceDefinition" {
        established(collection, &name.name).await?;
    }
    let outcome = match before {
        None => Applied::Created,
        Some(before) if before.resource_version() == applied.resource_version() => Applied::Unchanged,
        Some(_) => Applied::Configured,
    };
    Ok((applied, outcome))
}

/// Tries an object without effect.
///
/// # Errors
/// When the API rejects it.
pub(crate) async fn attempt(cluster: &Cluster, object: &Object, namespace: &str) -> Result<(), Error> {
    let name = object.name();
    let collection = cluster.collection_of(&object.value, namespace).await.map_err(|error| error.about(object))?;
    let params = PatchParams { dry_run: true, ..PatchParams::apply(MANAGER).force().validation_strict() };
    let tried = collection.patch(&name.name, &params, &Patch::Apply(&object.value)).await;
    tried.map(drop).map_err(|error| rejection(error, object))
}

/// Waits until a definition's kinds are served: what comes next may be of one of them.
async fn established(definitions: Api<DynamicObject>, name: &str) -> Result<(), Error> {
    let what = format!("the kinds of {name} to be served");
    let served = |definition: Option<&DynamicObject>| {
        let conditions = definition.and_then(|definition| definition.data["status"]["conditions"].as_array());
        conditions.into_iter().flatten().any(|one| one["type"] == "Established" && one["status"] == "True")
    };
    wait::object(definitions, name, &what, SERVED, served).await?;
    Ok(())
}

/// An API error about an object in the API's words, with the path of each wrong field and the place of the first.
fn rejection(error: kube::Error, object: &Object) -> Error {
    let name = object.name();
    match error {
        kube::Error::Api(status)
            if (400..500).contains(&status.code) || status.message.starts_with("failed to create typed patch") =>
        {
            let causes =
                status.details.iter().flat_map(|details| &details.causes).filter(|cause| !cause.field.is_empty());
            let first = causes.clone().next().map(|cause| cause.field.as_str());
            let place = object.place_of(first.or_else(|| unknown_field(&status.message)).unwrap_or_default());
            let more = causes.filter(|cause| !status.message.contains(&cause.field));
            let more = more.map(|cause| format!("{}: {}", cause.field, cause.message));
            let message = std::iter::once(status.message.clone()).chain(more).collect::<Vec<_>>().join("; ");
            Error::Rejected { object: name.to_string(), place, message }
        }
        other => Error::api(format!("apply {name}"))(other),
    }
}

/// The path of the first field that is wrong, where it stands in the message alone: of strict decoding, and of server-side apply.
fn unknown_field(message: &str) -> Option<&str> {
    if let Some((_, rest)) = message.split_once("unknown field \"") {
        return rest.split('"').next();
    }
    let (_, rest) = message.split_once("): ")?;
    rest.trim_start_matches("errors:").trim_start().strip_prefix('.')?.split(": ").next()
}

/// What became of an earlier run of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// There was none, or it was finished and is gone.
    Gone,
    /// It still works: there is nothing to apply, only to follow.
    Active,
}

/// Removes the finished run of a one-shot object (a Job, a SparkApplication, a Workflow, or a Pod of its own), so that it can be applied anew.
///
/// # Errors
/// When it cannot be removed.
pub(crate) async fn clear_finished(cluster: &Cluster, object: &Object, namespace: &str) -> Result<Earlier, Error> {
    let name = object.name();
    if !kin::is_work(&name.kind) {
        return Ok(Earlier::Gone);
    }
    if name.name.is_empty() {
        return Ok(Earlier::Gone);
    }
    let collection = cluster.collection_of(&object.value, namespace).await.map_err(|error| error.about(object))?;
    let found = collection.get_opt(&name.name).await.map_err(Error::api(format!("look at {name}")))?;
    let Some(found) = found else {
        return Ok(Earlier::Gone);
    };
    if finished(&found.data["status"]).is_none() && found.metadata.deletion_timestamp.is_none() {
        return Ok(Earlier::Active);
    }
    remove(cluster, &found, &object.value, namespace).await?;
    Ok(Earlier::Gone)
}

/// Whether a Job, a SparkApplication, a Workflow or a Pod with this status is over, and well.
#[must_use]
pub(crate) fn finished(status: &Value) -> Option<bool> {
    match status["applicationState"]["state"].as_str() {
        Some("COMPLETED") => return Some(true),
        Some("FAILED") => return Some(false),
        _ => {}
    }
    match status["phase"].as_str() {
        Some("Succeeded") => return Some(true),
        // Of a Workflow: it could not be carried out.
        Some("Failed" | "Error") => return Some(false),
        _ => {}
    }
    status["conditions"].as_array()?.iter().find_map(|condition| {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Complete"), Some("True")) => Some(true),
            (Some("Failed"), Some("True")) => Some(false),
            _ => None,
        }
    })
}

/// Deletes an object with what it owns, and waits until it is gone.
///
/// # Errors
/// When the API refuses, or the object stays.
pub(crate) async fn remove(
    cluster: &Cluster,
    found: &DynamicObject,
    typed: &Value,
    namespace: &str,
) -> Result<(), Error> {
    let name = found.name_any();
    let collection = cluster.collection_of(typed, namespace).await?;
    let parameters = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        preconditions: Some(kube::api::Preconditions { uid: found.uid(), resource_version: None }),
        ..DeleteParams::default()
    };
    match collection.delete(&name, &parameters).await {
        Ok(_) => {}
        // Gone already, or another one of the same name is there now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
        Err(error) => return Err(Error::api(format!("delete {name}"))(error)),
    }
    let uid = found.uid().unwrap_or_default();
    Ok(wait::gone(collection, &name, &uid, REMOVAL).await?)
}
