//! What happens to an object on its way into the store, whichever verb brings it: the envelope, metadata that is the
//! server's, what a kind adds, checks, and the write itself with its conflicts.

mod envelope;
mod managed;
mod metadata;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tinderbox_store::{Key, Stored, WriteError};

use crate::admission::{self, Asked, Held, Operation};
use crate::call::{Call, Strictness, WriteOptions};
use crate::error::{ApiError, FieldError};
use crate::object::{self, finalizers, is_deleting, meta};
use crate::{codec, convert, custom, defaults, kinds, rules, view};

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
    let mut errors = rules::shape(resource, &mut object, (options.strictness, &call.duplicates), &mut warnings)?;
    view::inward(resource, &mut object);
    let generated = metadata::generate_name(call, &mut object)?;
    namespace_open(call, meta(&object, "name"))?;
    custom::open(&call.api, resource)?;
    metadata::begin(call, &mut object);
    rules::default(resource, &mut object);
    kinds::on_create(resource, &mut object);
    managed::update(call, options, Scope::Main, None, &mut object);
    let asked = Asked::write(call, Operation::Create, admission::asked_name(&object, generated), options);
    let before = object.clone();
    let reform = |changed: &mut Value| {
        let errors = again(call, &before, changed)?;
        if resource.has_status() {
            object::set_or_remove(changed, "status", before["status"].clone());
        }
        rules::default(resource, changed);
        Ok(errors)
    };
    let held = admission::admit(call, Some(&asked), (None, &mut object), &mut errors, &reform).await?;
    errors.extend(metadata::check(resource, &object, None));
    rules::validate(resource, &object, None, &mut errors, &mut warnings);
    refuse(call, &object, errors)?;
    call.api.access().rbac.check_escalation(&call.user, &call.path.namespace, None, &object)?;
    let _held = admission::validate(Some(&asked), (None, &mut object), held).await?;
    for _ in 0..NAME_TRIES {
        let key = call.key_of(meta(&object, "name"));
        let done = if options.dry_run {
            match call.api.store().get(&key) {
                Some(found) => Err(WriteError::Exists(found)),
                None => Ok(None),
            }
        } else {
            let bytes = convert::bytes(call, &object).await?;
            call.api.store().create(key, bytes).await.map(Some)
        };
        match done {
            Ok(stored) => {
                if let Some(stored) = stored {
                    after(call, &stored);
                    object = at_revision(object, &stored);
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

/// An object with the revision that it was stored at.
fn at_revision(mut object: Value, stored: &Stored) -> Value {
    object["metadata"]["resourceVersion"] = stored.revision.to_string().into();
    object
}

/// Brings an object that a webhook has changed into the form that writes work on; what is the server's in its metadata stays
/// as it was `before`.
fn again(call: &Call, before: &Value, changed: &mut Value) -> Result<Vec<FieldError>, ApiError> {
    let resource = &call.resource;
    if !changed["metadata"].is_object() {
        return Err(ApiError::internal("a webhook has left an object without metadata"));
    }
    let errors = rules::shape(resource, changed, (Strictness::Ignore, &[]), &mut Vec::new())
        .map_err(|error| ApiError::internal(error.message))?;
    view::inward(resource, changed);
    metadata::restore(before, changed);
    Ok(errors)
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
        let old = convert::working(call, &stored).await?;
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
        if !options.dry_run {
            let done = if is_finished(call, &new) {
                erase(call, &stored).await
            } else {
                let bytes = convert::bytes(call, &new).await?;
                store(call, &stored, bytes).await
            };
            match done {
                Ok(stored) => new = at_revision(new, &stored),
                Err(WriteError::Conflict(_)) => continue,
                Err(WriteError::Missing) => return Err(call.not_found()),
                Err(error) => return Err(failed(&error)),
            }
        }
        view::outward(&call.resource, &mut new);
        return Ok(Written { object: new, warnings, created: false });
    }
    Err(call.modified())
}

/// Removes a stored object; the answer is what it was last.
pub(crate) async fn erase(call: &Call, stored: &Arc<Stored>) -> Result<Arc<Stored>, WriteError> {
    let last = call.api.store().delete(&stored.key, stored.revision).await?;
    after(call, &last);
    Ok(last)
}

/// Writes a version, unless it says what the stored one says.
async fn store(call: &Call, stored: &Arc<Stored>, bytes: Bytes) -> Result<Arc<Stored>, WriteError> {
    if bytes == stored.bytes {
        return Ok(Arc::clone(stored));
    }
    let key = &stored.key;
    let stored = call.api.store().update(key, stored.revision, bytes).await?;
    after(call, &stored);
    Ok(stored)
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
    let mut errors = rules::shape(resource, new, (options.strictness, &call.duplicates), warnings)?;
    view::inward(resource, new);
    metadata::carry_over(call, old, new)?;
    limit(call, options, scope, (old, new));
    rules::default(resource, new);
    kinds::on_update(resource, old, new);
    managed::update(call, options, scope, Some(old), new);
    // What the server itself has worked out was asked about as what it was worked out from.
    let asked = (scope != Scope::Inner).then(|| Asked::write(call, Operation::Update, &call.path.name, options));
    let before = new.clone();
    let reform = |changed: &mut Value| {
        let errors = again(call, &before, changed)?;
        limit(call, options, scope, (old, changed));
        rules::default(resource, changed);
        kinds::on_update(resource, old, changed);
        Ok(errors)
    };
    let held = admission::admit(call, asked.as_ref(), (Some(old), new), &mut errors, &reform).await?;
    metadata::count(resource, old, new);
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
    admission::validate(asked.as_ref(), (Some(old), new), held).await
}

/// Leaves of a new version only what a write of this scope may change.
fn limit(call: &Call, options: &WriteOptions, scope: Scope, (old, new): (&Value, &mut Value)) {
    let resource = &call.resource;
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
