//! What an object is before it is created, as Kubernetes sees it: its Go types are never quite empty, and so the fields
//! that are always there belong to nobody. Custom resources start from nothing. Also the schema of metadata.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::schema::{Kind, ListType, Schema};

/// Objects that the Go types of the built-in kinds always have.
const ALWAYS: [&str; 12] = [
    "/metadata",
    "/spec",
    "/status",
    "/spec/strategy",
    "/spec/updateStrategy",
    "/spec/template",
    "/spec/resources",
    "/spec/jobTemplate",
    "/spec/jobTemplate/spec",
    "/spec/jobTemplate/spec/template",
    "/status/loadBalancer",
    "/status/nodeInfo",
];
/// Where pods are described; their containers are null and not absent.
const PODS: [&str; 3] = ["", "/spec/template", "/spec/jobTemplate/spec/template"];

/// The object before a change, with those always-there fields that the changed object has; `old` is empty before a
/// creation.
pub(super) fn before(old: &Value, new: &Value) -> Value {
    let mut object = old.clone();
    for field in ["apiVersion", "kind"] {
        object[field] = new[field].clone();
    }
    if !built_in(new["apiVersion"].as_str().unwrap_or_default()) {
        return object;
    }
    let mut fill = |path: &str, value: Value| {
        if new.pointer(path).is_some() && object.pointer(path).is_none() {
            put(&mut object, path, value);
        }
    };
    for path in ALWAYS {
        fill(path, json!({}));
    }
    for above in PODS {
        let containers = format!("{above}/spec/containers");
        if new.pointer(&containers).is_some() {
            fill(&format!("{above}/metadata"), json!({}));
            fill(&format!("{above}/spec"), json!({}));
            fill(&containers, Value::Null);
        }
    }
    object
}

/// Sets a field whose parent is there.
fn put(object: &mut Value, path: &str, value: Value) {
    if let Some((above, name)) = path.rsplit_once('/')
        && let Some(Value::Object(parent)) = object.pointer_mut(above)
    {
        parent.insert(name.to_owned(), value);
    }
}

fn built_in(api_version: &str) -> bool {
    let Some((group, _)) = api_version.split_once('/') else {
        return true;
    };
    let known = [
        "admissionregistration",
        "apiextensions",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
    ];
    match group.strip_suffix(".k8s.io") {
        Some(part) => known.contains(&part),
        None => ["apps", "autoscaling", "batch", "policy"].contains(&group),
    }
}

/// The kind's schema with the one of metadata, which is the same for all kinds.
pub(super) fn rooted(schema: &Schema) -> Schema {
    static METADATA: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(metadata()));
    let mut root = schema.clone();
    root.kind = Kind::Object;
    root.properties.insert("metadata".to_owned(), METADATA.clone());
    root
}

fn metadata() -> Schema {
    let of = |kind: Kind| Schema { kind, ..Schema::default() };
    let list =
        |list_type: ListType, items: Schema| Schema { list_type, items: Some(Arc::new(items)), ..of(Kind::Array) };
    let texts = || Schema { additional: Some(Arc::new(of(Kind::String))), ..of(Kind::Object) };
    let object = |fields: Vec<(&str, Schema)>| {
        let named = fields.into_iter();
        let properties: BTreeMap<String, Arc<Schema>> =
            named.map(|(name, field)| (name.to_owned(), Arc::new(field))).collect();
        Schema { properties, ..of(Kind::Object) }
    };
    let owner = Schema { atomic_map: true, ..object(vec![("uid", of(Kind::String))]) };
    object(vec![
        ("annotations", texts()),
        ("labels", texts()),
        ("finalizers", list(ListType::Set, of(Kind::String))),
        ("ownerReferences", list(ListType::Map(vec!["uid".to_owned()]), owner)),
    ])
}
