//! Rendered objects as the cluster is to have them: in their namespaces, with the mark of their application, hooks apart. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tinderbox_api::gitops::marks;

use crate::compare::tracking_id;
use crate::manifest::Object;
use crate::sync::{Key, is_hook};

/// What an application is to have.
#[derive(Debug, Default)]
pub(super) struct Desired {
    /// Its objects.
    pub(super) targets: Vec<Value>,
    /// Its hooks.
    pub(super) hooks: Vec<Value>,
    /// Where each object comes from.
    pub(super) places: BTreeMap<Key, String>,
    /// Objects that are there more than once.
    pub(super) repeated: Vec<String>,
}

/// Whether the objects of a kind live in namespaces, as far as it is known.
pub(super) type Scopes = BTreeMap<(String, String), bool>;

/// The kinds that objects define among themselves, and where their objects live.
pub(super) fn defined(objects: &[Object]) -> Scopes {
    let definitions =
        objects.iter().map(|object| &object.value).filter(|value| value["kind"] == "CustomResourceDefinition");
    definitions
        .map(|value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let spec = &value["spec"];
            ((text(&spec["group"]), text(&spec["names"]["kind"])), spec["scope"] != "Cluster")
        })
        .collect()
}

/// Puts objects where they belong and marks them.
pub(super) fn desired(app: &str, namespace: &str, objects: Vec<Object>, scopes: &Scopes) -> Desired {
    let mut found = Desired::default();
    let mut all: BTreeMap<Key, Value> = BTreeMap::new();
    for object in objects {
        let place = object.place_of("");
        let mut value = object.value;
        let key = Key::of(&value);
        let namespaced = scopes.get(&(key.group, key.kind)).copied().unwrap_or(true);
        if let Some(metadata) = value["metadata"].as_object_mut() {
            if !namespaced {
                metadata.remove("namespace");
            } else if metadata.get("namespace").and_then(Value::as_str).is_none_or(str::is_empty)
                && !namespace.is_empty()
            {
                metadata.insert("namespace".to_owned(), json!(namespace));
            }
        }
        let key = Key::of(&value);
        if is_hook(&value) {
            // The names of hooks may be made up later; the mark is then as well.
            found.hooks.push(value);
            continue;
        }
        mark(app, &mut value);
        if let Some(before) = found.places.insert(key.clone(), place.clone()) {
            found.repeated.push(format!("{key} is there more than once: {before} and {place}"));
        }
        all.insert(key, value);
    }
    found.targets = all.into_values().collect();
    found
}

/// Marks an object as one of an application.
pub(super) fn mark(app: &str, value: &mut Value) {
    let id = tracking_id(app, &Key::of(value));
    let annotations = &mut value["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = json!({});
    }
    annotations[marks::TRACKING_ID] = json!(id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn objects_get_namespaces_and_marks() {
        let text = "\
apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n---\n\
apiVersion: v1\nkind: Namespace\nmetadata: {name: jobs, namespace: wrong}\n---\n\
apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: jobs}\n---\n\
apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, annotations: {argocd.argoproj.io/hook: PreSync}}\n---\n\
apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {group: g.h, names: {kind: K}, scope: Cluster}\n---\n\
apiVersion: g.h/v1\nkind: K\nmetadata: {name: k}\n";
        let objects = crate::manifest::parse(Path::new("a.yaml"), text).expect("objects");
        let mut scopes = defined(&objects);
        scopes.insert((String::new(), "Namespace".to_owned()), false);
        let found = desired("app", "jobs", objects, &scopes);
        let ids: Vec<&str> = found
            .targets
            .iter()
            .filter_map(|one| one["metadata"]["annotations"][marks::TRACKING_ID].as_str())
            .collect();
        assert_eq!(
            ids,
            [
                "app:/ConfigMap:jobs/m",
                "app:/Namespace:/jobs",
                "app:apiextensions.k8s.io/CustomResourceDefinition:jobs/a",
                "app:g.h/K:/k",
            ]
        );
        assert_eq!(found.hooks.len(), 1);
        assert_eq!(found.repeated, ["/ConfigMap/m is there more than once: a.yaml:1:1 and a.yaml:9:1"]);
        assert_eq!(found.places.len(), 4);
    }
}
