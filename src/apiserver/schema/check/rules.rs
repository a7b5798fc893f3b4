//! Rules of one value: lengths, pattern, format, bounds, enum. Nothing here looks inside a value.
//! Upstream rule: k8s.io/kube-openapi `pkg/validation/validate/values.go`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Path, format, validate};
use crate::error::FieldError;
use crate::schema::Schema;

/// Patterns are compiled once; a server sees few. Past this many the table starts anew.
const PATTERNS_KEPT: usize = 128;

static PATTERNS: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

/// `maxLength`, `minLength`, `pattern` (the first that fails), then `format`.
pub(super) fn string_rules(schema: &Schema, value: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let Value::String(text) = value else { return };
    let length = text.chars().count() as u64;
    let mut invalid = |detail: String| errors.push(FieldError::invalid(path, value, &detail));
    if let Some(max) = rule(schema, "maxLength").filter(|max| length > *max) {
        let unit = if max == 1 { "byte" } else { "bytes" };
        errors.push(FieldError {
            reason: "FieldValueTooLong",
            field: path.into(),
            message: format!("Too long: may not be more than {max} {unit}"),
        });
    } else if let Some(min) = rule(schema, "minLength").filter(|min| length < *min) {
        invalid(format!("{path} in body should be at least {min} chars long"));
    } else if let Some(pattern) = schema.rules.get("pattern").and_then(Value::as_str) {
        match matches(pattern, text) {
            Some(true) => {}
            Some(false) => invalid(format!("{path} in body should match '{pattern}'")),
            None => invalid(format!("{path} in body should match '{pattern}, but pattern is invalid'")),
        }
    }
    if let Some(format) = schema.rules.get("format").and_then(Value::as_str)
        && schema.definition.is_none()
        && !format::holds(format, text)
    {
        errors.push(validate::wrong_type(path, format, value));
    }
}

fn matches(pattern: &str, text: &str) -> Option<bool> {
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if patterns.len() >= PATTERNS_KEPT && !patterns.contains_key(pattern) {
        patterns.clear();
    }
    let compiled = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    compiled.as_ref().map(|regex| regex.is_match(text))
}

/// `multipleOf`, `minimum`, `maximum` and their exclusive forms.
pub(super) fn number_rules(schema: &Schema, value: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let Some(number) = value.as_f64().filter(|_| value.is_number()) else { return };
    let mut invalid = |detail: String| errors.push(FieldError::invalid(path, value, &detail));
    let bound = |name: &str| schema.rules.get(name).and_then(Value::as_f64);
    let exclusive = |name: &str| schema.rules.get(name).and_then(Value::as_bool).unwrap_or(false);
    if let Some(factor) = bound("multipleOf") {
        let whole = match (value.as_i64(), factor as i64) {
            (Some(number), factor) if factor != 0 => number % factor == 0,
            _ => (number / factor).fract() == 0.0,
        };
        if !whole {
            invalid(format!("{path} in body should be a multiple of {factor}"));
        }
    }
    if let Some(min) = bound("minimum") {
        if exclusive("exclusiveMinimum") && number <= min {
            invalid(format!("{path} in body should be greater than {min}"));
        } else if number < min {
            invalid(format!("{path} in body should be greater than or equal to {min}"));
        }
    }
    if let Some(max) = bound("maximum") {
        if exclusive("exclusiveMaximum") && number >= max {
            invalid(format!("{path} in body should be less than {max}"));
        } else if number > max {
            invalid(format!("{path} in body should be less than or equal to {max}"));
        }
    }
}

/// `minItems`, `maxItems`, `uniqueItems`.
pub(super) fn list_rules(schema: &Schema, items: &[Value], path: &Path, errors: &mut Vec<FieldError>) {
    let count = items.len() as u64;
    if let Some(min) = rule(schema, "minItems").filter(|min| count < *min) {
        let detail = format!("{path} in body should have at least {min} items");
        errors.push(FieldError::invalid(path, &json!(count), &detail));
    }
    if let Some(max) = rule(schema, "maxItems").filter(|max| count > *max) {
        errors.push(too_many(path, count, max));
    }
    let unique = schema.rules.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
    if unique && items.iter().enumerate().any(|(index, item)| items[..index].contains(item)) {
        let detail = format!("{path} in body shouldn't contain duplicates");
        errors.push(FieldError::invalid(path, &json!(""), &detail));
    }
}

/// `minProperties`, `maxProperties`.
pub(super) fn object_rules(schema: &Schema, fields: &Map<String, Value>, path: &Path, errors: &mut Vec<FieldError>) {
    let count = fields.len() as u64;
    if let Some(min) = rule(schema, "minProperties").filter(|min| count < *min) {
        let detail = format!("{path} in body should have at least {min} properties");
        errors.push(FieldError::invalid(path, &json!(count), &detail));
    }
    if let Some(max) = rule(schema, "maxProperties").filter(|max| count > *max) {
        errors.push(too_many(path, count, max));
    }
}

/// `enum`.
pub(super) fn enumeration(schema: &Schema, value: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let Some(allowed) = schema.rules.get("enum").and_then(Value::as_array) else { return };
    let same = |one: &Value| one == value || (one.is_number() && value.is_number() && one.as_f64() == value.as_f64());
    if allowed.iter().any(same) {
        return;
    }
    let texts: Vec<String> =
        allowed.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    // A null is shown as the empty string, as upstream does.
    errors.push(FieldError::not_supported(path, value, &texts));
}

fn too_many(path: &Path, count: u64, max: u64) -> FieldError {
    let unit = if max == 1 { "item" } else { "items" };
    FieldError {
        reason: "FieldValueTooMany",
        field: path.into(),
        message: format!("Too many: {count}: must have at most {max} {unit}"),
    }
}

fn rule(schema: &Schema, name: &str) -> Option<u64> {
    schema.rules.get(name).and_then(Value::as_u64)
}
