//! What happens to an object on its way into the store, whichever verb brings it: the envelope, metadata that is the
//! server's, what a kind adds, checks, and the write itself with its conflicts.

mod envelope;
mod managed;
mod metadata;

use std::sync::Arc;

use serde_json::Value;
use tinderbox_store::{Key, Stored, WriteError};

use crate::admission::{self, Held};
use crate::call::{Call, WriteOptions};
use crate::error::{ApiError, FieldError};
use crate::object::{self, finalizers, is_deleting, meta};
use crate::{codec, custom, defaults, kinds, rules, view};

pub(crate) use envelope::address;
pub(crate) use managed::applied;
pub(crate) use metadata::random_name;

/// How often a generated name is tried before giving up.
const NAME_TRIES: usize = 8;
/// How often a write without a version of its own is tried against newer versions.
const CHANGE_TRIES: usize = 32;

/// Which part of an object a request writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything but the status, where that is apart.
    Main,
    /// The status alone.
    Status,
    /// The finalizers of a namespace's spec.
    Finalize,
    /// The ephemeral containers of a pod.
    Ephemeral,
    /// One thing that the server itself has worked out (bindings, scale).
    Inner,
}

impl Scope {
    /// The scope of an update or patch by its path.
    pub(crate) fn of(call: &Call) -> Result<Self, ApiError> {
        match call.path.subresource.as_str() {
            "" => Ok(Self::Main),
            "status" | "approval" => Ok(Self::Status),
            "finalize" => Ok(Self::Finalize),
            "ephemeralcontainers" => Ok(Self::Ephemeral),
            _ => Err(ApiError::method_not_allowed()),
        }
    }
}

/// What a write came to.
#[derive(Debug)]
pub(crate) struct Written {
    /// The object as it is served.
    pub(crate) object: Value,
    /// Words for the client.
    pub(crate) warnings: Vec<String>,
    /// Whether it is new.
    pub(crate) created: bool,
}

/// Stores a new object.
pub(crate) async fn insert(call: &Call, mut object: Value, options: &WriteOptions) -> Result<Written, ApiError> {
    let resource = &call.resource;
    envelope::fit(call, &mut object)?;
    if !meta(&object, "resourceVersion").is_empty() {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let mut warnings = Vec::new();
    let mut errors = rules::shape(resource, &mut object, options.strictness, &mut warnings)?;
    view::inward(resource, &mut object);
    let generated = metadata::generate_name(call, &mut object)?;
    namespace_open(call, meta(&object, "name"))?;
    custom::open(&call.api, resource)?;
    metadata::begin(call, &mut object);
    rules::default(resource, &mut object);
    kinds::on_create(resource, &mut object);
    let _held = admission::admit(call, None, &mut object).await?;
    managed::update(call, options, Scope::Main, None, &mut object);
    errors.extend(metadata::check(resource, &object, None));
    rules::validate(resource, &object, None, &mut errors, &mut warnings);
    refuse(call, &object, errors)?;
    call.api.access().rbac.check_escalation(&call.user, &call.path.namespace, None, &object)?;
    for _ in 0..NAME_TRIES {
        let key = call.key_of(meta(&object, "name"));
        let done = if options.dry_run {
            match call.api.store().get(&key) {
                Some(found) => Err(WriteError::Exists(found)),
                None => Ok(None),
            }
        } else {
            call.api.store().create(key, codec::encode(&object)).await.map(Some)
        };
        match done {
            Ok(stored) => {
                if let Some(stored) = stored {
                    object = codec::decode(&stored);
                    after(call, &stored);
                }
                view::outward(resource, &mut object);
                return Ok(Written { object, warnings, created: true });
            }
            Err(WriteError::Exists(_)) if generated => metadata::another_name(&mut object),
            Err(WriteError::Exists(_)) => break,
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(ApiError::already_exists(&resource.group, &resource.plural, meta(&object, "name")))
}

/// What follows from a write that is done.
pub(crate) fn after(call: &Call, stored: &Stored) {
    if custom::is_definition(&call.resource) {
        call.api.sync_definition(&stored.key.name);
    }
}

fn refuse(call: &Call, object: &Value, errors: Vec<FieldError>) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    let resource = &call.resource;
    Err(ApiError::invalid(&resource.group, &resource.kind, meta(object, "name"), &errors))
}

/// Stores what `make` makes of the newest version, again and again while others write in between, unless the result names
/// the version that it is about.
pub(crate) async fn change(
    call: &Call,
    options: &WriteOptions,
    scope: Scope,
    mut make: impl FnMut(&Value) -> Result<Value, ApiError>,
) -> Result<Written, ApiError> {
    for _ in 0..CHANGE_TRIES {
        let stored = call.stored()?;
        let old = codec::decode(&stored);
        let mut seen = old.clone();
        view::outward(&call.resource, &mut seen);
        let mut new = make(&seen)?;
        let revision = meta(&new, "resourceVersion");
        if revision.is_empty() {
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        } else if revision != meta(&old, "resourceVersion") {
            return Err(call.modified());
        }
        let mut warnings = Vec::new();
        let _held = prepare(call, options, scope, (&old, &mut new), &mut warnings).await?;
        let written = |object| Written { object, warnings, created: false };
        if options.dry_run {
            view::outward(&call.resource, &mut new);
            return Ok(written(new));
        }
        let done = if is_finished(call, &new) { erase(call, &stored).await } else { store(call, &stored, &new).await };
        match done {
            Ok(object) => return Ok(written(object)),
            Err(WriteError::Conflict(_)) => {}
            Err(WriteError::Missing) => return Err(call.not_found()),
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(call.modified())
}

/// Removes a stored object and answers with what it was last.
pub(crate) async fn erase(call: &Call, stored: &Arc<Stored>) -> Result<Value, WriteError> {
    let last = call.api.store().delete(&stored.key, stored.revision).await?;
    after(call, &last);
    Ok(call.served(&last))
}

/// Writes a version, unless it says what the stored one says.
async fn store(call: &Call, stored: &Arc<Stored>, new: &Value) -> Result<Value, WriteError> {
    let bytes = codec::encode(new);
    if bytes == stored.bytes {
        return Ok(call.served(stored));
    }
    let key = &stored.key;
    let stored = call.api.store().update(key, stored.revision, bytes).await?;
    after(call, &stored);
    Ok(call.served(&stored))
}

/// Turns what a client sent for an existing object into the version to be stored.
async fn prepare(
    call: &Call,
    options: &WriteOptions,
    scope: Scope,
    (old, new): (&Value, &mut Value),
    warnings: &mut Vec<String>,
) -> Result<Held, ApiError> {
    let resource = &call.resource;
    envelope::fit(call, new)?;
    let mut errors = rules::shape(resource, new, options.strictness, warnings)?;
    view::inward(resource, new);
    metadata::carry_over(call, old, new)?;
    match scope {
        Scope::Main if resource.has_status() => {
            object::set_or_remove(new, "status", old["status"].clone());
        }
        Scope::Main | Scope::Inner => {}
        Scope::Status => {
            let mut kept = old.clone();
            object::set_or_remove(&mut kept, "status", new["status"].take());
            metadata::of_status(resource, &mut kept, new, options.applied);
            *new = kept;
        }
        Scope::Finalize => {
            let finalizers = new["spec"]["finalizers"].take();
            let metadata = new["metadata"].take();
            *new = old.clone();
            object::set_or_remove(&mut new["metadata"], "finalizers", metadata["finalizers"].clone());
            object::set_or_remove(&mut new["spec"], "finalizers", finalizers);
        }
        Scope::Ephemeral => {
            let containers = new["spec"]["ephemeralContainers"].take();
            *new = old.clone();
            object::set_or_remove(&mut new["spec"], "ephemeralContainers", containers);
        }
    }
    rules::default(resource, new);
    kinds::on_update(resource, old, new);
    let held = admission::admit(call, Some(old), new).await?;
    metadata::count(resource, old, new);
    managed::update(call, options, scope, Some(old), new);
    errors.extend(metadata::check(resource, new, Some(old)));
    // A binding and a status change what users may not.
    let inner = scope == Scope::Inner && !resource.is("", "pods");
    if scope == Scope::Main || inner || scope == Scope::Status && resource.rules.is_some() {
        rules::validate(resource, new, Some(old), &mut errors, warnings);
    }
    if scope == Scope::Ephemeral {
        errors.extend(defaults::validate_ephemeral(new, old));
    }
    refuse(call, new, errors)?;
    call.api.access().rbac.check_escalation(&call.user, &call.path.namespace, Some(old), new)?;
    Ok(held)
}

/// Whether nothing holds a deleted object any longer.
fn is_finished(call: &Call, object: &Value) -> bool {
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    is_deleting(object)
        && finalizers(object).is_empty()
        && grace.unwrap_or(0) == 0
        && (!call.resource.is("", "namespaces") || spec_finalizers(object).is_empty())
}

/// `spec.finalizers` of a namespace.
pub(crate) fn spec_finalizers(object: &Value) -> &[Value] {
    object["spec"]["finalizers"].as_array().map_or(&[], Vec::as_slice)
}

/// The namespace of a new object must exist and stay.
fn namespace_open(call: &Call, name: &str) -> Result<(), ApiError> {
    if !call.resource.namespaced {
        return Ok(());
    }
    let namespace = call.path.namespace.as_str();
    let key = Key {
        collection: tinderbox_store::Collection { group: "".into(), resource: "namespaces".into() },
        namespace: "".into(),
        name: namespace.into(),
    };
    let stored = call.api.store().get(&key).ok_or_else(|| ApiError::not_found("", "namespaces", namespace))?;
    if !is_deleting(&codec::decode(&stored)) {
        return Ok(());
    }
    let text = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut error = ApiError::forbidden((&call.resource.group, &call.resource.plural), name, &text);
    error.details["causes"] = serde_json::json!([{"reason": "NamespaceTerminating",
        "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace"}]);
    Err(error)
}

/// 500 for a write that the store refused for its own reasons.
pub(crate) fn failed(error: &WriteError) -> ApiError {
    let cause = std::error::Error::source(error).map_or_else(String::new, |s| format!(": {s}"));
    ApiError::internal(format!("{error}{cause}"))
}
