//! Patch: a change to an object, in one of four languages. The languages are spoken by `patch`.

use bytes::Bytes;
use serde_json::Value;

use crate::call::{Call, WriteOptions};
use crate::error::{ApiError, FieldError};
use crate::object::meta;
use crate::respond::Reply;
use crate::write::{self, Scope, Written};
use crate::{body, patch, rules};

/// Applies a patch to the newest version and answers with the result.
pub(crate) async fn patch(call: &Call, content_type: &str, body: Bytes) -> Result<Reply, ApiError> {
    let written = run(call, content_type, &body, Scope::of(call)?).await?;
    let code = if written.created { 201 } else { 200 };
    Ok(Reply::Object(code, written.object, written.warnings))
}

async fn run(call: &Call, content_type: &str, body: &Bytes, scope: Scope) -> Result<Written, ApiError> {
    let mut options = WriteOptions::of(call)?;
    if content_type == patch::APPLY {
        return apply(call, body, scope, &mut options).await;
    }
    if call.params.get("force").is_some() {
        let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[error]));
    }
    let (parsed, duplicates) = body::read(body).map_err(undecodable)?;
    let change = language(call, content_type)?;
    let call = &call.with_duplicates(duplicates);
    write::change(call, &options, scope, |old| change(old, &parsed)).await
}

/// The body of a JSON patch.
pub(crate) fn read(body: &Bytes) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(undecodable)
}

fn undecodable(error: serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("error decoding patch: {error}"))
}

type Change = Box<dyn Fn(&Value, &Value) -> Result<Value, ApiError> + Send + Sync>;

/// What a patch of this type does to an object.
pub(crate) fn language(call: &Call, content_type: &str) -> Result<Change, ApiError> {
    let native = call.resource.definition.is_none();
    match content_type {
        patch::JSON => Ok(Box::new(patch::json)),
        patch::MERGE => Ok(Box::new(|old, changes| Ok(patch::merge(old, changes)))),
        patch::STRATEGIC if native => {
            let schema =
                rules::schema(&call.resource).ok_or_else(|| patch::unsupported(&[patch::JSON, patch::MERGE]))?;
            Ok(Box::new(move |old, changes| patch::strategic(old, changes, &schema)))
        }
        _ if native => Err(patch::unsupported(&[patch::JSON, patch::MERGE, patch::STRATEGIC, patch::APPLY])),
        _ => Err(patch::unsupported(&[patch::JSON, patch::MERGE, patch::APPLY])),
    }
}

/// Server-side apply; it creates what is absent.
async fn apply(call: &Call, body: &Bytes, scope: Scope, options: &mut WriteOptions) -> Result<Written, ApiError> {
    if call.params.get("fieldManager").is_none() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[error]));
    }
    options.applied = true;
    let mut wanted = crate::handler::yaml_or_json(body)?;
    write::address(call, &mut wanted)?;
    rules::declared(&call.resource, &wanted)?;
    loop {
        if call.api.store().get(&call.key()).is_none() {
            if scope != Scope::Main || !meta(&wanted, "uid").is_empty() {
                return Err(call.not_found());
            }
            let object = write::applied(call, options, scope, None, &wanted)?;
            match write::insert(call, object, options).await {
                Err(error) if error.reason == "AlreadyExists" => continue,
                done => return done,
            }
        }
        let changed = write::change(call, options, scope, |old| {
            let version = meta(&wanted, "resourceVersion");
            if !version.is_empty() && version != meta(old, "resourceVersion") {
                return Err(call.modified());
            }
            write::applied(call, options, scope, Some(old), &wanted)
        })
        .await;
        match changed {
            Err(error) if error.code == 404 && scope == Scope::Main => {}
            done => return done,
        }
    }
}
