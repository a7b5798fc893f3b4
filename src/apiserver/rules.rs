//! What schemas and kinds say about a body: fields that nobody knows, values of wrong types, defaults, and rules. An
//! adapter: it turns findings into warnings and refusals.

use std::sync::Arc;

use serde_json::Value;

use crate::call::Strictness;
use crate::custom;
use crate::defaults;
use crate::error::{ApiError, FieldError};
use crate::resource::Resource;
use crate::schema::{Schema, Unknown, builtin, check, ratchet};

/// Errors after which rules in CEL are not looked at.
const BLOCKING: [&str; 5] =
    ["FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"];

/// The schema of a resource's objects.
pub(crate) fn schema(resource: &Resource) -> Option<Arc<Schema>> {
    let own = resource.schema.clone();
    own.or_else(|| builtin::schema(&resource.group, &resource.version, &resource.kind))
}

/// Brings a body into the form of its schema; the findings are errors for the client, unknown and duplicate fields warnings or
/// a refusal.
pub(crate) fn shape(
    resource: &Resource,
    object: &mut Value,
    (strictness, duplicates): (Strictness, &[String]),
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
    let mut odd = checked.unknown;
    if strictness != Strictness::Ignore {
        odd.extend_from_slice(duplicates);
    }
    if strictness == Strictness::Strict && !odd.is_empty() {
        return Err(cannot(&format!("strict decoding error: {}", odd.join(", "))));
    }
    for text in odd {
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
    Ok(checked.errors)
}

/// Refuses a configuration to be applied that has fields which nobody knows: nobody could own them.
/// Upstream rule: sigs.k8s.io/structured-merge-diff `typed/validate.go`.
pub(crate) fn declared(resource: &Resource, wanted: &Value) -> Result<(), ApiError> {
    let Some(schema) = schema(resource) else {
        return Ok(());
    };
    let unknown = check(&schema, &mut wanted.clone(), Unknown::Warn).unknown;
    let path = |text: &String| {
        let path = text.strip_prefix("unknown field \"").and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        format!(".{path}: field not declared in schema")
    };
    let faults: Vec<String> = unknown.iter().map(path).collect();
    if faults.is_empty() { Ok(()) } else { Err(ApiError::untyped(wanted, &faults)) }
}

/// Fills in the defaults of a built-in kind.
pub(crate) fn default(resource: &Resource, object: &mut Value) {
    if resource.definition.is_none() {
        defaults::apply(&resource.collection.group, &resource.kind, object);
    }
}

/// What the rules of a kind say about an object, new or changed, of which `errors` are known already.
pub(crate) fn validate(
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
    warnings: &mut Vec<String>,
) {
    if custom::is_definition(resource) {
        errors.extend(custom::validate(object, old));
    } else if let Some(rules) = &resource.rules {
        if let (Some(schema), Some(old)) = (&resource.schema, old) {
            ratchet(schema, object, old, errors);
        }
        // Rules are written for objects that are what the schema says.
        if errors.iter().any(|error| BLOCKING.contains(&error.reason)) {
            let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
            errors.push(FieldError::invalid("<nil>", &Value::from("null"), detail));
        } else {
            errors.extend(rules.validate(object, old, warnings));
        }
    } else {
        errors.extend(defaults::validate(&resource.collection.group, &resource.kind, object, old));
    }
}
