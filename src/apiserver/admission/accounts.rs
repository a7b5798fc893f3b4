//! Service accounts of pods: every pod has one that exists, and its token where programs look for it.
//! Upstream rule: k8s.io/kubernetes `plugin/pkg/admission/serviceaccount/admission.go`.

use std::time::Duration;

use serde_json::{Value, json};
use tinderbox_store::Change;
use tokio::time::timeout;

use crate::call::Call;
use crate::codec;
use crate::error::ApiError;
use crate::object::text;

/// The account of pods that name none.
const DEFAULT: &str = "default";
/// Where programs look for their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long a pod waits for the default account of a new namespace.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long a token is good; the kubelet asks for a new one in time.
const TOKEN_SECONDS: i64 = 3607;

pub(super) async fn admit(call: &Call, pod: &mut Value) -> Result<(), ApiError> {
    if pod["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some() {
        return Ok(());
    }
    let spec = &mut pod["spec"];
    if text(spec, &["serviceAccountName"]).is_empty() {
        let old_name = text(spec, &["serviceAccount"]);
        let name = if old_name.is_empty() { DEFAULT } else { old_name };
        spec["serviceAccountName"] = name.to_owned().into();
    }
    let name = text(spec, &["serviceAccountName"]).to_owned();
    spec["serviceAccount"] = name.as_str().into();
    let account = account(call, &name).await.ok_or_else(|| {
        let namespace = &call.path.namespace;
        let pod = pod["metadata"]["name"].as_str().unwrap_or_default();
        let text = format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
        ApiError::forbidden(("", "pods"), pod, &text)
    })?;
    let spec = &mut pod["spec"];
    let wanted = spec["automountServiceAccountToken"]
        .as_bool()
        .or(account["automountServiceAccountToken"].as_bool())
        .unwrap_or(true);
    if wanted {
        mount_token(spec);
    }
    let secrets = &account["imagePullSecrets"];
    if spec["imagePullSecrets"].as_array().is_none_or(Vec::is_empty) && secrets.is_array() {
        spec["imagePullSecrets"] = secrets.clone();
    }
    Ok(())
}

/// The account; the default one of a new namespace is waited for, because a controller makes it.
async fn account(call: &Call, name: &str) -> Option<Value> {
    let accounts = call.api.registry().find("", "v1", "serviceaccounts")?;
    let accounts = call.api.internal(accounts, &call.path.namespace, name);
    let store = call.api.store();
    let read = || store.get(&accounts.key()).map(|stored| codec::decode(&stored));
    let revision = store.revision();
    if let Some(account) = read() {
        return Some(account);
    }
    if name != DEFAULT {
        return None;
    }
    let scope = Some(call.path.namespace.as_str());
    let mut watch = store.watch(&accounts.resource.collection, scope, revision).ok()?;
    let appears = async {
        while let Ok(event) = watch.next().await {
            if matches!(&event.change, Change::Created(stored) if *stored.key.name == *name) {
                break;
            }
        }
    };
    // Whether in time or not is seen by reading once more.
    let _ = timeout(PATIENCE, appears).await;
    read()
}

/// Mounts the token, the certificate of the API and the namespace into every container that has nothing there.
fn mount_token(spec: &mut Value) {
    let taken = |name: &str| {
        let volumes = spec["volumes"].as_array();
        volumes.into_iter().flatten().any(|volume| volume["name"] == name)
    };
    let bare: Vec<(&str, usize)> = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| {
            let containers = spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
            let bare = |container: &Value| {
                let mounts = container["volumeMounts"].as_array();
                !mounts.into_iter().flatten().any(|mount| mount["mountPath"] == MOUNT_PATH)
            };
            let indices: Vec<_> =
                containers.iter().enumerate().filter(|(_, one)| bare(one)).map(|(index, _)| (list, index)).collect();
            indices
        })
        .collect();
    if bare.is_empty() {
        return;
    }
    let mut name = crate::write::random_name("kube-api-access-");
    while taken(&name) {
        name = crate::write::random_name("kube-api-access-");
    }
    for (list, index) in bare {
        let mount = json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH});
        push(&mut spec[list][index], "volumeMounts", mount);
    }
    let volume = json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}});
    push(spec, "volumes", volume);
}

fn push(object: &mut Value, field: &str, item: Value) {
    match &mut object[field] {
        Value::Array(list) => list.push(item),
        other => *other = json!([item]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_containers_without_a_token_get_one() {
        let mut spec = json!({"containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"mountPath": MOUNT_PATH}]}],
            "initContainers": [{"name": "c"}]});
        mount_token(&mut spec);
        let name = &spec["volumes"][0]["name"];
        assert!(name.as_str().unwrap().starts_with("kube-api-access-"));
        assert_eq!(&spec["containers"][0]["volumeMounts"][0]["name"], name);
        assert_eq!(&spec["initContainers"][0]["volumeMounts"][0]["name"], name);
        assert_eq!(spec["containers"][1]["volumeMounts"].as_array().unwrap().len(), 1);
    }
}
