//! What was wrong before a definition said so: a value that a write leaves as it is may stay wrong.
//! Upstream rule: k8s.io/apiextensions-apiserver `pkg/apiserver/validation/ratcheting.go`.

use serde_json::Value;

use crate::error::FieldError;
use crate::schema::{ListType, Schema};

/// Leaves out the errors about values that are as they were.
pub(crate) fn ratchet(schema: &Schema, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    errors.retain(|error| !unchanged(Some(schema), new, Some(old), &error.field));
}

/// Whether the value at a path, or one around it, is as it was.
fn unchanged(schema: Option<&Schema>, new: &Value, old: Option<&Value>, path: &str) -> bool {
    let Some(old) = old else {
        return false;
    };
    if new == old {
        return true;
    }
    if let Some(rest) = path.strip_prefix('[')
        && let (Some((index, rest)), Some(items)) = (rest.split_once(']'), new.as_array())
    {
        let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) else {
            return false;
        };
        let old = match schema.map(|schema| &schema.list_type) {
            Some(ListType::Map(keys)) => old
                .as_array()
                .and_then(|olds| olds.iter().find(|old| keys.iter().all(|key| old.get(key) == item.get(key)))),
            // Items of other lists cannot be found again.
            _ => None,
        };
        return unchanged(schema.and_then(|schema| schema.items.as_deref()), item, old, rest);
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    // Keys of maps may have dots in them.
    let fields = new.as_object().into_iter().flatten();
    let found = fields.filter(|(name, _)| {
        path.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    let Some((name, value)) = found.max_by_key(|(name, _)| name.len()) else {
        return false;
    };
    let inner = schema.and_then(|schema| schema.properties.get(name).or(schema.additional.as_ref()));
    unchanged(inner.map(|inner| &**inner), value, old.get(name), &path[name.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::root_schema;
    use serde_json::json;

    #[test]
    fn values_that_stay_may_stay_wrong() {
        let item = json!({"type": "object", "properties": {"name": {"type": "string"}, "a": {"type": "string"}}});
        let schema = root_schema(&json!({"type": "object", "properties": {
            "one": {"type": "string"},
            "map": {"type": "object", "additionalProperties": item},
            "list": {"type": "array", "items": item},
            "keyed": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item},
        }}));
        let old =
            json!({"one": "x", "map": {"a.b": {"a": "x"}}, "list": [{"a": "x"}], "keyed": [{"name": "n", "a": "x"}]});
        let mut new = old.clone();
        new["list"] = json!([{"a": "x"}, {"a": "y"}]);
        new["keyed"] = json!([{"name": "m", "a": "x"}, {"name": "n", "a": "x"}]);
        new["map"]["c"] = json!({"a": "x"});
        new["two"] = json!("x");
        for (path, kept) in [
            ("one", true),
            ("two", false),
            ("map.a.b.a", true),
            ("map.c.a", false),
            ("list[0].a", false),
            ("keyed[0].a", false),
            ("keyed[1].a", true),
            ("nothing", false),
        ] {
            let mut errors = vec![FieldError::required(path, "")];
            ratchet(&schema, &new, &old, &mut errors);
            assert_eq!(errors.is_empty(), kept, "{path}");
        }
    }
}
