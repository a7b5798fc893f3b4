//! Differences that do not count: fields by JSON pointer and by jq, and fields of other managers.

use std::collections::BTreeSet;

use serde_json::Value;
use tinderbox_api::gitops::IgnoreDifference;

use super::jq;
use crate::project::matches;
use crate::sync::Key;

/// What is wrong with what is asked for.
#[must_use]
pub fn check(ignored: &[IgnoreDifference]) -> Option<String> {
    ignored.iter().find_map(|one| {
        let broken = one.jq_path_expressions.iter().find_map(|expression| Some((expression, jq::check(expression)?)));
        broken.map(|(expression, why)| {
            format!("ignoreDifferences of {}: jqPathExpressions {expression:?}: {why}", one.kind)
        })
    })
}

fn fits(ignored: &IgnoreDifference, key: &Key) -> bool {
    let is = |pattern: &str, text: &str| pattern.is_empty() || pattern == text;
    matches(if ignored.group.is_empty() { "" } else { &ignored.group }, &key.group)
        && matches(&ignored.kind, &key.kind)
        && is(&ignored.name, &key.name)
        && is(&ignored.namespace, &key.namespace)
}

/// Takes away what does not count.
pub(super) fn strip(object: &mut Value, live: &Value, ignored: &[IgnoreDifference]) {
    let key = Key::of(object);
    for one in ignored.iter().filter(|one| fits(one, &key)) {
        for pointer in &one.json_pointers {
            remove(object, pointer);
        }
        for expression in &one.jq_path_expressions {
            // What comes later in a list goes first, so that the places before it stay.
            let mut pointers = jq::pointers(expression, object);
            pointers.sort_by(|one, two| in_order(two, one));
            pointers.iter().for_each(|pointer| remove(object, pointer));
        }
        for pointer in managed(live, &one.managed_fields_managers) {
            remove(object, &pointer);
        }
    }
}

/// Puts what is there in place of what does not count, so that it is written as it is.
pub fn keep_live(target: &mut Value, live: &Value, ignored: &[IgnoreDifference]) {
    let key = Key::of(target);
    for one in ignored.iter().filter(|one| fits(one, &key)) {
        let managed = managed(live, &one.managed_fields_managers);
        for pointer in one.json_pointers.iter().chain(&managed) {
            keep(target, pointer, live, pointer);
        }
        for expression in &one.jq_path_expressions {
            let (mut wanted, mut have) = (jq::pointers(expression, target), jq::pointers(expression, live));
            // An item of a list may stand elsewhere there: the expression finds each of them in the same order.
            if wanted.len() != have.len() {
                have.clone_from(&wanted);
            }
            wanted.reverse();
            have.reverse();
            wanted.iter().zip(&have).for_each(|(to, from)| keep(target, to, live, from));
        }
    }
}

/// Puts what is there at one place of an object where something else is wanted at another.
fn keep(target: &mut Value, to: &str, live: &Value, from: &str) {
    match (live.pointer(from), target.pointer_mut(to)) {
        (Some(have), Some(wanted)) => *wanted = have.clone(),
        (None, Some(_)) => remove(target, to),
        (_, None) => (),
    }
}

/// The order of two fields in an object, whose lists are counted and not spelt.
fn in_order(one: &str, two: &str) -> std::cmp::Ordering {
    let parts = |pointer: &str| {
        pointer.split('/').map(|part| (part.parse::<usize>().ok(), part.to_owned())).collect::<Vec<_>>()
    };
    parts(one).cmp(&parts(two))
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(&last);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = last.parse::<usize>().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => (),
    }
}

/// Pointers to the fields that managers own.
fn managed(live: &Value, managers: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in live["metadata"]["managedFields"].as_array().into_iter().flatten() {
        if managers.iter().any(|manager| entry["manager"] == manager.as_str()) {
            walk(&entry["fieldsV1"], live, String::new(), &mut found);
        }
    }
    found
}

fn walk(fields: &Value, live: &Value, at: String, found: &mut BTreeSet<String>) {
    let inner = fields.as_object().into_iter().flatten().filter(|(key, _)| *key != ".");
    for (key, below) in inner {
        let part = if let Some(name) = key.strip_prefix("f:") {
            Some(name.replace('~', "~0").replace('/', "~1"))
        } else if let Some(keys) = key.strip_prefix("k:") {
            let wanted: Value = serde_json::from_str(keys).unwrap_or_default();
            let items = live.pointer(&at).and_then(Value::as_array);
            let is =
                |item: &Value| wanted.as_object().is_some_and(|all| all.iter().all(|(key, value)| item[key] == *value));
            items.and_then(|items| items.iter().position(is)).map(|index| index.to_string())
        } else {
            None
        };
        let Some(part) = part else { continue };
        let path = format!("{at}/{part}");
        if below.as_object().is_some_and(|below| below.keys().any(|key| key != ".")) {
            walk(below, live, path, found);
        } else {
            found.insert(path);
        }
    }
}
