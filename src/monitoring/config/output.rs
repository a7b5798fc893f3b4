//! Prometheus' configuration as it is written: the fields that are used, in the order in which people read them.

use std::collections::BTreeMap;

use serde::Serialize;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct File {
    pub(super) global: Global,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rule_files: Vec<String>,
    pub(super) scrape_configs: Vec<Job>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Global {
    pub(super) evaluation_interval: String,
    pub(super) scrape_interval: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scrape_timeout: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) external_labels: BTreeMap<String, String>,
}

/// One scrape configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Job {
    pub(super) job_name: String,
    pub(super) honor_labels: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) honor_timestamps: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) kubernetes_sd_configs: Vec<Discovery>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) file_sd_configs: Vec<Files>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scrape_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scrape_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metrics_path: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) params: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) follow_redirects: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enable_http2: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) basic_auth: Option<Basic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authorization: Option<Bearer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_config: Option<Tls>,
    pub(super) relabel_configs: Vec<Relabel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sample_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label_name_length_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label_value_length_limit: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) metric_relabel_configs: Vec<Relabel>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Discovery {
    pub(super) role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespaces: Option<Namespaces>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Namespaces {
    pub(super) names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Files {
    pub(super) files: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Basic {
    pub(super) username: String,
    pub(super) password: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Bearer {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credentials: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credentials_file: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Tls {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cert_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) insecure_skip_verify: Option<bool>,
}

/// One rule of relabelling.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Relabel {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) source_labels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) separator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) regex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) modulus: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replacement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
}
