//! DaemonSets: the generation of their template, which upstream carries in an annotation.
//! Upstream rule: k8s.io/kubernetes `pkg/registry/apps/daemonset/strategy.go`.

use serde_json::{Value, json};

const GENERATION: &str = "deprecated.daemonset.template.generation";

fn generation(set: &Value) -> i64 {
    let text = set["metadata"]["annotations"][GENERATION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn write(set: &mut Value, generation: i64) {
    if !set["metadata"]["annotations"].is_object() {
        set["metadata"]["annotations"] = json!({});
    }
    set["metadata"]["annotations"][GENERATION] = generation.to_string().into();
}

/// The first template.
pub(super) fn on_create(set: &mut Value) {
    let first = generation(set).max(1);
    write(set, first);
}

/// One more when the template changes; otherwise what it was.
pub(super) fn on_update(old: &Value, set: &mut Value) {
    let same = old["spec"]["template"] == set["spec"]["template"];
    write(set, generation(old) + i64::from(!same));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_counted() {
        let mut first = json!({"metadata": {}, "spec": {"template": {"a": 1}}});
        on_create(&mut first);
        assert_eq!(first["metadata"]["annotations"][GENERATION], "1");
        let mut same = json!({"metadata": {}, "spec": {"template": {"a": 1}}});
        on_update(&first, &mut same);
        assert_eq!(same["metadata"]["annotations"][GENERATION], "1");
        let mut other = json!({"metadata": {}, "spec": {"template": {"a": 2}}});
        on_update(&same, &mut other);
        assert_eq!(other["metadata"]["annotations"][GENERATION], "2");
    }
}
