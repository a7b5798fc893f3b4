//! A kustomization as it is written down. A field that is not here is refused by name and never passed over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::generate;
use super::replace::Replacement;

/// `kustomization.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Kustomization {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    #[serde(rename = "metadata")]
    _metadata: Option<serde_json::Value>,
    pub(super) namespace: String,
    pub(super) name_prefix: String,
    pub(super) name_suffix: String,
    pub(super) resources: Vec<PathBuf>,
    pub(super) components: Vec<PathBuf>,
    pub(super) labels: Vec<Labels>,
    pub(super) common_labels: BTreeMap<String, String>,
    pub(super) common_annotations: BTreeMap<String, String>,
    pub(super) images: Vec<Image>,
    pub(super) replicas: Vec<Replica>,
    pub(super) patches: Vec<Patch>,
    pub(super) config_map_generator: Vec<generate::Generator>,
    pub(super) secret_generator: Vec<generate::Generator>,
    pub(super) generator_options: generate::Options,
    pub(super) replacements: Vec<Replacement>,
}

/// One entry of `labels`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Labels {
    pub(super) pairs: BTreeMap<String, String>,
    pub(super) include_selectors: bool,
    pub(super) include_templates: bool,
    pub(super) fields: Vec<LabelField>,
}

/// A further field that labels go to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct LabelField {
    pub(super) path: String,
    pub(super) kind: String,
    pub(super) create: bool,
    #[serde(rename = "group")]
    _group: String,
    #[serde(rename = "version")]
    _version: String,
}

/// One entry of `images`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) new_name: String,
    pub(super) new_tag: String,
    pub(super) digest: String,
}

/// One entry of `replicas`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replica {
    pub(super) name: String,
    pub(super) count: i64,
}

/// One entry of `patches`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Patch {
    pub(super) path: Option<PathBuf>,
    pub(super) patch: Option<String>,
    pub(super) target: Option<Selector>,
    pub(super) options: PatchOptions,
}

/// What a patch may change beyond the usual.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct PatchOptions {
    pub(super) allow_name_change: bool,
    pub(super) allow_kind_change: bool,
}

/// Objects that something is about. Texts are regular expressions for patches.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Selector {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) label_selector: String,
    pub(super) annotation_selector: String,
}
