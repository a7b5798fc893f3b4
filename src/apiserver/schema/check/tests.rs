//! Bodies as Kubernetes 1.34 takes them: whole outcomes, observed there. `testdata/custom.json` holds custom resources by
//! their schema, `testdata/native.json` built-in kinds.

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::crd;
use crate::schema::builtin;

#[derive(Deserialize)]
struct Custom {
    name: String,
    schema: Value,
    spec: Value,
    becomes: Value,
    #[serde(default)]
    unknown: Vec<String>,
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Native {
    object: Value,
    #[serde(default)]
    becomes: Value,
    #[serde(default)]
    unknown: Vec<String>,
    undecodable: Option<String>,
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    let mut texts: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
    texts.sort();
    texts
}

#[test]
fn custom_resources() {
    let cases: Vec<Custom> = serde_json::from_str(include_str!("testdata/custom.json")).unwrap();
    for mut case in cases {
        let schema = crd::root_schema(&case.schema);
        let mut object = json!({"apiVersion": "ex.io/v1", "kind": "Foo", "metadata": {"name": "x"}, "spec": case.spec});
        let checked = check(&schema, &mut object, Unknown::Warn);
        assert_eq!(object["spec"], case.becomes, "{}", case.name);
        let unknown: Vec<String> = case.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
        assert_eq!(checked.unknown, unknown, "{}", case.name);
        case.errors.sort();
        assert_eq!(texts(&checked.errors), case.errors, "{}", case.name);
        assert_eq!(checked.undecodable, None, "{}", case.name);
    }
}

#[test]
fn built_in_kinds() {
    let cases: Vec<Native> = serde_json::from_str(include_str!("testdata/native.json")).unwrap();
    for case in cases {
        let (api, kind) = (case.object["apiVersion"].as_str().unwrap(), case.object["kind"].as_str().unwrap());
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let schema = builtin::schema(group, version, kind).unwrap();
        let mut object = case.object.clone();
        let checked = check(&schema, &mut object, Unknown::Strict);
        assert_eq!(checked.undecodable, case.undecodable, "{}", case.object);
        let unknown: Vec<String> = case.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
        assert_eq!(checked.unknown, unknown, "{}", case.object);
        assert_eq!(checked.errors, vec![], "{}", case.object);
        if case.undecodable.is_none() {
            assert_eq!(object, case.becomes, "{}", case.object);
        }
    }
}

#[test]
fn unknown_fields_of_metadata_are_named_and_its_types_are_checked() {
    let schema = crd::root_schema(&json!({"type": "object"}));
    let mut object = json!({"metadata": {"name": "x", "foo": 1, "labels": null}});
    let checked = check(&schema, &mut object, Unknown::Strict);
    assert_eq!(checked.unknown, vec!["unknown field \"metadata.foo\"".to_owned()]);
    assert_eq!(object, json!({"metadata": {"name": "x"}}));
    let checked = check(&schema, &mut json!({"metadata": {"name": 1}}), Unknown::Strict);
    let text = "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string";
    assert_eq!(checked.undecodable.as_deref(), Some(text));
}

#[test]
fn ignored_unknown_fields_are_dropped_and_not_told() {
    let schema = crd::root_schema(&json!({"type": "object"}));
    let mut object = json!({"foo": 1});
    assert_eq!(check(&schema, &mut object, Unknown::Ignore), Checked::default());
    assert_eq!(object, json!({}));
}

#[test]
fn a_definition_may_restrict_names() {
    let restricted = json!({"type": "object", "properties": {"metadata": {"type": "object", "properties":
        {"name": {"type": "string", "pattern": "^a"}}}}});
    let schema = crd::root_schema(&restricted);
    let checked = check(&schema, &mut json!({"metadata": {"name": "b"}}), Unknown::Strict);
    let text = "metadata.name: Invalid value: \"b\": metadata.name in body should match '^a'";
    assert_eq!(texts(&checked.errors), vec![text.to_owned()]);
}
