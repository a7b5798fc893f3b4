//! An object on its way through kustomizations: what it is called now, what it was called before, and how its name came about.

use serde_json::{Map, Value, json};

use crate::manifest::Object;

/// Kinds that live beside namespaces, among those that are built in.
const CLUSTER_WIDE: [&str; 22] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ComponentStatus",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// The groups of kinds that are built in, without `.k8s.io`.
const BUILT_IN: [&str; 20] = [
    "",
    "admissionregistration",
    "apiextensions",
    "apiregistration",
    "apps",
    "authentication",
    "authorization",
    "autoscaling",
    "batch",
    "certificates",
    "coordination",
    "discovery",
    "events",
    "flowcontrol.apiserver",
    "networking",
    "node",
    "policy",
    "rbac.authorization",
    "scheduling",
    "storage",
];

/// What tells objects apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Id {
    pub(super) fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = text(&value["apiVersion"]);
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let (group, version) = (group.to_owned(), version.to_owned());
        let metadata = &value["metadata"];
        Self {
            group,
            version,
            kind: text(&value["kind"]),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
        }
    }

    /// Whether both stand for one object of a cluster. No namespace is the one named `default`.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.group == other.group && self.kind == other.kind && self.name == other.name && self.is_beside(other)
    }

    /// Whether both are in one namespace.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let meant = |id: &Self| match id.namespace.as_str() {
            _ if id.is_cluster_wide() => None,
            "" => Some("default".to_owned()),
            name => Some(name.to_owned()),
        };
        meant(self) == meant(other)
    }

    pub(super) fn is_cluster_wide(&self) -> bool {
        self.is_built_in() && CLUSTER_WIDE.contains(&self.kind.as_str())
    }

    /// Whether the kind is one of Kubernetes' own.
    pub(super) fn is_built_in(&self) -> bool {
        let group = self.group.strip_suffix(".k8s.io").unwrap_or(&self.group);
        BUILT_IN.contains(&group)
    }

    /// The id in words.
    pub(super) fn words(&self) -> String {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        format!("{} {}{slash}{}", self.kind, self.namespace, self.name)
    }
}

/// An object on its way.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) object: Object,
    /// What it was called before each change.
    pub(super) before: Vec<Id>,
    pub(super) prefixes: Vec<String>,
    pub(super) suffixes: Vec<String>,
    /// Its name gets a hash of its content in the end.
    pub(super) hashed: bool,
}

impl Item {
    pub(super) fn new(object: Object) -> Self {
        Self { object, before: Vec::new(), prefixes: Vec::new(), suffixes: Vec::new(), hashed: false }
    }

    pub(super) fn value(&mut self) -> &mut Value {
        &mut self.object.value
    }

    pub(super) fn id(&self) -> Id {
        Id::of(&self.object.value)
    }

    /// What it was called where it was read.
    pub(super) fn original(&self) -> Id {
        self.before.first().cloned().unwrap_or_else(|| self.id())
    }

    /// What it is and was called.
    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.before.iter().cloned().chain([self.id()])
    }

    /// Remembers what it is called now, before that changes.
    pub(super) fn remember(&mut self) {
        let id = self.id();
        self.before.push(id);
    }

    /// Whether both got their names in the same way.
    pub(super) fn is_named_like(&self, other: &Self) -> bool {
        let same = |one: &[String], two: &[String]| one.ends_with(two) || two.ends_with(one);
        same(&self.prefixes, &other.prefixes) && same(&self.suffixes, &other.suffixes)
    }
}

/// The object in a value at `key`, made where it is missing.
pub(super) fn fields<'a>(value: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    let slot = &mut value[key];
    if !slot.is_object() {
        *slot = json!({});
    }
    match slot {
        Value::Object(fields) => fields,
        _ => unreachable!("made above"),
    }
}
