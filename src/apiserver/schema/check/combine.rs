//! `anyOf`, `oneOf`, `allOf` and `not` of a custom resource's definition.
//! Upstream rule: k8s.io/kube-openapi `pkg/validation/validate/schema_props.go`.

use std::sync::Arc;

use serde_json::Value;

use super::{Path, validate};
use crate::error::FieldError;
use crate::schema::{Combined, Schema};

/// Checks the combinations at `path`. Where none of the alternatives fits, the one that fails least explains itself too.
pub(super) fn check(combined: &Combined, value: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if !combined.any_of.is_empty() {
        let (fitting, nearest) = alternatives(&combined.any_of, value, path);
        if fitting == 0 {
            errors.push(combination(&format!("\"{path}\" must validate at least one schema (anyOf)")));
            errors.extend(nearest);
        }
    }
    if !combined.one_of.is_empty() {
        let (fitting, nearest) = alternatives(&combined.one_of, value, path);
        if fitting != 1 {
            let found = if fitting == 0 {
                "Found none valid".to_owned()
            } else {
                format!("Found {fitting} valid alternatives")
            };
            errors.push(combination(&format!("\"{path}\" must validate one and only one schema (oneOf). {found}")));
        }
        if fitting == 0 {
            errors.extend(nearest);
        }
    }
    let mut fitting = 0;
    for schema in &combined.all_of {
        let before = errors.len();
        validate::node(schema, value, path, errors);
        fitting += usize::from(errors.len() == before);
    }
    if fitting != combined.all_of.len() {
        let found = if fitting == 0 { ". None validated" } else { "" };
        errors.push(combination(&format!("\"{path}\" must validate all the schemas (allOf){found}")));
    }
    if let Some(schema) = &combined.not {
        let mut inside = Vec::new();
        validate::node(schema, value, path, &mut inside);
        if inside.is_empty() {
            errors.push(combination(&format!("\"{path}\" must not validate the schema (not)")));
        }
    }
}

/// How many alternatives fit, and the errors of the first of those that fail least.
fn alternatives(schemas: &[Arc<Schema>], value: &Value, path: &Path) -> (usize, Vec<FieldError>) {
    let mut fitting = 0;
    let mut nearest: Option<Vec<FieldError>> = None;
    for schema in schemas {
        let mut errors = Vec::new();
        validate::node(schema, value, path, &mut errors);
        if errors.is_empty() {
            fitting += 1;
        } else if nearest.as_ref().is_none_or(|best| errors.len() < best.len()) {
            nearest = Some(errors);
        }
    }
    (fitting, nearest.unwrap_or_default())
}

/// Kubernetes names no field here.
fn combination(text: &str) -> FieldError {
    FieldError::invalid("<nil>", &Value::from(""), text)
}
