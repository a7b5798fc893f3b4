//! PodMonitor, ServiceMonitor, PrometheusRule and Prometheus, `monitoring.coreos.com/v1`, as prometheus-operator defines them: the
//! fields that are acted upon, and the others kept, so that it can be told that they are not.
//! Upstream rule: `pkg/apis/monitoring/v1` of prometheus-operator/prometheus-operator.

mod definitions;
mod endpoint;
mod monitor;
mod prometheus;
mod resource;
mod rule;

pub use definitions::definitions;
pub use endpoint::{Authorization, BasicAuth, Endpoint, PortRef, Relabeling, SecretOrConfigMap, TlsConfig, text_of};
pub use monitor::{
    Binding, MonitorStatus, NamespaceSelector, PodMonitor, PodMonitorSpec, ServiceMonitor, ServiceMonitorSpec,
};
pub use prometheus::{Prometheus, PrometheusSpec, PrometheusStatus};
pub use rule::{PrometheusRule, PrometheusRuleSpec, Rule, RuleGroup};

/// The API group.
pub const GROUP: &str = "monitoring.coreos.com";
/// The version.
pub const VERSION: &str = "v1";
