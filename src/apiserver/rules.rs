//! What schemas and kinds say about a body: fields that nobody knows, values of wrong types, defaults, and rules. An
//! adapter: it turns findings into warnings and refusals.

use std::sync::Arc;

use serde_json::Value;

use crate::call::Strictness;
use crate::custom;
use crate::defaults;
use crate::error::{ApiError, FieldError};
use crate::resource::Resource;
use crate::schema::{Schema, Unknown, builtin, check};

/// The schema of a resource's objects.
pub(crate) fn schema(resource: &Resource) -> Option<Arc<Schema>> {
    let own = resource.schema.clone();
    own.or_else(|| builtin::schema(&resource.group, &resource.version, &resource.kind))
}

/// Brings a body into the form of its schema; the findings are errors for the client, unknown fields warnings or a refusal.
pub(crate) fn shape(
    resource: &Resource,
    object: &mut Value,
    strictness: Strictness,
    warnings: &mut Vec<String>,
) -> Result<Vec<FieldError>, ApiError> {
    let Some(schema) = schema(resource) else {
        return Ok(Vec::new());
    };
    let unknown = match strictness {
        Strictness::Ignore => Unknown::Ignore,
        Strictness::Warn => Unknown::Warn,
        Strictness::Strict => Unknown::Strict,
    };
    let checked = check(&schema, object, unknown);
    let cannot = |text: &str| {
        let (kind, version) = (&resource.kind, resource.api_version());
        ApiError::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {text}"))
    };
    if let Some(text) = checked.undecodable {
        return Err(cannot(&text));
    }
    if strictness == Strictness::Strict && !checked.unknown.is_empty() {
        return Err(cannot(&format!("strict decoding error: {}", checked.unknown.join(", "))));
    }
    for text in checked.unknown {
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
    Ok(checked.errors)
}

/// Fills in the defaults of a built-in kind.
pub(crate) fn default(resource: &Resource, object: &mut Value) {
    if resource.definition.is_none() {
        defaults::apply(&resource.collection.group, &resource.kind, object);
    }
}

/// What the rules of a kind say about an object, new or changed.
pub(crate) fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    if custom::is_definition(resource) {
        return custom::validate(object, old);
    }
    if resource.definition.is_some() {
        return Vec::new();
    }
    defaults::validate(&resource.collection.group, &resource.kind, object, old)
}
