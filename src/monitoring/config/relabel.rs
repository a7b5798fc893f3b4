//! Rules of relabelling: those that monitors mean by their selectors, ports and labels, and those that users write. Pure.
//! Upstream rule: `pkg/prometheus/promcfg.go` of prometheus-operator/prometheus-operator.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use regex::Regex;
use tinderbox_api::monitoring::Relabeling;
use tinderbox_client::metrics::sanitized;

use super::output::Relabel;

/// What a user's rule may do.
const ACTIONS: [&str; 11] = [
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
];

/// Keeps targets where a label matches.
pub(super) fn keep(labels: &[&str], regex: &str) -> Relabel {
    filter("keep", labels, regex)
}

/// Drops targets where a label matches.
pub(super) fn drop(labels: &[&str], regex: &str) -> Relabel {
    filter("drop", labels, regex)
}

fn filter(action: &str, labels: &[&str], regex: &str) -> Relabel {
    Relabel {
        source_labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        regex: Some(regex.to_owned()),
        action: Some(action.to_owned()),
        ..Relabel::default()
    }
}

/// Copies a label.
pub(super) fn copy(from: &str, to: &str) -> Relabel {
    Relabel { source_labels: vec![from.to_owned()], target_label: Some(to.to_owned()), ..Relabel::default() }
}

/// Copies a label where it is not empty.
pub(super) fn copy_some(from: &str, to: &str) -> Relabel {
    Relabel { regex: Some("(.+)".to_owned()), replacement: Some("${1}".to_owned()), ..copy(from, to) }
}

/// Writes a label.
pub(super) fn set(label: &str, value: &str) -> Relabel {
    Relabel { target_label: Some(label.to_owned()), replacement: Some(value.to_owned()), ..Relabel::default() }
}

/// Writes a label from the object that an address stands for, if it is of this kind.
pub(super) fn of_target(endpoint: &str, kind: &str, label: &str) -> Relabel {
    Relabel {
        source_labels: ["kind", "name"]
            .map(|part| format!("__meta_kubernetes_{endpoint}_address_target_{part}"))
            .into(),
        separator: Some(";".to_owned()),
        regex: Some(format!("{kind};(.*)")),
        replacement: Some("${1}".to_owned()),
        target_label: Some(label.to_owned()),
        ..Relabel::default()
    }
}

/// What keeps the objects of a selector; `object` is `pod` or `service`.
pub(super) fn selector(selector: &LabelSelector, object: &str) -> Result<Vec<Relabel>, String> {
    let value = |key: &str| format!("__meta_kubernetes_{object}_label_{}", sanitized(key));
    let present = |key: &str| format!("__meta_kubernetes_{object}_labelpresent_{}", sanitized(key));
    let mut rules = Vec::new();
    for (key, wanted) in selector.match_labels.iter().flatten() {
        rules.push(keep(&[&value(key), &present(key)], &format!("({wanted});true")));
    }
    for one in selector.match_expressions.iter().flatten() {
        let key = &one.key;
        let any = || format!("({});true", one.values.iter().flatten().cloned().collect::<Vec<_>>().join("|"));
        rules.push(match one.operator.as_str() {
            "In" => keep(&[&value(key), &present(key)], &any()),
            "NotIn" => drop(&[&value(key), &present(key)], &any()),
            "Exists" => keep(&[&present(key)], "true"),
            "DoesNotExist" => drop(&[&present(key)], "true"),
            other => return Err(format!("the selector has the operator {other:?}, which there is not")),
        });
    }
    Ok(rules)
}

/// A user's rules.
pub(super) fn users(rules: &[Relabeling]) -> Result<Vec<Relabel>, String> {
    rules.iter().map(user).collect()
}

fn user(rule: &Relabeling) -> Result<Relabel, String> {
    let action = rule.action.as_ref().map(|action| action.to_lowercase());
    if let Some(action) = action.as_deref().filter(|action| !ACTIONS.contains(action)) {
        return Err(format!("a relabeling has the action {action:?}, which there is not"));
    }
    let does = action.as_deref().unwrap_or("replace");
    let writes = matches!(does, "replace" | "hashmod" | "lowercase" | "uppercase" | "keepequal" | "dropequal");
    if writes && rule.target_label.as_deref().unwrap_or_default().is_empty() {
        return Err(format!("a relabeling with the action {does} needs a targetLabel"));
    }
    if does == "hashmod" && rule.modulus.unwrap_or_default() == 0 {
        return Err("a relabeling with the action hashmod needs a modulus".to_owned());
    }
    if let Some(regex) = &rule.regex
        && let Err(error) = Regex::new(&format!("^(?:{regex})$"))
    {
        return Err(format!("a relabeling has the regex {regex:?}: {error}"));
    }
    Ok(Relabel {
        source_labels: rule.source_labels.clone(),
        separator: rule.separator.clone(),
        target_label: rule.target_label.clone(),
        regex: rule.regex.clone(),
        modulus: rule.modulus,
        replacement: rule.replacement.clone(),
        action,
    })
}
