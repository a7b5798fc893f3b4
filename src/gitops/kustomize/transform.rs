//! What a kustomization changes in all of its objects: namespace, names, labels, annotations, replicas and images.
//! Upstream rule: kustomize's built-in transformers and their configuration. It reads no files.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use super::field::{Field, each_at};
use super::item::{Item, fields};
use super::model::{Image, Labels, Replica};

const fn field(kind: &'static str, path: &'static str, create: bool) -> Field {
    Field { kind, path, create }
}

/// Labels of templates.
const TEMPLATE_LABELS: [Field; 9] = [
    field("ReplicationController", "spec/template/metadata/labels", true),
    field("Deployment", "spec/template/metadata/labels", true),
    field("ReplicaSet", "spec/template/metadata/labels", true),
    field("DaemonSet", "spec/template/metadata/labels", true),
    field("StatefulSet", "spec/template/metadata/labels", true),
    field("StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true),
    field("Job", "spec/template/metadata/labels", true),
    field("CronJob", "spec/jobTemplate/metadata/labels", true),
    field("CronJob", "spec/jobTemplate/spec/template/metadata/labels", true),
];

/// Labels by which objects find others.
const SELECTORS: [Field; 12] = [
    field("Service", "spec/selector", true),
    field("ReplicationController", "spec/selector", true),
    field("Deployment", "spec/selector/matchLabels", true),
    field("ReplicaSet", "spec/selector/matchLabels", true),
    field("DaemonSet", "spec/selector/matchLabels", true),
    field("StatefulSet", "spec/selector/matchLabels", true),
    field("Job", "spec/selector/matchLabels", false),
    field("CronJob", "spec/jobTemplate/spec/selector/matchLabels", false),
    field("PodDisruptionBudget", "spec/selector/matchLabels", false),
    field("NetworkPolicy", "spec/podSelector/matchLabels", false),
    field("NetworkPolicy", "spec/ingress/from/podSelector/matchLabels", false),
    field("NetworkPolicy", "spec/egress/to/podSelector/matchLabels", false),
];

/// Labels by which pods stand near others, or apart.
const NEIGHBOURS: [&str; 5] = [
    "affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "topologySpreadConstraints/labelSelector/matchLabels",
];

/// Annotations of templates.
const TEMPLATE_ANNOTATIONS: [Field; 8] = [
    field("ReplicationController", "spec/template/metadata/annotations", true),
    field("Deployment", "spec/template/metadata/annotations", true),
    field("ReplicaSet", "spec/template/metadata/annotations", true),
    field("DaemonSet", "spec/template/metadata/annotations", true),
    field("StatefulSet", "spec/template/metadata/annotations", true),
    field("Job", "spec/template/metadata/annotations", true),
    field("CronJob", "spec/jobTemplate/metadata/annotations", true),
    field("CronJob", "spec/jobTemplate/spec/template/metadata/annotations", true),
];

/// Kinds whose names are not theirs to choose.
const FIXED_NAMES: [&str; 3] = ["CustomResourceDefinition", "APIService", "Namespace"];

/// Puts every object that lives in a namespace into this one.
pub(super) fn namespace(items: &mut [Item], namespace: &str) {
    for item in items {
        item.remember();
        let id = item.id();
        let value = item.value();
        if id.kind == "Namespace" {
            value["metadata"]["name"] = json!(namespace);
        } else if !id.is_cluster_wide() {
            value["metadata"]["namespace"] = json!(namespace);
        }
        match id.kind.as_str() {
            "RoleBinding" | "ClusterRoleBinding" => {
                for subject in value["subjects"].as_array_mut().into_iter().flatten() {
                    if subject["kind"] == "ServiceAccount" && subject["name"] == "default" {
                        subject["namespace"] = json!(namespace);
                    }
                }
            }
            "APIService" => {
                fields(&mut value["spec"], "service").insert("namespace".to_owned(), json!(namespace));
            }
            "CustomResourceDefinition" => {
                let path = "spec/conversion/webhook/clientConfig/service";
                each_at(value, path, false, &mut |service| service["namespace"] = json!(namespace));
            }
            _ => (),
        }
    }
}

/// Puts something before and after names.
pub(super) fn rename(items: &mut [Item], prefix: &str, suffix: &str) {
    for item in items {
        if FIXED_NAMES.contains(&item.original().kind.as_str()) {
            continue;
        }
        item.prefixes.push(prefix.to_owned());
        item.suffixes.push(suffix.to_owned());
        if prefix.is_empty() && suffix.is_empty() {
            continue;
        }
        item.remember();
        let name = item.id().name;
        item.value()["metadata"]["name"] = json!(format!("{prefix}{name}{suffix}"));
    }
}

/// Adds labels, to selectors and templates too where that is asked for.
pub(super) fn label(items: &mut [Item], labels: &Labels) {
    for item in items {
        let kind = item.id().kind;
        let value = item.value();
        insert(value, "metadata/labels", true, &labels.pairs);
        if labels.include_selectors || labels.include_templates {
            at(value, &kind, &TEMPLATE_LABELS, &labels.pairs);
        }
        if labels.include_selectors {
            at(value, &kind, &SELECTORS, &labels.pairs);
            if matches!(kind.as_str(), "Deployment" | "StatefulSet") {
                for path in NEIGHBOURS {
                    insert(value, &format!("spec/template/spec/{path}"), false, &labels.pairs);
                }
            }
        }
        for extra in &labels.fields {
            if extra.kind.is_empty() || extra.kind == kind {
                insert(value, &extra.path, extra.create, &labels.pairs);
            }
        }
    }
}

/// Adds annotations.
pub(super) fn annotate(items: &mut [Item], annotations: &BTreeMap<String, String>) {
    for item in items {
        let kind = item.id().kind;
        insert(item.value(), "metadata/annotations", true, annotations);
        at(item.value(), &kind, &TEMPLATE_ANNOTATIONS, annotations);
    }
}

fn at(value: &mut Value, kind: &str, places: &[Field], pairs: &BTreeMap<String, String>) {
    for place in places.iter().filter(|place| place.kind == kind) {
        insert(value, place.path, place.create, pairs);
    }
}

fn insert(value: &mut Value, path: &str, create: bool, pairs: &BTreeMap<String, String>) {
    each_at(value, path, create, &mut |found| {
        if found.is_null() {
            *found = json!({});
        }
        for (key, text) in pairs {
            if let Some(fields) = found.as_object_mut() {
                fields.insert(key.clone(), json!(text));
            }
        }
    });
}

/// Sets a replica count.
pub(super) fn scale(items: &mut [Item], replica: &Replica) -> Result<(), String> {
    let mut found = false;
    for item in items {
        let scales =
            matches!(item.id().kind.as_str(), "Deployment" | "ReplicaSet" | "ReplicationController" | "StatefulSet");
        if scales && item.ids().any(|id| id.name == replica.name) {
            found = true;
            fields(item.value(), "spec").insert("replicas".to_owned(), json!(replica.count));
        }
    }
    if found { Ok(()) } else { Err(format!("there is nothing named {:?} that has replicas", replica.name)) }
}

/// Changes images of containers, wherever they stand.
pub(super) fn image(items: &mut [Item], image: &Image) -> Result<(), String> {
    let pattern = format!("^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$", image.name);
    let pattern = Regex::new(&pattern).map_err(|error| format!("{:?} is no name of an image: {error}", image.name))?;
    for item in items.iter_mut().filter(|item| item.object.value["kind"] != "CustomResourceDefinition") {
        containers(item.value(), &mut |name| {
            if pattern.is_match(name) {
                *name = renamed(name, image);
            }
        });
    }
    Ok(())
}

fn containers(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| containers(item, change)),
        Value::Object(found) => {
            for (key, inner) in found.iter_mut() {
                if matches!(key.as_str(), "containers" | "initContainers") {
                    for container in inner.as_array_mut().into_iter().flatten() {
                        if let Some(Value::String(name)) = container.get_mut("image") {
                            change(name);
                        }
                    }
                }
                containers(inner, change);
            }
        }
        _ => (),
    }
}

fn renamed(old: &str, image: &Image) -> String {
    let (rest, digest) = old.split_once('@').map_or((old, ""), |(rest, digest)| (rest, digest));
    let after = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[after..].find(':') {
        Some(at) => (&rest[..after + at], &rest[after + at + 1..]),
        None => (rest, ""),
    };
    let name = if image.new_name.is_empty() { name } else { &image.new_name };
    let (tag, digest) = match (image.new_tag.is_empty(), image.digest.is_empty()) {
        (false, false) => (image.new_tag.clone(), image.digest.as_str()),
        (false, true) => (image.new_tag.clone(), ""),
        (true, false) => (String::new(), image.digest.as_str()),
        (true, true) => (tag.to_owned(), digest),
    };
    let mut text = name.to_owned();
    if !tag.is_empty() {
        text.push(':');
        text.push_str(&tag);
    }
    if !digest.is_empty() {
        text.push('@');
        text.push_str(digest);
    }
    text
}
