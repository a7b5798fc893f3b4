//! Definitions of custom resources from Rust types: structural schemas, names, columns and the status subresource.

mod structural;
#[cfg(test)]
pub(crate) mod upstream;

use serde_json::{Value, json};

pub use structural::schema_of;

/// A column of a table: name, type and path.
#[derive(Debug, Clone, Copy)]
pub struct Column(pub &'static str, pub &'static str, pub &'static str);

/// A kind in one version.
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
    /// It lives beside namespaces, not in one.
    pub cluster: bool,
    /// Its status is written by a way of its own.
    pub status: bool,
    /// Schemas of its fields beside the metadata; a spec is required.
    pub fields: Vec<(&'static str, Value)>,
}

impl Definition {
    /// A kind of a namespace without a name of its own yet, without columns, fields and a way of its own for the status.
    pub(crate) const fn within(group: &'static str, version: &'static str) -> Self {
        Self {
            group,
            version,
            kind: "",
            plural: "",
            short_name: "",
            approved: None,
            columns: &[],
            cluster: false,
            status: false,
            fields: Vec::new(),
        }
    }

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
        let subresources = if self.status { json!({"status": {}}) } else { json!({}) };
        let mut required = vec!["metadata"];
        required.extend(self.fields.iter().map(|(name, _)| *name).filter(|name| *name == "spec"));
        let mut properties = json!({
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
        });
        for (name, schema) in self.fields {
            properties[name] = schema;
        }
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": metadata,
            "spec": {
                "group": group,
                "scope": if self.cluster { "Cluster" } else { "Namespaced" },
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
                    "subresources": subresources,
                    "additionalPrinterColumns": columns.collect::<Vec<_>>(),
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "required": required,
                        "properties": properties,
                    }},
                }],
            },
        })
    }
}

/// Holds the manifests of a part of the platform to these definitions; with `BLESS` set they are written anew.
#[cfg(test)]
pub(crate) fn hold(part: &str, definitions: &[Value]) {
    use std::fs;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../manifests/platform/{part}/crds"));
    for definition in definitions {
        let name = definition["spec"]["names"]["plural"].as_str().unwrap_or_default();
        let path = folder.join(format!("{name}.yaml"));
        let wanted = serde_yaml::to_string(definition).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &wanted).unwrap();
        }
        let have = fs::read_to_string(&path).unwrap_or_default();
        assert!(have == wanted, "{name}.yaml is out of date: run this test again with BLESS=1");
    }
}
