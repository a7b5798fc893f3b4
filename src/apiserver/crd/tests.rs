//! Definitions as Kubernetes 1.34 takes them (`testdata/definitions.json`, observed there), what is read from one, and names.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::error::FieldError;
use crate::schema::Kind;

#[derive(Deserialize)]
struct Case {
    name: String,
    crd: Value,
    errors: Vec<String>,
}

/// Lists of whole versions are shown as Go structs upstream: their text is not compared.
fn texts(errors: &[FieldError]) -> Vec<String> {
    let text = |error: &FieldError| {
        let text = format!("{}: {}", error.field, error.message);
        match (text.find("[{"), text.rfind("}]: ")) {
            (Some(start), Some(end)) => format!("{}[…]: {}", &text[..start], &text[end + 4..]),
            _ => text,
        }
    };
    let mut texts: Vec<String> = errors.iter().map(text).collect();
    texts.sort();
    texts
}

#[test]
fn definitions_are_checked_in_kubernetes_words() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("testdata/definitions.json")).unwrap();
    for mut case in cases {
        case.errors.sort();
        assert_eq!(texts(&validate(&case.crd)), case.errors, "{}", case.name);
    }
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.ex.io"},
        "spec": {
            "group": "ex.io", "scope": "Namespaced",
            "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList", "shortNames": ["f"],
                "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "deprecated": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
                    "properties": {"replicas": {"type": "integer", "minimum": 0, "x-kubernetes-validations": [{"rule": "self > 0"}]}}}}}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "R", "type": "integer", "jsonPath": ".spec.replicas"}],
                "selectableFields": [{"jsonPath": ".spec.replicas"}],
            }],
        },
    })
}

#[test]
fn a_definition_is_read_whole() {
    let kind = read(&definition());
    let version = kind.versions[0].clone();
    let replicas = &version.schema.properties["spec"].properties["replicas"];
    assert_eq!(replicas.kind, Kind::Integer);
    assert_eq!(replicas.rules["x-kubernetes-validations"], json!([{"rule": "self > 0"}]));
    assert!(version.schema.properties["metadata"].definition.is_some());
    let expected = CustomKind {
        group: "ex.io".into(),
        plural: "foos".into(),
        singular: "foo".into(),
        kind: "Foo".into(),
        list_kind: "FooList".into(),
        short_names: vec!["f".into()],
        categories: vec!["all".into()],
        namespaced: true,
        versions: vec![CustomVersion {
            name: "v1".into(),
            served: true,
            storage: true,
            deprecation: Some("ex.io/v1 Foo is deprecated".into()),
            schema: version.schema.clone(),
            status: true,
            scale: Some(Scale {
                spec_replicas: ".spec.replicas".into(),
                status_replicas: ".status.replicas".into(),
                selector: None,
            }),
            columns: vec![Column {
                name: "R".into(),
                kind: "integer".into(),
                format: String::new(),
                description: String::new(),
                priority: 0,
                json_path: ".spec.replicas".into(),
            }],
            selectable: vec![".spec.replicas".into()],
        }],
        conversion: Conversion { storage: "ex.io/v1".into(), webhook: None },
    };
    assert_eq!(kind, expected);
}

#[test]
fn names_are_accepted_once_and_kept() {
    let first: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let later: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    let mut crd = definition();
    accept_names(&mut crd, &[], first);
    let expected = json!({
        "acceptedNames": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList", "shortNames": ["f"], "categories": ["all"]},
        "conditions": [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ],
        "storedVersions": ["v1"],
    });
    assert_eq!(crd["status"], expected);
    accept_names(&mut crd, &[], later);
    assert_eq!(crd["status"], expected);
}

#[test]
fn a_name_in_use_is_not_accepted() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut first = definition();
    accept_names(&mut first, &[], now);
    let mut second = definition();
    second["spec"]["names"] =
        json!({"plural": "bars", "singular": "bar", "kind": "Foo", "listKind": "BarList", "shortNames": ["f"]});
    accept_names(&mut second, &[first], now);
    let expected = json!({
        "acceptedNames": {"plural": "bars", "singular": "bar", "listKind": "BarList"},
        "conditions": [
            {"type": "NamesAccepted", "status": "False", "reason": "KindConflict", "message": "\"Foo\" is already in use", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Established", "status": "False", "reason": "NotAccepted", "message": "not all names are accepted", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ],
        "storedVersions": ["v1"],
    });
    assert_eq!(second["status"], expected);
}

#[test]
fn an_established_definition_keeps_its_kind_scope_and_stored_versions() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut old = definition();
    accept_names(&mut old, &[], now);
    let mut new = old.clone();
    new["spec"]["names"]["kind"] = json!("Bar");
    new["spec"]["scope"] = json!("Cluster");
    new["spec"]["versions"][0]["name"] = json!("v2");
    let expected = [
        "spec.names.kind: Invalid value: \"Bar\": field is immutable",
        "spec.scope: Invalid value: \"Cluster\": field is immutable",
        "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions",
    ];
    assert_eq!(texts(&validate_update(&new, &old)), expected);
}
