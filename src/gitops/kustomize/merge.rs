//! Strategic merge: a patch that looks like the object. Lists of built-in kinds are merged by the key that tells their items
//! apart; other lists, and all lists of custom resources, are replaced.
//! Upstream rule: kustomize `kyaml/yaml/merge2`, with items of the patch first.

use serde_json::{Map, Value};

/// Lists of built-in kinds and the keys of their items. The first that all items have is taken.
const KEYS: [(&str, &[&str]); 19] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("ports", &["containerPort", "port"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("conditions", &["type"]),
    ("ownerReferences", &["uid"]),
    ("secrets", &["name"]),
    ("webhooks", &["name"]),
    ("resourceClaims", &["name"]),
    ("addresses", &["type"]),
    ("taints", &["key"]),
    ("schedulingGates", &["name"]),
];

/// What a patch says of what is there.
const DIRECTIVE: &str = "$patch";

/// Merges a patch into a value; nothing is left where the patch deletes it.
pub(super) fn merge(value: Option<Value>, patch: &Value, typed: bool) -> Option<Value> {
    let Value::Object(changes) = patch else { return Some(patch.clone()) };
    match changes.get(DIRECTIVE).and_then(Value::as_str) {
        Some("delete") => return None,
        Some("replace") => return Some(bare(patch)),
        _ => (),
    }
    let mut fields = match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    for (key, change) in changes.iter().filter(|(key, _)| *key != DIRECTIVE) {
        if change.is_null() {
            fields.remove(key);
            continue;
        }
        let have = fields.remove(key);
        let merged = match change {
            Value::Array(items) => list(key, have, items, typed),
            _ => merge(have, change, typed),
        };
        if let Some(merged) = merged {
            fields.insert(key.clone(), merged);
        }
    }
    Some(Value::Object(fields))
}

/// The patch without directives, as what it replaces.
fn bare(patch: &Value) -> Value {
    let mut value = patch.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove(DIRECTIVE);
    }
    value
}

fn list(name: &str, have: Option<Value>, patch: &[Value], typed: bool) -> Option<Value> {
    let replaces = |item: &Value| item[DIRECTIVE] == "replace";
    if patch.iter().any(replaces) {
        let kept = patch.iter().filter(|item| !(replaces(item) && item.as_object().is_some_and(|of| of.len() == 1)));
        return Some(kept.map(bare).collect());
    }
    let have = match have {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    if typed && name == "finalizers" {
        let added = have.into_iter().filter(|item| !patch.contains(item));
        return Some(patch.iter().cloned().chain(added).collect());
    }
    let Some(keys) = key_of(name, &have, patch).filter(|_| typed) else {
        return Some(Value::Array(patch.to_vec()));
    };
    let same = |one: &Value, two: &Value| keys.iter().all(|key| one.get(key) == two.get(key));
    // Items that two keys tell apart stay where they are.
    if keys.len() > 1 {
        let added = patch.iter().filter(|item| !have.iter().any(|one| same(one, item)));
        let mut merged: Vec<Value> = added.filter_map(|item| merge(None, item, typed)).collect();
        for one in have {
            match patch.iter().find(|item| same(&one, item)) {
                Some(item) => merged.extend(merge(Some(one), item, typed)),
                None => merged.push(one),
            }
        }
        return Some(Value::Array(merged));
    }
    let mut merged: Vec<Value> = Vec::new();
    for item in patch {
        let before = have.iter().find(|one| same(one, item)).cloned();
        merged.extend(merge(before, item, typed));
    }
    let untouched = have.into_iter().filter(|one| !patch.iter().any(|item| same(one, item)));
    merged.extend(untouched);
    Some(Value::Array(merged))
}

/// The keys by which the items of a list are told apart.
fn key_of(name: &str, have: &[Value], patch: &[Value]) -> Option<Vec<&'static str>> {
    let (_, keys) = KEYS.iter().find(|(list, _)| *list == name)?;
    let everywhere = |key: &&&str| have.iter().chain(patch).all(|item| item.get(**key).is_some());
    let key = keys.iter().find(everywhere)?;
    let mut found = vec![*key];
    let second = if name == "ports" { Some("protocol") } else { None };
    found.extend(second.filter(|key| have.iter().chain(patch).any(|item| item.get(*key).is_some())));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_merged_where_kubernetes_says_so() {
        let have = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}], "args": ["x"]});
        let patch =
            json!({"containers": [{"name": "b", "image": "2"}, {"name": "a", "$patch": "delete"}], "args": ["y"]});
        let merged = merge(Some(have.clone()), &patch, true);
        assert_eq!(merged, Some(json!({"containers": [{"name": "b", "image": "2"}], "args": ["y"]})));
        let merged = merge(Some(have), &json!({"containers": [{"name": "c"}], "args": null}), false);
        assert_eq!(merged, Some(json!({"containers": [{"name": "c"}]})));
    }
}
