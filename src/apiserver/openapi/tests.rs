//! Documents say what kubectl looks for: kinds of paths, merge keys, field validation, definitions without loose ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::crd;
use crate::registry::Registry;

fn custom() -> Resource {
    let registry = Registry::default();
    let mut resource = (*registry.find("apps", "v1", "deployments").unwrap()).clone();
    resource.group = "ex.io".into();
    resource.kind = "Foo".into();
    resource.list_kind = "FooList".into();
    resource.plural = "foos".into();
    let schema = json!({"type": "object", "description": "A foo.", "properties": {"spec": {"type": "object",
        "required": ["color"], "properties": {
            "color": {"type": "string", "enum": ["red"], "description": "Its colour."},
            "port": {"x-kubernetes-int-or-string": true},
            "any": {"type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true},
            "items": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string", "default": "x"}}},
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}},
        "oneOf": [{"required": ["port"]}]}}});
    resource.schema = Some(Arc::new(crd::root_schema(&schema)));
    resource
}

fn snapshot() -> std::sync::Arc<Snapshot> {
    let registry = Registry::default();
    registry.set_custom("foos.ex.io", vec![custom()]);
    registry.snapshot()
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get("$ref") {
                found.insert(text.clone());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_in_every_document() {
    let snapshot = snapshot();
    let mut documents = vec![v2(&snapshot)];
    for (group, versions) in snapshot.groups() {
        documents.extend(versions.iter().map(|version| v3(&snapshot, &group, version).unwrap()));
    }
    for document in documents {
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let target = document.pointer(reference.trim_start_matches('#'));
            assert!(target.is_some(), "{reference}");
        }
    }
}

#[test]
fn a_patch_of_every_kind_that_takes_one_declares_field_validation() {
    let snapshot = snapshot();
    for resource in snapshot.all().filter(|resource| resource.verbs.contains(&"patch")) {
        let gvk = json!({"group": *resource.group, "version": *resource.version, "kind": *resource.kind});
        let document = v3(&snapshot, &resource.group, &resource.version).unwrap();
        for document in [&document, &v2_of(resource)] {
            let patches = document["paths"].as_object().unwrap().values().map(|item| &item["patch"]);
            let patch = patches.into_iter().find(|patch| patch["x-kubernetes-group-version-kind"] == gvk).unwrap();
            let parameters = patch["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|one| one["name"] == "fieldValidation" && one["in"] == "query"), "{gvk}");
        }
    }
}

fn v2_of(resource: &Resource) -> Value {
    let mut paths = Map::new();
    paths::add(resource, Dialect::V2, &mut paths);
    json!({ "paths": paths })
}

#[test]
fn merge_keys_stand_where_kubectl_apply_reads_them() {
    let document = v3(&snapshot(), "", "v1").unwrap();
    let schemas = &document["components"]["schemas"];
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["items"]["$ref"], "#/components/schemas/io.k8s.api.core.v1.Container");
    let volumes = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["volumes"];
    assert_eq!(volumes["x-kubernetes-patch-strategy"], "merge,retainKeys");
    let spec = &schemas["io.k8s.api.core.v1.Pod"]["properties"]["spec"];
    assert_eq!(spec["allOf"], json!([{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]));
    let kind = json!([{"group": "", "version": "v1", "kind": "Pod"}]);
    assert_eq!(schemas["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"], kind);
    let media = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]["requestBody"]["content"];
    assert!(media.get("application/strategic-merge-patch+json").is_some());
}

#[test]
fn custom_kinds_are_published_whole() {
    let document = v3(&snapshot(), "ex.io", "v1").unwrap();
    let schema = &document["components"]["schemas"]["io.ex.v1.Foo"];
    let expected = json!({
        "type": "object",
        "description": "A foo.",
        "properties": {
            "apiVersion": {"type": "string", "description": "APIVersion defines the versioned schema of this representation of an object."},
            "kind": {"type": "string", "description": "Kind is the REST resource that this object represents."},
            "metadata": {
                "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}],
                "description": "Standard object's metadata.",
            },
            "spec": {
                "type": "object",
                "required": ["color"],
                "properties": {
                    "color": {"type": "string", "enum": ["red"], "description": "Its colour."},
                    "port": {"x-kubernetes-int-or-string": true},
                    "any": {"type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true},
                    "items": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"k": {"type": "string", "default": "x"}}},
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                    },
                },
                "oneOf": [{"required": ["port"]}],
            },
        },
        "x-kubernetes-group-version-kind": [{"group": "ex.io", "version": "v1", "kind": "Foo"}],
    });
    assert_eq!(*schema, expected);
    let item = &document["paths"]["/apis/ex.io/v1/namespaces/{namespace}/foos/{name}"];
    assert!(item["patch"]["requestBody"]["content"].get("application/strategic-merge-patch+json").is_none());
    let second = v2(&snapshot());
    let spec = &second["definitions"]["io.ex.v1.Foo"]["properties"]["spec"];
    assert!(spec.get("oneOf").is_none());
    assert_eq!(spec["properties"]["any"], json!({"x-kubernetes-preserve-unknown-fields": true}));
}

#[test]
fn the_index_changes_with_the_resources() {
    let (plain, custom) = (v3_index(&Registry::default().snapshot()), v3_index(&snapshot()));
    assert_eq!(plain["paths"]["apis/apps/v1"], custom["paths"]["apis/apps/v1"]);
    assert_eq!(plain["paths"].get("apis/ex.io/v1"), None);
    let address = custom["paths"]["apis/ex.io/v1"]["serverRelativeURL"].as_str().unwrap();
    assert!(address.starts_with("/openapi/v3/apis/ex.io/v1?hash="), "{address}");
    assert_eq!(v3(&snapshot(), "nonesuch", "v1"), None);
}
