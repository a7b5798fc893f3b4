//! Objects as Kubernetes 1.34 completes them: `testdata/defaults.json`, observed there. Left out is what others fill in: system
//! fields of metadata, a volume's time, a definition's status, the generation in a daemon set's annotations.

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::schema::{Unknown, builtin, check};

#[derive(Deserialize)]
struct Case {
    object: Value,
    becomes: Value,
}

fn kind_of(object: &Value) -> (String, String, String) {
    let api = object["apiVersion"].as_str().unwrap();
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    (group.to_owned(), version.to_owned(), object["kind"].as_str().unwrap().to_owned())
}

fn differences(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let (one, other) = (left.get(name).unwrap_or(&Value::Null), right.get(name).unwrap_or(&Value::Null));
                differences(&format!("{path}.{name}"), one, other, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (one, other)) in left.iter().zip(right).enumerate() {
                differences(&format!("{path}[{index}]"), one, other, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: ours {left}, Kubernetes' {right}")),
    }
}

#[test]
fn kinds_are_completed_as_kubernetes_does_and_only_once() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("testdata/defaults.json")).unwrap();
    let mut found = Vec::new();
    for case in cases {
        let (group, version, kind) = kind_of(&case.object);
        let mut object = case.object.clone();
        object["metadata"]["uid"] = case.becomes["metadata"]["uid"].clone();
        let schema = builtin::schema(&group, &version, &kind).unwrap();
        let checked = check(&schema, &mut object, Unknown::Strict);
        assert_eq!((checked.unknown, checked.undecodable), (vec![], None), "{kind}");
        apply(&group, &kind, &mut object);
        differences(&kind, &object, &case.becomes, &mut found);
        let once = object.clone();
        apply(&group, &kind, &mut object);
        assert_eq!(object, once, "{kind}");
        check(&schema, &mut object, Unknown::Strict);
        assert_eq!(object, once, "{kind}");
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_kind_takes_an_empty_object_and_nonsense() {
    for entry in builtin::kinds::KINDS {
        for mut object in [json!({}), json!({"spec": null, "status": 3}), json!({"spec": {"template": []}}), json!("x")]
        {
            apply(entry.group, entry.kind, &mut object);
        }
    }
}
