//! Strategic merge patches over the built-in kinds.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::schema::Kind;

fn list(key: Option<&str>, items: Schema) -> Schema {
    Schema {
        kind: Kind::Array,
        patch_merge: true,
        patch_merge_key: key.map(str::to_owned),
        items: Some(Arc::new(items)),
        ..Schema::default()
    }
}

fn object(fields: Vec<(&str, Schema)>) -> Schema {
    let named = fields.into_iter();
    Schema {
        kind: Kind::Object,
        properties: named.map(|(name, field)| (name.to_owned(), Arc::new(field))).collect(),
        ..Schema::default()
    }
}

fn pod() -> Schema {
    let named = || object(vec![]);
    let container = object(vec![
        ("env", list(Some("name"), named())),
        ("ports", list(Some("containerPort"), named())),
        ("args", Schema { kind: Kind::Array, ..Schema::default() }),
    ]);
    object(vec![
        ("metadata", object(vec![("finalizers", list(None, Schema::default()))])),
        ("spec", object(vec![("containers", list(Some("name"), container)), ("volumes", list(Some("name"), named()))])),
    ])
}

fn patched(current: Value, patch: Value) -> Value {
    strategic(&current, &patch, &pod()).unwrap()
}

fn refused(current: Value, patch: Value) -> String {
    let error = strategic(&current, &patch, &pod()).unwrap_err();
    assert_eq!(error.code, 400);
    error.message
}

#[test]
fn merges_lists_by_key_and_replaces_the_others() {
    let current = json!({"spec": {"containers": [
        {"name": "a", "image": "a:1", "args": ["x"], "env": [{"name": "K", "value": "1"}]},
        {"name": "b", "image": "b:1"},
    ]}});
    let patch = json!({"spec": {"containers": [
        {"name": "a", "args": ["y", "z"], "env": [{"name": "L", "value": "2"}, {"name": "K", "value": null}]},
        {"name": "c", "image": "c:1"},
    ]}});
    assert_eq!(
        patched(current, patch),
        json!({"spec": {"containers": [
            {"name": "a", "image": "a:1", "args": ["y", "z"], "env": [{"name": "L", "value": "2"}, {"name": "K"}]},
            // What is new comes before what only the server has.
            {"name": "c", "image": "c:1"},
            {"name": "b", "image": "b:1"},
        ]}})
    );
}

#[test]
fn deletes_and_replaces_by_directive() {
    let current = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeSelector": {"x": "y"}}});
    let deleted = patched(current.clone(), json!({"spec": {"containers": [{"$patch": "delete", "name": "a"}]}}));
    assert_eq!(deleted["spec"]["containers"], json!([{"name": "b"}]));
    let replaced = patched(current.clone(), json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}));
    assert_eq!(replaced["spec"]["containers"], json!([{"name": "c"}]));
    let map = patched(current.clone(), json!({"spec": {"nodeSelector": {"$patch": "replace", "k": "v"}}}));
    assert_eq!(map["spec"]["nodeSelector"], json!({"k": "v"}));
    let gone = patched(current.clone(), json!({"spec": {"$patch": "delete"}}));
    assert_eq!(gone, json!({"spec": {}}));
    let null = patched(current, json!({"spec": {"containers": null, "absent": null}}));
    assert_eq!(null, json!({"spec": {"nodeSelector": {"x": "y"}}}));
}

#[test]
fn drops_directives_of_what_is_new() {
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "old": null},
        "volumes": [{"name": "v", "$patch": "delete"}]}});
    assert_eq!(patched(json!({}), patch), json!({"spec": {"strategy": {"type": "Recreate"}, "volumes": []}}));
}

#[test]
fn retains_keys() {
    let current = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}});
    let patch =
        json!({"spec": {"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]}});
    assert_eq!(
        patched(current.clone(), patch),
        json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}})
    );
    let wrong = json!({"spec": {"volumes": [{"$retainKeys": ["name"], "name": "v", "configMap": {}}]}});
    assert_eq!(refused(current, wrong), "invalid patch format of retainKeys");
}

#[test]
fn edits_primitive_lists() {
    let current = json!({"metadata": {"finalizers": ["a", "b"]}});
    let added = patched(current.clone(), json!({"metadata": {"finalizers": ["c", "b"]}}));
    assert_eq!(added["metadata"]["finalizers"], json!(["c", "a", "b"]));
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"],
        "$setElementOrder/finalizers": ["d", "b"], "finalizers": ["d"]}});
    assert_eq!(patched(current, patch)["metadata"]["finalizers"], json!(["d", "b"]));
}

#[test]
fn orders_items_as_told() {
    let current = json!({"spec": {"containers": [{"name": "a"}, {"name": "server"}, {"name": "b"}]}});
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
        "containers": [{"name": "new", "image": "n"}],
    }});
    assert_eq!(
        patched(current.clone(), patch)["spec"]["containers"],
        json!([{"name": "server"}, {"name": "b"}, {"name": "new", "image": "n"}, {"name": "a"}])
    );
    let only_order = json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(
        patched(current.clone(), only_order)["spec"]["containers"],
        json!([{"name": "server"}, {"name": "b"}, {"name": "a"}])
    );
    let wrong = json!({"spec": {
        "$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "new"}],
    }});
    assert_eq!(refused(current, wrong), "The order in patch list doesn't match $setElementOrder list");
}

#[test]
fn says_what_is_wrong() {
    let current = json!({"spec": {"containers": [{"name": "a"}]}});
    let no_key = refused(current.clone(), json!({"spec": {"containers": [{"image": "x"}]}}));
    assert_eq!(no_key, r#"map: {"image":"x"} does not contain declared merge key: name"#);
    let unknown = refused(current, json!({"spec": {"$patch": "jump"}}));
    assert_eq!(unknown, "unknown patch type: \"jump\"");
}
