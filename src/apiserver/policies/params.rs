//! The objects that a binding hands to its policy.
//! Upstream rule: `CollectParams` of k8s.io/apiserver `pkg/admission/plugin/policy/generic/policy_dispatcher.go`.

use std::sync::Arc;

use serde_json::Value;
use tinderbox_api::selector::LabelSelector;
use tinderbox_store::{Key, Stored};

use crate::call::Call;
use crate::convert;
use crate::registry::Snapshot;
use crate::resource::Resource;

/// The resource of a `paramKind`; none where the policy has no parameters.
pub(super) fn kind(kind: &Value, registry: &Snapshot) -> Result<Option<Arc<Resource>>, String> {
    if kind.is_null() {
        return Ok(None);
    }
    let text = |name: &str| kind[name].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
    match registry.of_kind(group, version, text("kind")) {
        Some(found) => Ok(Some(found)),
        None => {
            Err(format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={}'", text("kind")))
        }
    }
}

/// The parameters for a request in a namespace; null is "none", and nothing at all means that the policy is not asked.
pub(super) async fn collect(
    call: &Call,
    kind: Option<&Arc<Resource>>,
    reference: &Value,
    namespace: &str,
) -> Result<Vec<Value>, String> {
    let Some(kind) = kind.filter(|_| !reference.is_null()) else {
        return Ok(vec![Value::Null]);
    };
    let text = |name: &str| reference[name].as_str().unwrap_or_default();
    let wanted = text("namespace");
    let namespace = match (kind.namespaced, wanted) {
        (false, "") => "",
        (false, _) => return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned()),
        (true, "") if namespace.is_empty() => {
            return Err(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned()
            );
        }
        (true, "") => namespace,
        (true, wanted) => wanted,
    };
    let store = call.api.store();
    // Parameters are read in the version that the policy names.
    let mut reading = call.clone();
    reading.resource = Arc::clone(kind);
    let served = async |stored: &[Arc<Stored>]| convert::served(&reading, stored).await.map_err(|error| error.message);
    let found: Vec<Value> = if text("name").is_empty() {
        let selector = LabelSelector::from_object(&reference["selector"]).map_err(|error| error.to_string())?;
        let scope = kind.namespaced.then_some(namespace);
        let list = store.list(&kind.collection, scope, None, 0);
        let mut found = served(&list.items).await?;
        found.retain(|object| selector.matches_object(object));
        found
    } else {
        let key = Key { collection: kind.collection.clone(), namespace: namespace.into(), name: text("name").into() };
        served(store.get(&key).as_slice()).await?
    };
    if found.is_empty() && text("parameterNotFoundAction") == "Deny" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    Ok(found)
}
