//! Claims that name no storage class get the default one.
//! Upstream rule: k8s.io/kubernetes `plugin/pkg/admission/storage/storageclass/setdefault/admission.go`.

use serde_json::Value;

use crate::call::Call;
use crate::codec;

const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) fn admit(call: &Call, claim: &mut Value) {
    let annotated = claim["metadata"]["annotations"].get("volume.beta.kubernetes.io/storage-class").is_some();
    if claim["spec"].get("storageClassName").is_some_and(|name| !name.is_null()) || annotated {
        return;
    }
    let Some(classes) = call.api.registry().find("storage.k8s.io", "v1", "storageclasses") else {
        return;
    };
    let list = call.api.store().list(&classes.collection, None, None, 0);
    let defaults = list
        .items
        .iter()
        .map(|class| codec::decode(class))
        .filter(|class| class["metadata"]["annotations"][DEFAULT] == "true");
    // The newest one, as upstream.
    let newest = defaults.max_by_key(|class| class["metadata"]["creationTimestamp"].as_str().map(str::to_owned));
    if let Some(class) = newest {
        claim["spec"]["storageClassName"] = class["metadata"]["name"].clone();
    }
}
