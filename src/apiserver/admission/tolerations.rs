//! Tolerations that every pod has: for a while, of a node that is not ready or not reached.
//! Upstream rule: k8s.io/kubernetes `plugin/pkg/admission/defaulttolerationseconds/admission.go`.

use serde_json::{Value, json};

pub(super) fn admit(pod: &mut Value, seconds: u32) {
    let spec = &mut pod["spec"];
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = spec["tolerations"].as_array().into_iter().flatten().any(|one| {
            let all = |field: &str| one[field].as_str().is_none_or(str::is_empty);
            (one["key"] == key || all("key")) && (one["effect"] == "NoExecute" || all("effect"))
        });
        if tolerated {
            continue;
        }
        let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
        match &mut spec["tolerations"] {
            Value::Array(list) => list.push(toleration),
            other => *other = json!([toleration]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tolerates_all_needs_no_more() {
        let mut pod = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        admit(&mut pod, 300);
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 1);
        let mut pod = json!({"spec": {}});
        admit(&mut pod, 300);
        admit(&mut pod, 300);
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
    }
}
