//! Create: a new object.

use serde_json::Value;

use crate::call::{Call, WriteOptions};
use crate::error::ApiError;
use crate::respond::Reply;
use crate::write;

/// Stores a new object and answers with it.
pub(crate) async fn create(call: &Call, object: Value) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(call)?;
    let written = write::insert(call, object, &options).await?;
    Ok(Reply::Object(201, written.object, written.warnings))
}
