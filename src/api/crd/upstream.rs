//! Holds definitions to those that controller-gen makes of upstream's Go types, which Go's client brings as a part of their modules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What differs and why, line by line: kind and path with `*` for anything, what differs, and the cause.
const LISTED: &str = include_str!("upstream.txt");

/// The folder of a module; nothing where Go, or the module, cannot be had.
#[allow(clippy::print_stderr, reason = "whoever reads a test run has to know what was not tested")]
fn module(module: &str) -> Option<PathBuf> {
    let asked = Command::new("go").args(["mod", "download", "-json", module]).current_dir("/").output();
    let answer: Value = match &asked {
        Ok(output) => serde_json::from_slice(&output.stdout).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    if let Some(dir) = answer["Dir"].as_str() {
        return Some(dir.into());
    }
    let why = asked.map_or_else(|error| error.to_string(), |_| answer["Error"].to_string());
    eprintln!("skipped: definitions are not held to {module}, which Go does not bring: {why}");
    None
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    crate::manifest::load(&text).unwrap().remove(0).value
}

/// Holds the definitions to the files of a module, each by the plural of its kind.
pub(crate) fn hold(name: &str, definitions: &[Value], file: impl Fn(&str) -> String) {
    let Some(dir) = module(name) else { return };
    let mut found = BTreeSet::new();
    for definition in definitions {
        let names = &definition["spec"]["names"];
        let theirs = read(&dir.join(file(names["plural"].as_str().unwrap())));
        compare(names["kind"].as_str().unwrap(), schema(definition), schema(&theirs), &mut found);
    }
    let kinds: Vec<&str> = definitions.iter().filter_map(|one| one["spec"]["names"]["kind"].as_str()).collect();
    let listed = LISTED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let listed: Vec<(&str, &str)> = listed.map(|line| line.split_once(" # ").expect("a cause")).collect();
    let own = |rule: &str| {
        let of = rule.split(['.', ' ']).next().unwrap_or_default();
        kinds.iter().any(|kind| fits(of, kind))
    };
    let unknown: Vec<&String> = found.iter().filter(|one| !listed.iter().any(|(rule, _)| fits(rule, one))).collect();
    let gone: Vec<&str> = listed
        .iter()
        .map(|(rule, _)| *rule)
        .filter(|rule| own(rule) && !found.iter().any(|one| fits(rule, one)))
        .collect();
    assert!(unknown.is_empty(), "not listed in upstream.txt, with a cause:\n{unknown:#?}");
    assert!(gone.is_empty(), "listed in upstream.txt, and no difference any more:\n{gone:#?}");
}

/// Whether a difference is one of a rule, in which `*` stands for anything.
fn fits(rule: &str, found: &str) -> bool {
    let mut parts = rule.split('*');
    let Some(mut rest) = found.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let at = if index + 1 == parts.len() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// Notes where two schemas differ in what they keep and what they refuse.
fn compare(path: &str, ours: &Value, theirs: &Value, found: &mut BTreeSet<String>) {
    let is = |schema: &Value, key: &str| schema[key] == Value::Bool(true);
    let open = "x-kubernetes-preserve-unknown-fields";
    let mut say = |what: &str| {
        found.insert(format!("{path} {what}"));
    };
    let keeps_all = is(ours, open) && !is(theirs, open);
    if keeps_all {
        say("is kept without a schema");
    }
    if is(ours, open) && ours["properties"].is_null() {
        return;
    }
    if ours["type"] != theirs["type"]
        || is(ours, "x-kubernetes-int-or-string") != is(theirs, "x-kubernetes-int-or-string")
    {
        say("has another type");
    }
    let set = |schema: &Value, key: &str| -> BTreeSet<String> {
        schema[key].as_array().into_iter().flatten().map(ToString::to_string).collect()
    };
    for key in ["required", "enum"] {
        let (ours, theirs) = (set(ours, key), set(theirs, key));
        if ours != theirs {
            let list = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
                one.difference(other).map(|text| text.trim_matches('"')).collect::<Vec<_>>().join(", ")
            };
            say(&format!("{key}: more [{}], less [{}]", list(&ours, &theirs), list(&theirs, &ours)));
        }
    }
    let fields = |schema: &Value| -> BTreeSet<String> {
        schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    let (mine, upstream) = (fields(ours), fields(theirs));
    for key in mine.difference(&upstream) {
        say(&format!("has {key} more"));
    }
    for key in upstream.difference(&mine).filter(|_| !keeps_all) {
        say(&format!("lacks {key}"));
    }
    for key in mine.intersection(&upstream) {
        compare(&format!("{path}.{key}"), &ours["properties"][key], &theirs["properties"][key], found);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if ours[key].is_object() && theirs[key].is_object() {
            compare(&format!("{path}{mark}"), &ours[key], &theirs[key], found);
        } else if ours[key].is_null() != theirs[key].is_null() {
            found.insert(format!("{path}{mark} has another type"));
        }
    }
}

#[test]
fn rules_fit_what_they_say() {
    for (rule, text, expected) in [
        ("A.b lacks c", "A.b lacks c", true),
        ("A.*.b lacks c", "A.x.y.b lacks c", true),
        ("A.* lacks c", "A.x lacks d", false),
        ("*.b lacks c", "A.b lacks cc", false),
        ("A lacks *", "A lacks x", true),
    ] {
        assert_eq!(fits(rule, text), expected, "{rule}");
    }
}
