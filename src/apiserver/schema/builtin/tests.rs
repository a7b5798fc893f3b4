//! Every kind has a schema, and the merge facts sit where they belong.

use super::*;
use crate::schema::{Kind, ListType};

fn at(group: &str, version: &str, kind: &str, path: &str) -> Arc<Schema> {
    let mut schema = schema(group, version, kind).unwrap();
    for step in path.split('.').filter(|step| !step.is_empty()) {
        schema = match step {
            "[]" => schema.items.clone().unwrap(),
            "{}" => schema.additional.clone().unwrap(),
            field => schema.properties.get(field).cloned().unwrap_or_else(|| panic!("{kind}: {path}: {field}")),
        };
    }
    schema
}

#[test]
fn every_kind_has_apiversion_kind_and_metadata() {
    for entry in kinds::KINDS {
        let schema = schema(entry.group, entry.version, entry.kind).unwrap();
        assert_eq!(schema.kind, Kind::Object, "{}", entry.kind);
        let wanted: &[&str] =
            if entry.kind == "DeleteOptions" { &["apiVersion", "kind"] } else { &["apiVersion", "kind", "metadata"] };
        for field in wanted {
            assert!(schema.properties.contains_key(*field), "{} {field}", entry.kind);
        }
    }
    assert_eq!(schema("", "v1", "Nonesuch"), None);
}

#[test]
fn lists_merge_as_kubernetes_says() {
    let map = |keys: &[&str]| ListType::Map(keys.iter().map(|key| (*key).to_owned()).collect());
    let pod = |path: &str| at("", "v1", "Pod", path);
    for (path, list_type, merge_key, retain) in [
        ("spec.containers", map(&["name"]), Some("name"), false),
        ("spec.containers.[].ports", map(&["containerPort", "protocol"]), Some("containerPort"), false),
        ("spec.containers.[].env", map(&["name"]), Some("name"), false),
        ("spec.containers.[].args", ListType::Atomic, None, false),
        ("spec.containers.[].volumeMounts", map(&["mountPath"]), Some("mountPath"), false),
        ("spec.volumes", map(&["name"]), Some("name"), true),
        ("spec.tolerations", ListType::Atomic, None, false),
        ("spec.topologySpreadConstraints", map(&["topologyKey", "whenUnsatisfiable"]), Some("topologyKey"), false),
        ("spec.hostAliases", map(&["ip"]), Some("ip"), false),
        ("status.podIPs", map(&["ip"]), Some("ip"), false),
        ("status.hostIPs", ListType::Atomic, Some("ip"), false),
        ("metadata.ownerReferences", map(&["uid"]), Some("uid"), false),
        ("metadata.finalizers", ListType::Set, None, false),
    ] {
        let schema = pod(path);
        let found = (schema.list_type.clone(), schema.patch_merge_key.as_deref(), schema.patch_retain_keys);
        assert_eq!(found, (list_type, merge_key, retain), "{path}");
    }
    assert!(pod("metadata.finalizers").patch_merge && !pod("spec.tolerations").patch_merge);
    assert_eq!(pod("spec.containers.[].ports.[].protocol").default, Some(Value::from("TCP")));
    assert!(pod("spec.nodeSelector").atomic_map && !pod("metadata.labels").atomic_map);
    assert!(pod("metadata.ownerReferences.[]").atomic_map);
    assert!(at("apps", "v1", "Deployment", "spec.strategy").patch_retain_keys);
    assert!(at("apps", "v1", "Deployment", "spec.selector").atomic_map);
    assert!(!at("", "v1", "PersistentVolume", "spec.claimRef").atomic_map);
    assert!(at("", "v1", "PersistentVolumeClaim", "spec.dataSource").atomic_map);
}

#[test]
fn special_types_have_their_form() {
    let format = |schema: &Schema| schema.rules.get("format").cloned().unwrap_or_default();
    let quantity = at("", "v1", "Pod", "spec.containers.[].resources.limits.{}");
    assert_eq!((quantity.kind, format(&quantity)), (Kind::IntOrString, Value::from("quantity")));
    let port = at("", "v1", "Service", "spec.ports.[].targetPort");
    assert_eq!((port.kind, format(&port)), (Kind::IntOrString, Value::from("int-or-string")));
    let time = at("", "v1", "Pod", "metadata.creationTimestamp");
    assert_eq!((time.kind, format(&time)), (Kind::String, Value::from("time")));
    let data = at("", "v1", "Secret", "data.{}");
    assert_eq!((data.kind, format(&data)), (Kind::String, Value::from("byte")));
    let fields = at("", "v1", "Pod", "metadata.managedFields.[].fieldsV1");
    assert!(fields.kind == Kind::Object && fields.preserve_unknown);
    let props = at("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "spec.versions.[].schema.openAPIV3Schema");
    assert!(props.kind == Kind::Object && props.preserve_unknown);
    assert!(at("apps", "v1", "ControllerRevision", "data").preserve_unknown);
}

#[test]
fn definitions_are_shared_and_descriptions_not_kept() {
    let metadata = at("", "v1", "Pod", "metadata");
    assert!(Arc::ptr_eq(&metadata, &at("", "v1", "ConfigMap", "metadata")));
    assert!(Arc::ptr_eq(&at("", "v1", "Pod", "spec"), &at("apps", "v1", "Deployment", "spec.template.spec")));
    assert_eq!(metadata.definition.as_deref(), Some("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
    assert!(metadata.description.is_none() && metadata.properties["name"].description.is_none());
}
