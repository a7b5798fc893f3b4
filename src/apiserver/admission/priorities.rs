//! Priorities of pods: the number behind the name of a class.
//! Upstream rule: k8s.io/kubernetes `plugin/pkg/admission/priority/admission.go`.

use serde_json::Value;

use crate::call::Call;
use crate::codec;
use crate::error::ApiError;
use crate::object::text;

pub(super) fn admit(call: &Call, pod: &mut Value) -> Result<(), ApiError> {
    let Some(classes) = call.api.registry().find("scheduling.k8s.io", "v1", "priorityclasses") else {
        return Ok(());
    };
    let collection = &classes.collection;
    let wanted = text(pod, &["spec", "priorityClassName"]).to_owned();
    let classes = call.api.store().list(collection, None, None, 0);
    let mut all = classes.items.iter().map(|class| codec::decode(class));
    let class = if wanted.is_empty() {
        all.filter(|class| class["globalDefault"] == true).min_by_key(|class| class["value"].as_i64())
    } else {
        let found = all.find(|class| class["metadata"]["name"] == wanted.as_str());
        if found.is_none() {
            let name = text(pod, &["metadata", "name"]);
            let refusal = format!("no PriorityClass with name {wanted} was found");
            return Err(ApiError::forbidden(("", "pods"), name, &refusal));
        }
        found
    };
    let spec = &mut pod["spec"];
    let (value, preemption) = match &class {
        Some(class) => {
            spec["priorityClassName"] = class["metadata"]["name"].clone();
            (class["value"].clone(), class["preemptionPolicy"].clone())
        }
        None => (0.into(), Value::Null),
    };
    spec["priority"] = value;
    if spec["preemptionPolicy"].is_null() {
        spec["preemptionPolicy"] = if preemption.is_null() { "PreemptLowerPriority".into() } else { preemption };
    }
    Ok(())
}
