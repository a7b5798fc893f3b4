//! The policies of jobs: when failed pods, failed indexes and finished indexes decide the whole.
//! Upstream rule: k8s.io/kubernetes `pkg/apis/batch/validation/validation.go`.

use serde_json::{Value, json};

use super::common::{Errors, has, list, text};
use crate::error::FieldError;
use crate::schema::Path;

const RULES_MAX: usize = 20;

/// Limits of single indexes.
pub(super) fn indexes(spec: &Value, path: &Path, errors: &mut Errors) {
    let completions = spec["completions"].as_i64();
    let most = &spec["maxFailedIndexes"];
    if spec["completionMode"] != "Indexed" {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
            if has(spec, field) {
                errors.invalid(path.field(field), &spec[field], "requires indexed completion mode");
            }
        }
        return;
    }
    if completions.is_none() {
        errors.required(path.field("completions"), "when completion mode is Indexed");
    }
    if has(spec, "maxFailedIndexes") {
        if !has(spec, "backoffLimitPerIndex") {
            errors.required(path.field("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
        }
        if most.as_i64() > completions {
            errors.invalid(path.field("maxFailedIndexes"), most, "must be less than or equal to completions");
        }
    }
    if has(spec, "successPolicy") {
        success(spec, &path.field("successPolicy").field("rules"), errors);
    }
}

/// Which pods are replaced.
pub(super) fn replacement(spec: &Value, path: &Path, errors: &mut Errors) {
    let allowed: &[&str] = if has(spec, "podFailurePolicy") { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if has(spec, "podReplacementPolicy") {
        errors.choice(path.field("podReplacementPolicy"), &spec["podReplacementPolicy"], allowed);
    }
}

fn success(spec: &Value, path: &Path, errors: &mut Errors) {
    let rules = &spec["successPolicy"]["rules"];
    match list(rules).count() {
        0 => errors.required(path, "at least one rules must be specified when the successPolicy is specified"),
        count if count > RULES_MAX => {
            let message = format!("Too many: {count}: must have at most {RULES_MAX} items");
            errors.0.push(FieldError { reason: "FieldValueTooMany", field: path.into(), message });
        }
        _ => {}
    }
    let completions = spec["completions"].as_i64().unwrap_or_default();
    for (index, rule) in list(rules).enumerate() {
        let at = path.index(index);
        let count = &rule["succeededCount"];
        if !has(rule, "succeededCount") && !has(rule, "succeededIndexes") {
            errors.required(&at, "at least one of succeededCount or succeededIndexes must be specified");
        }
        let indexes = text(rule, "succeededIndexes");
        let total = match count_of(indexes, completions) {
            Ok(total) => total,
            Err(error) => {
                let detail = format!("error parsing succeededIndexes: {error}");
                errors.invalid(at.field("succeededIndexes"), &json!(indexes), &detail);
                continue;
            }
        };
        let at = at.field("succeededCount");
        errors.not_negative(&at, count);
        if count.as_i64().is_some_and(|count| count > completions) {
            let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
            errors.invalid(&at, count, &detail);
        }
        if has(rule, "succeededIndexes") && count.as_i64().is_some_and(|count| count > total) {
            let what = "the number of indexes in the specified succeededIndexes field";
            errors.invalid(&at, count, &format!("must be less than or equal to {total} ({what})"));
        }
    }
}

/// How many indexes a text like `0-2,5` names; they must ascend and exist.
fn count_of(text: &str, completions: i64) -> Result<i64, String> {
    let mut total = 0;
    let mut last: Option<i64> = None;
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let ends: Vec<&str> = part.split('-').collect();
        let number = |text: &str| {
            let index: i64 =
                text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
            if index >= completions { Err("too large index: ".to_owned() + &format!("{text:?}")) } else { Ok(index) }
        };
        let (first, end) = match ends.as_slice() {
            [one] => (number(one)?, number(one)?),
            [first, end] => (number(first)?, number(end)?),
            _ => {
                return Err(format!(
                    "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'"
                ));
            }
        };
        if last.is_some_and(|last| last >= first) {
            let last = last.unwrap_or_default();
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        if ends.len() == 2 && first >= end {
            return Err(format!("non-increasing order, previous: {first}, current: {end}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_ascend_and_exist() {
        assert_eq!(count_of("", 3), Ok(0));
        assert_eq!(count_of("0-2,5", 6), Ok(4));
        for (text, error) in [
            ("0,6", "too large index: \"6\""),
            ("2,1", "non-increasing order, previous: 2, current: 1"),
            ("2-2", "non-increasing order, previous: 2, current: 2"),
            ("a", "cannot convert string to integer for index: \"a\""),
        ] {
            assert_eq!(count_of(text, 6), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn policies_hold_to_their_rules() {
        let found = |spec: Value| {
            let mut errors = Errors::default();
            indexes(&spec, &Path::new("spec"), &mut errors);
            replacement(&spec, &Path::new("spec"), &mut errors);
            errors.0.into_iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>()
        };
        let indexed = |more: Value| {
            let mut spec = json!({"completionMode": "Indexed", "completions": 3});
            spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            found(spec)
        };
        assert_eq!(
            found(json!({"completionMode": "NonIndexed", "backoffLimitPerIndex": 1})),
            ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]
        );
        assert_eq!(
            indexed(json!({"maxFailedIndexes": 4})),
            [
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
            ]
        );
        assert_eq!(
            indexed(json!({"podFailurePolicy": {}, "podReplacementPolicy": "TerminatingOrFailed"})),
            ["spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\""]
        );
        assert_eq!(
            indexed(json!({"successPolicy": {"rules": [{}, {"succeededIndexes": "0-1", "succeededCount": 3}]}})),
            [
                "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
                "spec.successPolicy.rules[1].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
            ]
        );
    }
}
