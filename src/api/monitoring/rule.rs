//! PrometheusRule: what is computed and when an alert fires. The structure only.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::endpoint::{port, text_of};

/// Rules of Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrometheusRule {
    /// `monitoring.coreos.com/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `PrometheusRule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// The rules.
    pub spec: PrometheusRuleSpec,
}

record! {
    /// The rules.
    PrometheusRuleSpec {
        /// Groups of rules that are evaluated together.
        groups: Vec<RuleGroup>,
    }
}

/// Rules that are evaluated together. As Prometheus' own file it is in snake case where it has two words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["name"]))]
pub struct RuleGroup {
    /// Its name.
    pub name: String,
    /// Time between two evaluations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Most alerts or series of a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Labels of each rule.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How far behind the present it is evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_offset: Option<String>,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A series that is recorded, or an alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["expr"]))]
pub struct Rule {
    /// Name of the series that is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Name of the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// What is evaluated.
    #[schemars(schema_with = "port")]
    pub expr: Option<IntOrString>,
    /// How long it must hold before the alert fires.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// How long the alert goes on when it holds no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What is said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    /// What is evaluated, as text.
    #[must_use]
    pub fn expression(&self) -> String {
        self.expr.as_ref().map(text_of).unwrap_or_default()
    }
}
