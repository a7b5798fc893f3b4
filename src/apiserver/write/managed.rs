//! Who owns which field: an adapter between writes and `patch::apply`.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::Scope;
use crate::call::{Call, WriteOptions};
use crate::error::ApiError;
use crate::patch::apply::{self, ApplyContext};
use crate::resource::View;
use crate::rules;
use crate::schema::Schema;

/// What a write of one scope cannot own.
fn reset(call: &Call, scope: Scope) -> &'static [&'static [&'static str]] {
    match scope {
        Scope::Main if call.resource.has_status() => &[&["status"]],
        Scope::Status => &[&["spec"]],
        _ => &[],
    }
}

fn with_context<T>(
    call: &Call,
    options: &WriteOptions,
    scope: Scope,
    then: impl FnOnce(&ApplyContext<'_>) -> T,
) -> Option<T> {
    // What is stored in another form than it is served in has other fields than its owners name.
    if matches!(call.resource.view, View::Events | View::Autoscalers) {
        return None;
    }
    let schema: Arc<Schema> = rules::schema(&call.resource)?;
    let group_version = call.resource.api_version();
    Some(then(&ApplyContext {
        manager: &options.manager,
        force: options.force,
        subresource: &call.path.subresource,
        group_version: &group_version,
        schema: &schema,
        now: SystemTime::from(call.api.now()),
        reset: reset(call, scope),
    }))
}

/// The object with its managed fields after an ordinary write.
pub(super) fn update(call: &Call, options: &WriteOptions, scope: Scope, old: Option<&Value>, new: &mut Value) {
    if options.applied {
        return;
    }
    if let Some(done) = with_context(call, options, scope, |context| apply::update(old, new.clone(), context)) {
        *new = done;
    }
}

/// The object that an applied configuration makes of `live`.
pub(crate) fn applied(
    call: &Call,
    options: &WriteOptions,
    scope: Scope,
    live: Option<&Value>,
    applied: &Value,
) -> Result<Value, ApiError> {
    with_context(call, options, scope, |context| apply::apply(live, applied, context))
        .unwrap_or_else(|| Err(ApiError::unsupported_media_type("the resource has no schema to apply by")))
}
