//! The streaming subresources of pods on the wire: `log`, `exec`, `attach` and `portforward`, over websockets and over
//! SPDY/3.1, and `proxy`. What runs in a pod is behind [`PodStreams`]; the caller has authorized the request and read the pod.

mod channels;
mod forward;
mod log;
mod proxy;
mod session;
mod spdy;
mod target;
mod upgrade;

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use http::request::Parts;
use serde_json::Value;
use tinderbox_api::streams::{ExecOptions, PodStreams, StreamError};

use crate::error::ApiError;
use crate::path::Params;

pub use proxy::proxy;

/// A request for a stream of a pod.
pub struct PodCall<'a> {
    /// The node's side.
    pub streams: &'a Arc<dyn PodStreams>,
    /// The pod.
    pub pod: &'a Value,
    /// The request: its query says what, its headers how.
    pub parts: &'a mut Parts,
}

/// `GET …/pods/NAME/log`.
///
/// # Errors
/// BadRequest or Invalid for the query, and what the node says.
pub async fn log(call: PodCall<'_>) -> Result<Response<Body>, ApiError> {
    log::serve(call).await
}

/// `GET` or `POST …/pods/NAME/exec`.
///
/// # Errors
/// BadRequest for the query or a request that does not upgrade, and what the node says.
pub async fn exec(call: PodCall<'_>) -> Result<Response<Body>, ApiError> {
    let params = Params::parse(call.parts.uri.query());
    let options = options(&params);
    if options.command.is_empty() {
        return Err(ApiError::bad_request("you must specify at least 1 command for the container"));
    }
    target::running(call.pod)?;
    let container = target::container(call.pod, params.get("container").unwrap_or_default())?;
    let upgrade = upgrade::sessions(call.parts)?;
    let session = call.streams.exec(container, options.clone()).await.map_err(refused)?;
    Ok(upgrade.serve(session, &options))
}

/// `GET` or `POST …/pods/NAME/attach`.
///
/// # Errors
/// As [`exec`].
pub async fn attach(call: PodCall<'_>) -> Result<Response<Body>, ApiError> {
    let params = Params::parse(call.parts.uri.query());
    let options = options(&params);
    target::running(call.pod)?;
    let container = target::container(call.pod, params.get("container").unwrap_or_default())?;
    let upgrade = upgrade::sessions(call.parts)?;
    let session = call.streams.attach(container, options.clone()).await.map_err(refused)?;
    Ok(upgrade.serve(session, &options))
}

/// `GET` or `POST …/pods/NAME/portforward`.
///
/// # Errors
/// BadRequest for the query or a request that does not upgrade.
pub async fn port_forward(call: PodCall<'_>) -> Result<Response<Body>, ApiError> {
    target::running(call.pod)?;
    let pod = target::pod(call.pod);
    forward::serve(call.streams.clone(), pod, call.parts)
}

fn options(params: &Params) -> ExecOptions {
    let tty = params.flag("tty");
    ExecOptions {
        command: params.all("command").map(str::to_owned).collect(),
        stdin: params.flag("stdin"),
        stdout: params.flag("stdout"),
        // A terminal has one output.
        stderr: params.flag("stderr") && !tty,
        tty,
    }
}

fn refused(error: StreamError) -> ApiError {
    let (code, reason, message) = match error {
        StreamError::NotFound(message) => (404, "NotFound", message),
        StreamError::BadRequest(message) => (400, "BadRequest", message),
        StreamError::Internal(message) => return ApiError::internal(message),
    };
    ApiError { code, reason: reason.into(), message, details: Value::Null, resume: None }
}

#[cfg(test)]
mod tests;
