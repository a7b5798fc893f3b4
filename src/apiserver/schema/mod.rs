//! Structural schemas: what fields a kind has, of which types, and how lists and maps merge. One type serves the built-in
//! kinds (from k8s-openapi's types) and custom resources (from their definition); validation, pruning, defaulting, patches
//! and OpenAPI documents are driven by it. It must not know requests or the store.

pub mod builtin;
mod check;
mod declare;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub use check::{Checked, Unknown, check, default, prune};
pub(crate) use check::{Path, ratchet};
pub use declare::declare;

/// The schema of one value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    /// The JSON type.
    pub kind: Kind,
    /// Name of the built-in definition that this is, as in `io.k8s.api.core.v1.PodSpec`. Values inside it are read as
    /// Kubernetes reads its own types.
    pub definition: Option<Arc<str>>,
    /// Text for `kubectl explain`.
    pub description: Option<Arc<str>>,
    /// Known fields of an object.
    pub properties: BTreeMap<String, Arc<Schema>>,
    /// Schema of the values of a map (`additionalProperties`).
    pub additional: Option<Arc<Schema>>,
    /// Schema of the items of a list.
    pub items: Option<Arc<Schema>>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// `null` is a value and not "absent".
    pub nullable: bool,
    /// Value of an absent field.
    pub default: Option<Value>,
    /// Unknown fields are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// The object has apiVersion, kind and metadata of its own (`x-kubernetes-embedded-resource`).
    pub embedded_resource: bool,
    /// How a list merges in server-side apply (`x-kubernetes-list-type`).
    pub list_type: ListType,
    /// Whether an object merges by fields or is replaced whole in server-side apply (`x-kubernetes-map-type: atomic`).
    pub atomic_map: bool,
    /// Key by which a strategic merge patch merges this list of objects (`x-kubernetes-patch-merge-key`).
    pub patch_merge_key: Option<String>,
    /// Strategic merge: the list merges (`x-kubernetes-patch-strategy: merge`).
    pub patch_merge: bool,
    /// Strategic merge: fields absent in the patch are cleared (`retainKeys`).
    pub patch_retain_keys: bool,
    /// Value rules of the definition (pattern, minimum, enum …), as written there; CEL rules are among them.
    pub rules: BTreeMap<String, Value>,
    /// `anyOf`, `oneOf`, `allOf` and `not` of the definition.
    pub combined: Option<Arc<Combined>>,
}

impl Schema {
    /// Whether anything in a value has a default.
    #[must_use]
    pub fn has_default(&self) -> bool {
        let inside = self.properties.values().chain(&self.additional).chain(&self.items);
        self.default.is_some() || inside.filter(|one| one.definition.is_none()).any(|one| one.has_default())
    }
}

/// Schemas of which some must hold for a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Combined {
    /// At least one of these.
    pub any_of: Vec<Arc<Schema>>,
    /// Exactly one of these.
    pub one_of: Vec<Arc<Schema>>,
    /// All of these.
    pub all_of: Vec<Arc<Schema>>,
    /// Not this one.
    pub not: Option<Arc<Schema>>,
}

/// The JSON type of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Anything (no `type`).
    #[default]
    Any,
    /// `object`.
    Object,
    /// `array`.
    Array,
    /// `string`.
    String,
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
}

impl Kind {
    /// What a JSON schema's `type` says.
    pub(crate) fn of(schema: &Value) -> Self {
        match schema["type"].as_str() {
            Some("object") => Kind::Object,
            Some("array") => Kind::Array,
            Some("string") => Kind::String,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            _ => Kind::Any,
        }
    }
}

/// How a list merges in server-side apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListType {
    /// Replaced whole.
    #[default]
    Atomic,
    /// A set of scalars.
    Set,
    /// A map of objects by these keys.
    Map(Vec<String>),
}
