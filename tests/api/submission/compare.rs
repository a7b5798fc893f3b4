//! Two lists of objects made comparable: what the server adds and what is drawn by lot is taken out or made alike, and what
//! has no order is ordered.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value, json};

/// A list of objects as JSON text, with everything made alike that differs from run to run; by kind and name.
pub(super) fn alike(list: &str, namespace: &str) -> Value {
    let mut text = list.replace(namespace, "NAMESPACE");
    for (pattern, with) in [
        (r"spark-[0-9a-f]{32}\b", "spark-ID"),
        (r"/var/data/spark-[0-9a-f-]{36}", "/var/data/spark-UUID"),
        (r"spark-[0-9a-f]{16}-driver-svc", "spark-UNIQUE-driver-svc"),
        (r"-[0-9a-f]{16}-(driver|conf-map)", "-UNIQUE-$1"),
        (r"-driver-pvc-[0-9]+", "-driver-pvc-N"),
        (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-RANDOM"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    let list: Value = serde_json::from_str(&text).unwrap();
    let mut objects = Map::new();
    for mut object in list["items"].as_array().unwrap().clone() {
        let name = format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        strip(&mut object);
        assert!(objects.insert(name.clone(), object).is_none(), "two of {name}");
    }
    Value::Object(objects)
}

/// Takes out what the server writes, and orders what has no order.
fn strip(object: &mut Value) {
    let fields = object.as_object_mut().unwrap();
    fields.remove("status");
    for field in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"] {
        fields["metadata"].as_object_mut().unwrap().remove(field);
    }
    for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
        if owner["kind"] == "Pod" {
            owner["uid"] = json!("UID");
        }
    }
    order(object);
    if let Some(text) = object["data"]["spark.properties"].as_str().map(properties) {
        object["data"]["spark.properties"] = text;
    }
}

/// Orders variables, volumes, mounts and scratch folders by name: Spark takes them from tables without an order.
fn order(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(order),
        Value::Object(fields) => {
            if fields.get("name").is_some_and(|name| name == "SPARK_LOCAL_DIRS") {
                let mut folders: Vec<&str> = fields["value"].as_str().unwrap_or_default().split(',').collect();
                folders.sort_unstable();
                fields["value"] = json!(folders.join(","));
            }
            for (name, value) in fields {
                order(value);
                if matches!(name.as_str(), "env" | "volumes" | "volumeMounts")
                    && let Value::Array(items) = value
                {
                    items.sort_by_key(|item| item["name"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
        _ => {}
    }
}

/// A properties file as pairs, without what belongs to the submitter alone and the time.
fn properties(text: &str) -> Value {
    let unescaped = |text: &str| {
        let mut made = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            made.extend(if letter == '\\' { letters.next() } else { Some(letter) });
        }
        made
    };
    let pair = Regex::new(r"^((?:[^\\=]|\\.)*)=(.*)$").unwrap();
    let mut pairs = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let found = pair.captures(line).unwrap_or_else(|| panic!("no property: {line}"));
        let (key, value) = (unescaped(&found[1]), unescaped(&found[2]));
        let own = key.starts_with("spark.kubernetes.authenticate.submission.");
        if !own && key != "spark.app.submitTime" {
            pairs.insert(key, value);
        }
    }
    json!(pairs)
}

/// Where two values differ, each place with what either has there.
pub(super) fn differences(wanted: &Value, have: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", wanted, have, &mut found);
    found
}

fn walk(path: &str, wanted: &Value, have: &Value, found: &mut Vec<String>) {
    match (wanted, have) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let at = |fields: &Map<String, Value>| fields.get(key).cloned().unwrap_or_default();
                walk(&format!("{path}/{key}"), &at(one), &at(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                walk(&format!("{path}/{index}"), one, other, found);
            }
        }
        _ if wanted == have => {}
        _ => found.push(format!("{path}: spark-submit has {wanted}, we have {have}")),
    }
}
