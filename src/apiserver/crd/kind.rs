//! What a custom resource definition serves: names, scope, and per version the schema, subresources and columns.

use std::sync::Arc;

use serde_json::Value;

use super::schema;
use crate::schema::Schema;

/// A kind that a definition adds to the server.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomKind {
    /// API group.
    pub group: String,
    /// Plural resource name, as in URLs.
    pub plural: String,
    /// Singular resource name.
    pub singular: String,
    /// Kind of an object.
    pub kind: String,
    /// Kind of a list.
    pub list_kind: String,
    /// Short resource names.
    pub short_names: Vec<String>,
    /// Categories, as in `all`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// All versions, in the definition's order.
    pub versions: Vec<CustomVersion>,
    /// How objects get from one version to another.
    pub conversion: Conversion,
}

/// How objects get from one version of a custom kind to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// The apiVersion of stored objects.
    pub storage: String,
    /// The webhook that converts; where there is none, versions differ in nothing but their name.
    pub webhook: Option<ConversionWebhook>,
}

/// A webhook that converts objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversionWebhook {
    /// Where it is: `clientConfig`.
    pub config: Value,
    /// The versions of `ConversionReview` that it reads, the best one first.
    pub versions: Vec<String>,
}

/// One version of a custom kind.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomVersion {
    /// Name, as in `v1alpha1`.
    pub name: String,
    /// Whether the server answers for it.
    pub served: bool,
    /// Whether objects are stored in it.
    pub storage: bool,
    /// Text of a warning to whoever uses it; `None` where it is not deprecated.
    pub deprecation: Option<String>,
    /// The schema of an object.
    pub schema: Arc<Schema>,
    /// Whether there is a status subresource.
    pub status: bool,
    /// The scale subresource.
    pub scale: Option<Scale>,
    /// What `kubectl get` shows besides name and age.
    pub columns: Vec<Column>,
    /// Paths that field selectors may use, as in `.spec.color`.
    pub selectable: Vec<String>,
}

/// Where the scale subresource finds its values, as in `.spec.replicas`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// The wanted replicas.
    pub spec_replicas: String,
    /// The present replicas.
    pub status_replicas: String,
    /// The selector in its text form.
    pub selector: Option<String>,
}

/// A column of `kubectl get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `integer`, `number`, `string`, `boolean` or `date`.
    pub kind: String,
    /// Format of OpenAPI.
    pub format: String,
    /// What it says.
    pub description: String,
    /// 0 is shown always, more with `-o wide`.
    pub priority: i64,
    /// Where the value is.
    pub json_path: String,
}

/// Reads a definition that [`mod@super::validate`] found well formed; what is missing is taken as empty.
#[must_use]
pub fn read(crd: &Value) -> CustomKind {
    let spec = &crd["spec"];
    let names = &spec["names"];
    let kind = text(&names["kind"]);
    CustomKind {
        group: text(&spec["group"]),
        plural: text(&names["plural"]),
        singular: or(text(&names["singular"]), || kind.to_lowercase()),
        list_kind: or(text(&names["listKind"]), || format!("{kind}List")),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        versions: list(&spec["versions"]).map(|version| read_version(version, &text(&spec["group"]), &kind)).collect(),
        conversion: read_conversion(spec),
        kind,
    }
}

fn read_conversion(spec: &Value) -> Conversion {
    let storage = list(&spec["versions"]).find(|version| version["storage"] == true);
    let webhook = &spec["conversion"]["webhook"];
    Conversion {
        storage: format!("{}/{}", text(&spec["group"]), storage.map(|one| text(&one["name"])).unwrap_or_default()),
        webhook: (spec["conversion"]["strategy"] == "Webhook").then(|| ConversionWebhook {
            config: webhook["clientConfig"].clone(),
            versions: texts(&webhook["conversionReviewVersions"]),
        }),
    }
}

fn read_version(version: &Value, group: &str, kind: &str) -> CustomVersion {
    let name = text(&version["name"]);
    let scale = version["subresources"].get("scale").map(|scale| Scale {
        spec_replicas: text(&scale["specReplicasPath"]),
        status_replicas: text(&scale["statusReplicasPath"]),
        selector: Some(text(&scale["labelSelectorPath"])).filter(|path| !path.is_empty()),
    });
    let columns = list(&version["additionalPrinterColumns"]).map(|column| Column {
        name: text(&column["name"]),
        kind: text(&column["type"]),
        format: text(&column["format"]),
        description: text(&column["description"]),
        priority: column["priority"].as_i64().unwrap_or(0),
        json_path: text(&column["jsonPath"]),
    });
    let deprecated = version["deprecated"].as_bool().unwrap_or(false);
    CustomVersion {
        served: version["served"].as_bool().unwrap_or(false),
        storage: version["storage"].as_bool().unwrap_or(false),
        deprecation: deprecated
            .then(|| or(text(&version["deprecationWarning"]), || format!("{group}/{name} {kind} is deprecated"))),
        schema: Arc::new(schema::root(&version["schema"]["openAPIV3Schema"])),
        status: version["subresources"].get("status").is_some(),
        scale,
        columns: columns.collect(),
        selectable: list(&version["selectableFields"]).map(|field| text(&field["jsonPath"])).collect(),
        name,
    }
}

fn or(text: String, otherwise: impl FnOnce() -> String) -> String {
    if text.is_empty() { otherwise() } else { text }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    list(value).map(text).collect()
}
