//! What a kustomization changes in the objects it gathers: namespaces, and references to config maps whose names got a hash.
//! Upstream rule: kustomize `api/internal/konfig/builtinpluginconsts`. It must not read files.

use serde_json::Value;

use crate::manifest::Object;

/// Puts every namespaced object into `namespace`, and the service accounts that role bindings speak of, where they are ours.
pub(super) fn set_namespace(objects: &mut [Object], namespace: &str) {
    let accounts: Vec<String> = objects
        .iter()
        .filter(|object| object.value["kind"] == "ServiceAccount")
        .filter_map(|object| object.value["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    for object in objects {
        let value = &mut object.value;
        if value["kind"] == "Namespace" {
            value["metadata"]["name"] = Value::from(namespace);
            continue;
        }
        if !super::is_cluster_wide(value) {
            value["metadata"]["namespace"] = Value::from(namespace);
        }
        if matches!(value["kind"].as_str(), Some("RoleBinding" | "ClusterRoleBinding")) {
            for subject in value["subjects"].as_array_mut().into_iter().flatten() {
                let ours = subject["name"]
                    .as_str()
                    .is_some_and(|name| name == "default" || accounts.iter().any(|one| one == name));
                if subject["kind"] == "ServiceAccount" && ours {
                    subject["namespace"] = Value::from(namespace);
                }
            }
        }
    }
}

/// Renames a config map where a pod's volumes and environments refer to it.
pub(super) fn rename_config_map(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename_config_map(item, from, to)),
        Value::Object(fields) => {
            for (field, inner) in fields {
                // Volumes and projections, `envFrom`, `env`.
                if matches!(field.as_str(), "configMap" | "configMapRef" | "configMapKeyRef") && inner["name"] == from {
                    inner["name"] = Value::from(to);
                } else {
                    rename_config_map(inner, from, to);
                }
            }
        }
        _ => {}
    }
}
