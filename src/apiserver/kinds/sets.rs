//! StatefulSets: what the version has behind a gate that is closed is not taken.
//! Upstream rule: `dropStatefulSetDisabledFields` in k8s.io/kubernetes `pkg/registry/apps/statefulset/strategy.go`, with the gate
//! `MaxUnavailableStatefulSet`.

use serde_json::Value;

const FIELD: &str = "maxUnavailable";

/// Drops how many pods may be unavailable while they are replaced, unless the set has it from before.
pub(super) fn on_write(old: Option<&Value>, set: &mut Value) {
    let rolling = |set: &Value| set["spec"]["updateStrategy"]["rollingUpdate"].clone();
    if old.is_none_or(|old| rolling(old)[FIELD].is_null())
        && let Some(fields) = set.pointer_mut("/spec/updateStrategy/rollingUpdate").and_then(Value::as_object_mut)
    {
        fields.remove(FIELD);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_behind_a_gate_is_dropped() {
        let set = |rolling: Value| json!({"spec": {"updateStrategy": {"rollingUpdate": rolling}}});
        let with = set(json!({"partition": 1, "maxUnavailable": 2}));
        let without = set(json!({"partition": 1}));
        for (old, wanted) in [(None, &without), (Some(&without), &without), (Some(&with), &with)] {
            let mut new = with.clone();
            on_write(old, &mut new);
            assert_eq!(new, *wanted);
        }
    }
}
