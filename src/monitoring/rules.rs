//! Files of rules from PrometheusRules. A rule that Prometheus would not read keeps its object out, and not the others. Pure.

use std::collections::BTreeSet;

use kube::ResourceExt;
use serde::Serialize;
use tinderbox_api::monitoring::{PrometheusRule, Rule, RuleGroup};

use crate::config::duration;

#[derive(Serialize)]
struct File {
    groups: Vec<RuleGroup>,
}

/// Name and content of the file of an object.
///
/// # Errors
/// What is wrong with it.
pub fn file(object: &PrometheusRule) -> Result<(String, String), String> {
    let mut groups = object.spec.groups.clone();
    let mut names = BTreeSet::new();
    for group in &mut groups {
        if !names.insert(group.name.clone()) {
            return Err(format!("two groups are called {:?}", group.name));
        }
        // Labels of groups are known since Prometheus 3: here each rule gets them.
        let shared = std::mem::take(&mut group.labels);
        for rule in &mut group.rules {
            for (name, value) in &shared {
                rule.labels.entry(name.clone()).or_insert_with(|| value.clone());
            }
            right(rule).map_err(|why| format!("the group {}: {why}", group.name))?;
        }
        for time in [&group.interval, &group.query_offset].into_iter().flatten() {
            duration(time)?;
        }
    }
    let text = serde_yaml::to_string(&File { groups }).map_err(|error| error.to_string())?;
    let name = format!(
        "{}-{}-{}.yaml",
        object.namespace().unwrap_or_default(),
        object.name_any(),
        object.uid().unwrap_or_default()
    );
    Ok((name, text))
}

fn right(rule: &Rule) -> Result<(), String> {
    let name = match (&rule.alert, &rule.record) {
        (Some(name), None) | (None, Some(name)) => name,
        _ => return Err("a rule needs one of alert and record".to_owned()),
    };
    if rule.record.is_some() && (rule.hold.is_some() || rule.keep_firing_for.is_some() || !rule.annotations.is_empty())
    {
        return Err(format!("{name}: for, keep_firing_for and annotations are of alerts alone"));
    }
    for time in [&rule.hold, &rule.keep_firing_for].into_iter().flatten().filter(|time| *time != "0s") {
        duration(time)?;
    }
    promql_parser::parser::parse(&rule.expression()).map(drop).map_err(|why| format!("{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(rule: serde_json::Value) -> PrometheusRule {
        let object = json!({
            "metadata": {"name": "jobs", "namespace": "n", "uid": "u"},
            "spec": {"groups": [{"name": "g", "interval": "10s", "labels": {"team": "data"}, "rules": [rule]}]},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn groups_become_a_file_and_their_labels_those_of_rules() {
        let rule = json!({"alert": "Lost", "expr": "up == 0", "for": "1m", "labels": {"severity": "warning"}});
        let (name, text) = file(&rules(rule)).unwrap();
        assert_eq!(name, "n-jobs-u.yaml");
        let wanted = "groups:\n- name: g\n  interval: 10s\n  rules:\n  - alert: Lost\n    expr: up == 0\n    for: 1m\n    labels:\n      severity: warning\n      team: data\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn what_prometheus_would_not_read_is_told() {
        for (rule, wanted) in [
            (json!({"alert": "A", "expr": "up ="}), "A: "),
            (json!({"expr": "up"}), "needs one of alert and record"),
            (json!({"record": "a", "expr": "up", "for": "1m"}), "alerts alone"),
            (json!({"alert": "A", "expr": "up", "for": "soon"}), "is not a duration"),
        ] {
            let why = file(&rules(rule)).unwrap_err();
            assert!(why.contains(wanted), "{why}");
        }
    }
}
