//! Merge patches (RFC 7386) from two versions of a value. Pure; sending them is the applier's.

use serde_json::{Map, Value};

/// The merge patch that turns `from` into `to`, or nothing when they are equal.
#[must_use]
pub fn diff(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return Some(to.clone());
    };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, wanted) in to {
        match from.get(key) {
            Some(have) => {
                if let Some(change) = diff(have, wanted) {
                    patch.insert(key.clone(), change);
                }
            }
            None => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn says_only_what_differs() {
        for (from, to, patch) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), Some(json!({"b": null}))),
            (
                json!({"a": {"b": 1, "c": 2}, "d": [1]}),
                json!({"a": {"b": 1, "c": 3}, "d": [1, 2]}),
                Some(json!({"a": {"c": 3}, "d": [1, 2]})),
            ),
            (json!(null), json!({"a": 1}), Some(json!({"a": 1}))),
        ] {
            assert_eq!(diff(&from, &to), patch);
        }
    }
}
