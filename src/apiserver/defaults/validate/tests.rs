//! Objects as Kubernetes 1.34 refuses them: `testdata/create.json` and `testdata/update.json`, observed there. Objects and
//! lists of objects inside messages are not compared (upstream prints Go structs), nor what it prints behind a line break.

use serde::Deserialize;
use serde_json::Value;

use crate::defaults::{apply, validate};
use crate::error::FieldError;
use crate::schema::{Unknown, builtin, check};

#[derive(Deserialize)]
struct Case {
    name: String,
    object: Value,
    #[serde(default)]
    old: Option<Value>,
    errors: Vec<String>,
}

/// The text of an error with objects cut out.
fn plain(text: &str) -> String {
    let text = text.split('\n').next().unwrap_or_default();
    let cut = |open: &str, close: char| {
        let start = text.find(&format!("value: {open}"))? + "value: ".len();
        let end = text.rfind(&format!("{close}: ")).map_or(text.len(), |end| end + 1);
        (end > start).then(|| format!("{}…{}", &text[..start], &text[end..]))
    };
    cut("{", '}').or_else(|| cut("[{", ']')).unwrap_or_else(|| text.to_owned())
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    let mut texts: Vec<String> =
        errors.iter().map(|error| plain(&format!("{}: {}", error.field, error.message))).collect();
    texts.sort();
    texts
}

fn prepared(object: &Value) -> (String, String, Value) {
    let api = object["apiVersion"].as_str().unwrap();
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    let kind = object["kind"].as_str().unwrap();
    let mut object = object.clone();
    object["metadata"]["uid"] = Value::from("00000000-0000-0000-0000-000000000000");
    let schema = builtin::schema(group, version, kind).unwrap();
    let checked = check(&schema, &mut object, Unknown::Strict);
    assert_eq!((checked.unknown, checked.undecodable), (vec![], None), "{object}");
    apply(group, kind, &mut object);
    (group.to_owned(), kind.to_owned(), object)
}

fn compare(cases: &str) {
    let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let (group, kind, object) = prepared(&case.object);
        let old = case.old.as_ref().map(|old| prepared(old).2);
        let found = texts(&validate(&group, &kind, &object, old.as_ref()));
        let mut expected: Vec<String> = case.errors.iter().map(|text| plain(text)).collect();
        expected.sort();
        for text in found.iter().filter(|text| !expected.contains(text)) {
            wrong.push(format!("{}: only here: {text}", case.name));
        }
        for text in expected.iter().filter(|text| !found.contains(text)) {
            wrong.push(format!("{}: only Kubernetes: {text}", case.name));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn new_objects_are_refused_as_kubernetes_refuses_them() {
    compare(include_str!("testdata/create.json"));
}

#[test]
fn changes_are_refused_as_kubernetes_refuses_them() {
    compare(include_str!("testdata/update.json"));
}

#[test]
fn what_is_completed_from_nothing_never_panics() {
    for entry in builtin::kinds::KINDS {
        for mut object in [serde_json::json!({}), serde_json::json!({"spec": [], "data": 3, "rules": "x"})] {
            let _ = validate(entry.group, entry.kind, &object, None);
            apply(entry.group, entry.kind, &mut object);
            let _ = validate(entry.group, entry.kind, &object, Some(&object));
        }
    }
}
