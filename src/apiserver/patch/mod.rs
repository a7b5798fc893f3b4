//! Changes to objects as clients send them: JSON patch, merge patch, strategic merge patch and server-side apply. Pure
//! functions over JSON values; they must not know requests, the store or defaults.

pub mod apply;
mod json;
mod strategic;

use serde_json::Value;

pub use json::json;
pub use strategic::strategic;

use crate::error::ApiError;

/// `application/json-patch+json`.
pub const JSON: &str = "application/json-patch+json";
/// `application/merge-patch+json`.
pub const MERGE: &str = "application/merge-patch+json";
/// `application/strategic-merge-patch+json`.
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// `application/apply-patch+yaml`.
pub const APPLY: &str = "application/apply-patch+yaml";

/// The result of a JSON merge patch (RFC 7386).
#[must_use]
pub fn merge(current: &Value, patch: &Value) -> Value {
    let mut result = current.clone();
    json_patch::merge(&mut result, patch);
    result
}

/// 415 for a kind of patch that is not among `accepted`, as a strategic merge patch of a custom resource.
#[must_use]
pub fn unsupported(accepted: &[&str]) -> ApiError {
    ApiError::unsupported_media_type(format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        accepted.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_as_the_rfc_says() {
        let current = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        let patch = json!({"a": {"b": null, "c": [3]}, "e": {"f": null, "g": 1}});
        let merged = json!({"a": {"c": [3]}, "d": 1, "e": {"g": 1}});
        assert_eq!(merge(&current, &patch), merged);
    }

    #[test]
    fn names_what_is_accepted() {
        let error = unsupported(&[JSON, MERGE, APPLY]);
        assert_eq!(error.code, 415);
        assert!(
            error
                .message
                .ends_with("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
        );
    }
}
