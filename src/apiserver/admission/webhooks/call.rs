//! One webhook asked about one request: dry runs, time, failure policies, and the patch of the answer.

use std::time::Duration;

use serde_json::Value;

use super::hooks::Invocation;
use super::{Objects, review};
use crate::admission::asked::Asked;
use crate::error::ApiError;
use crate::{patch, webhook};

/// What came of a call.
pub(super) struct Outcome {
    /// The object as the webhook wants it, where it wants it otherwise.
    pub(super) object: Option<Value>,
}

/// Asks a mutating webhook.
pub(super) async fn mutating(asked: &Asked<'_>, hook: &Invocation, objects: Objects<'_>) -> Result<Outcome, ApiError> {
    let Some(patch) = ask(asked, hook, objects, true).await? else {
        return Ok(Outcome { object: None });
    };
    let object = objects.object.ok_or_else(|| review::nothing_to_change(hook))?;
    let changed = patch::json(object, &patch).map_err(|error| {
        let cause = error.details["causes"][0]["message"].as_str().unwrap_or(&error.message);
        ApiError::internal(cause)
    })?;
    Ok(Outcome { object: Some(changed) })
}

/// Asks a validating webhook.
pub(super) async fn validating(asked: &Asked<'_>, hook: &Invocation, objects: Objects<'_>) -> Result<(), ApiError> {
    ask(asked, hook, objects, false).await.map(|_| ())
}

/// The patch of a webhook that allows the request; nothing as well where it could not be asked and need not be.
async fn ask(
    asked: &Asked<'_>,
    hook: &Invocation,
    objects: Objects<'_>,
    mutating: bool,
) -> Result<Option<Value>, ApiError> {
    if let Some(refusal) = review::dry_run(asked, hook) {
        return Err(refusal);
    }
    match reach(asked, hook, objects, mutating).await {
        Ok(answer) => {
            asked.call.warn(answer.warnings);
            answer.verdict
        }
        Err(error) => {
            let text = format!("failed calling webhook {:?}: {error}", hook.name);
            if hook.fails_closed() {
                return Err(ApiError::internal(text));
            }
            tracing::warn!(text, "a webhook that may fail has failed");
            Ok(None)
        }
    }
}

async fn reach(
    asked: &Asked<'_>,
    hook: &Invocation,
    objects: Objects<'_>,
    mutating: bool,
) -> Result<review::Answer, String> {
    let version = review::version(hook)?;
    let uid = uuid::Uuid::new_v4().to_string();
    let request = review::request(asked, hook, objects, (version, &uid));
    let timeout = hook.raw["timeoutSeconds"].as_u64().map_or(webhook::TIMEOUT, Duration::from_secs);
    let answer = webhook::post(&asked.call.api, &hook.raw["clientConfig"], timeout, &request).await;
    let answer = answer.map_err(|error| format!("failed to call webhook: {error}"))?;
    review::answer(&hook.name, mutating, (version, &uid), &answer)
}
