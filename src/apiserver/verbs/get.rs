//! Get: one object.

use crate::call::Call;
use crate::error::ApiError;
use crate::resource::View;
use crate::respond::{self, Form, Reply};
use crate::view;

/// Answers with the object that the path names.
pub(crate) async fn get(call: &Call) -> Result<Reply, ApiError> {
    let stored = call.stored()?;
    if call.form == Form::Json && call.resource.view != View::Webhook {
        let bytes = view::bytes(&call.resource, &stored);
        return Ok(Reply::Ready(respond::respond(200, "application/json", bytes)));
    }
    Ok(Reply::ok(call.served(&stored).await?))
}
