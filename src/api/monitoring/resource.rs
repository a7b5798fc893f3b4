//! What makes the structures resources for clients.

use super::{GROUP, PodMonitor, Prometheus, PrometheusRule, ServiceMonitor, VERSION};

resource!(PodMonitor, "podmonitors", NamespaceResourceScope);
resource!(ServiceMonitor, "servicemonitors", NamespaceResourceScope);
resource!(PrometheusRule, "prometheusrules", NamespaceResourceScope);
resource!(Prometheus, "prometheuses", NamespaceResourceScope);
