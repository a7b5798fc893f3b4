//! Errors as Kubernetes' `Status` objects: a fixed reason and HTTP code per refusal, with field causes.
//! Upstream rule: k8s.io/apimachinery `pkg/api/errors/errors.go`. Nothing here decides; it only words.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// A refusal that goes to the client as a `Status`.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub code: u16,
    /// `Status.reason`, as in `NotFound`.
    pub reason: Cow<'static, str>,
    /// `Status.message`.
    pub message: String,
    /// `Status.details`; null when there is none.
    pub details: Value,
    /// `Status.metadata.continue`: where a list that has expired may be gone on with.
    pub resume: Option<String>,
}

/// One field that is wrong, as in `spec.replicas: Invalid value: -1: must be greater than or equal to 0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueNotSupported`, `FieldValueForbidden`, `FieldValueDuplicate`, `FieldValueTypeInvalid` …
    pub reason: &'static str,
    /// Path of the field, as in `spec.containers[0].name`.
    pub field: String,
    /// The text after the path, as in `Required value`.
    pub message: String,
}

impl FieldError {
    /// `FIELD: Required value[: detail]`.
    #[must_use]
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    /// `FIELD: Invalid value: VALUE: detail`.
    #[must_use]
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), message: format!("Invalid value: {value}: {detail}") }
    }

    /// `FIELD: Forbidden: detail`.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {detail}") }
    }

    /// `FIELD: Unsupported value: VALUE: supported values: "a", "b"`.
    #[must_use]
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|one| format!("\"{one}\"")).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", quoted.join(", "));
        Self { reason: "FieldValueNotSupported", field: field.into(), message }
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), message: message.into(), details: Value::Null, resume: None }
    }

    /// 400 BadRequest.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401 Unauthorized.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 Forbidden; `resource` is `resource.group` and `message` the text after `is forbidden: `.
    #[must_use]
    pub fn forbidden(resource: (&str, &str), name: &str, message: &str) -> Self {
        let (group, kind) = resource;
        let qualified = qualified(group, kind);
        let text = match (qualified.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {message}"),
            (false, true) => format!("{qualified} is forbidden: {message}"),
            (false, false) => format!("{qualified} \"{name}\" is forbidden: {message}"),
        };
        Self { details: details(group, kind, name), ..Self::new(403, "Forbidden", text) }
    }

    /// 404 NotFound of an object.
    #[must_use]
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let text = format!("{} \"{name}\" not found", qualified(group, resource));
        Self { details: details(group, resource, name), ..Self::new(404, "NotFound", text) }
    }

    /// 404 for a path that the server does not serve.
    #[must_use]
    pub fn no_such_path() -> Self {
        // Details that name nothing: clients look into them, and tell by that an unknown path from an absent object.
        let details = Value::Object(Map::new());
        Self { details, ..Self::new(404, "NotFound", "the server could not find the requested resource") }
    }

    /// 405 MethodNotAllowed.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 406 NotAcceptable.
    #[must_use]
    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// 409 AlreadyExists.
    #[must_use]
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let text = format!("{} \"{name}\" already exists", qualified(group, resource));
        Self { details: details(group, resource, name), ..Self::new(409, "AlreadyExists", text) }
    }

    /// 409 Conflict; `message` is the text after `Operation cannot be fulfilled on RESOURCE "NAME": `.
    #[must_use]
    pub fn conflict(group: &str, resource: &str, name: &str, message: &str) -> Self {
        let text = format!("Operation cannot be fulfilled on {} \"{name}\": {message}", qualified(group, resource));
        Self { details: details(group, resource, name), ..Self::new(409, "Conflict", text) }
    }

    /// 409 Conflict of an update against an outdated version.
    #[must_use]
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        Self::conflict(
            group,
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 410 Expired.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413 RequestEntityTooLarge.
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415 UnsupportedMediaType.
    #[must_use]
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422 Invalid with the fields that are wrong; `kind` is the object's kind.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let mut texts: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
        texts.dedup();
        let list = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        let text = format!("{} \"{name}\" is invalid: {list}", qualified(group, kind));
        let mut details = details(group, kind, name);
        details["causes"] = errors
            .iter()
            .map(|error| json!({"reason": error.reason, "message": error.message, "field": error.field}))
            .collect();
        Self { details, ..Self::new(422, "Invalid", text) }
    }

    /// 429 TooManyRequests, as an eviction that a disruption budget forbids.
    #[must_use]
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(429, "TooManyRequests", message)
    }

    /// 500 InternalError.
    #[must_use]
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// A configuration to be applied that is not of the form of its kind; `faults` are what is wrong, each with its path.
    /// Upstream rule: `ObjectToTyped` and its caller in k8s.io/apimachinery `pkg/util/managedfields/internal/structuredmerge.go`.
    #[must_use]
    pub fn untyped(applied: &Value, faults: &[String]) -> Self {
        let text = |pointer: &str| applied.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let version = text("/apiVersion");
        let slash = if version.contains('/') { "" } else { "/" };
        let place = format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"));
        let told = match faults {
            [one] => one.clone(),
            several => format!("errors:{}", several.iter().map(|one| format!("\n  {one}")).collect::<String>()),
        };
        let message =
            format!("failed to create typed patch object ({place}; {slash}{version}, Kind={}): {told}", text("/kind"));
        Self { code: 500, reason: "".into(), message, details: Value::Null, resume: None }
    }

    /// 503 ServiceUnavailable.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// The `Status` object.
    #[must_use]
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        if let Some(token) = &self.resume {
            status["metadata"]["continue"] = token.as_str().into();
        }
        status
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn details(group: &str, kind: &str, name: &str) -> Value {
    let mut details = json!({"kind": kind});
    for (key, value) in [("name", name), ("group", group)] {
        if !value.is_empty() {
            details[key] = value.into();
        }
    }
    details
}
