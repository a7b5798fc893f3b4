//! Definitions of custom resources from Rust types: structural schemas, names, columns and the status subresource.

mod structural;

use serde_json::{Value, json};

pub use structural::schema_of;

/// A column of a table: name, type and path.
#[derive(Debug, Clone, Copy)]
pub struct Column(pub &'static str, pub &'static str, pub &'static str);

/// A namespaced kind with spec and status, in one version.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Its plural, as in paths.
    pub plural: &'static str,
    /// Its short name.
    pub short_name: &'static str,
    /// Where a group below k8s.io was approved.
    pub approved: Option<&'static str>,
    /// Columns of its table.
    pub columns: &'static [Column],
    /// Schema of the spec.
    pub spec: Value,
    /// Schema of the status.
    pub status: Value,
}

impl Definition {
    /// The object to apply.
    #[must_use]
    pub fn into_value(self) -> Value {
        let Self { group, version, kind, plural, short_name, .. } = self;
        let columns =
            self.columns.iter().map(|Column(name, kind, path)| json!({"name": name, "type": kind, "jsonPath": path}));
        let mut metadata = json!({"name": format!("{plural}.{group}")});
        if let Some(approved) = self.approved {
            metadata["annotations"] = json!({"api-approved.kubernetes.io": approved});
        }
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": metadata,
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {
                    "kind": kind,
                    "listKind": format!("{kind}List"),
                    "plural": plural,
                    "singular": kind.to_lowercase(),
                    "shortNames": [short_name],
                },
                "versions": [{
                    "name": version,
                    "served": true,
                    "storage": true,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns.collect::<Vec<_>>(),
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "required": ["metadata", "spec"],
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": self.spec,
                            "status": self.status,
                        },
                    }},
                }],
            },
        })
    }
}
