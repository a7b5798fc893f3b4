//! What an object says about itself, held against the path that it came to: apiVersion, kind, namespace, name.

use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::ApiError;
use crate::object::{meta, text};

/// Fills in what the path says, and refuses what contradicts it.
pub(crate) fn fit(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let resource = &call.resource;
    let wanted = resource.api_version();
    let (api_version, kind) = (text(object, &["apiVersion"]), text(object, &["kind"]));
    if !kind.is_empty() && *kind != *resource.kind {
        return Err(ApiError::bad_request(format!(
            "{kind} in version \"{api_version}\" cannot be handled as a {}: the kind in the data ({kind}) does not match the expected kind ({})",
            resource.kind, resource.kind
        )));
    }
    if !api_version.is_empty() && api_version != wanted {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted})"
        )));
    }
    object["apiVersion"] = wanted.into();
    object["kind"] = (*resource.kind).into();
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    let namespace = meta(object, "namespace");
    if resource.namespaced {
        if !namespace.is_empty() && namespace != call.path.namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if call.path.namespace.is_empty() {
            return Err(ApiError::bad_request("an empty namespace may not be set during creation"));
        }
        object["metadata"]["namespace"] = call.path.namespace.as_str().into();
    } else if !namespace.is_empty() {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let no_null = |fields: &mut Map<String, Value>| fields.retain(|_, value| !value.is_null());
    if let Some(metadata) = object["metadata"].as_object_mut() {
        no_null(metadata);
    }
    if let Some(fields) = object.as_object_mut() {
        no_null(fields);
    }
    Ok(())
}

/// The name in an object that is to take the place of another must be the one in the path.
pub(crate) fn address(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let name = meta(object, "name");
    if name.is_empty() {
        if object["metadata"].is_null() {
            object["metadata"] = Value::Object(Map::new());
        }
        object["metadata"]["name"] = call.path.name.as_str().into();
    } else if name != call.path.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.path.name
        )));
    }
    Ok(())
}
