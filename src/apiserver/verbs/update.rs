//! Update: a new version of an object, or of its status.

use serde_json::Value;

use crate::call::{Call, WriteOptions};
use crate::error::{ApiError, FieldError};
use crate::object::meta;
use crate::respond::Reply;
use crate::write::{self, Scope};

/// Stores a new version and answers with it.
pub(crate) async fn update(call: &Call, mut object: Value) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(call)?;
    let scope = Scope::of(call)?;
    write::address(call, &mut object)?;
    if meta(&object, "resourceVersion").is_empty() && !call.resource.unconditional_update {
        let error = FieldError {
            reason: "FieldValueInvalid",
            field: "metadata.resourceVersion".to_owned(),
            message: "Invalid value: 0x0: must be specified for an update".to_owned(),
        };
        return Err(ApiError::invalid(&call.resource.group, &call.resource.kind, &call.path.name, &[error]));
    }
    if call.resource.create_on_update && scope == Scope::Main && call.api.store().get(&call.key()).is_none() {
        let written = write::insert(call, object, &options).await?;
        return Ok(Reply::Object(201, written.object, written.warnings));
    }
    let written = write::change(call, &options, scope, |_| Ok(object.clone())).await?;
    Ok(Reply::Object(200, written.object, written.warnings))
}
