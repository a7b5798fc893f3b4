//! The resources of the core group.

use super::{NameRule, Resource};
use crate::table;

/// What can be done through a proxy.
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

pub(super) fn table() -> Vec<Resource> {
    let namespaced = |kind, plural| Resource::namespaced("", "v1", kind, plural);
    let cluster = |kind, plural| Resource::cluster("", "v1", kind, plural);
    vec![
        namespaced("Binding", "bindings").verbs(&["create"]),
        cluster("ComponentStatus", "componentstatuses").short(&["cs"]).verbs(&["get", "list"]),
        namespaced("ConfigMap", "configmaps").short(&["cm"]).columns(table::config::CONFIG_MAPS),
        namespaced("Endpoints", "endpoints").short(&["ep"]).columns(table::network::ENDPOINTS).create_on_update(),
        namespaced("Event", "events")
            .short(&["ev"])
            .columns(table::cluster::EVENTS)
            .create_on_update()
            .fields(&[
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "type",
            ])
            .field("source", "source.component", ""),
        namespaced("LimitRange", "limitranges")
            .short(&["limits"])
            .columns(table::config::LIMIT_RANGES)
            .create_on_update(),
        cluster("Namespace", "namespaces")
            .short(&["ns"])
            .columns(table::cluster::NAMESPACES)
            .names(NameRule::Label)
            .fields(&["status.phase"])
            .verbs(&["create", "delete", "get", "list", "patch", "update", "watch"])
            .plain("finalize", "Namespace", &["update"])
            .status()
            .returns_deleted(),
        cluster("Node", "nodes")
            .short(&["no"])
            .columns(table::cluster::NODES)
            .field("spec.unschedulable", "spec.unschedulable", "false")
            .status(),
        namespaced("PersistentVolumeClaim", "persistentvolumeclaims")
            .short(&["pvc"])
            .columns(table::volumes::CLAIMS)
            .returns_deleted()
            .status(),
        cluster("PersistentVolume", "persistentvolumes")
            .short(&["pv"])
            .columns(table::volumes::VOLUMES)
            .returns_deleted()
            .status(),
        namespaced("Pod", "pods")
            .short(&["po"])
            .categories(&["all"])
            .columns(table::pods::PODS)
            .counted()
            .returns_deleted()
            .fields(&[
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
            ])
            .field("spec.hostNetwork", "spec.hostNetwork", "false")
            .plain("attach", "PodAttachOptions", &["create", "get"])
            .plain("binding", "Binding", &["create"])
            .foreign("eviction", ("policy", "v1"), "Eviction", &["create"])
            .plain("ephemeralcontainers", "Pod", &["get", "patch", "update"])
            .plain("exec", "PodExecOptions", &["create", "get"])
            .plain("log", "Pod", &["get"])
            .plain("portforward", "PodPortForwardOptions", &["create", "get"])
            .plain("proxy", "PodProxyOptions", PROXY)
            .status(),
        namespaced("PodTemplate", "podtemplates").columns(table::workloads::POD_TEMPLATES).returns_deleted(),
        namespaced("ReplicationController", "replicationcontrollers")
            .short(&["rc"])
            .categories(&["all"])
            .columns(table::workloads::REPLICATION_CONTROLLERS)
            .field("status.replicas", "status.replicas", "0")
            .counted()
            .scale("spec.selector")
            .status(),
        namespaced("ResourceQuota", "resourcequotas")
            .short(&["quota"])
            .columns(table::config::QUOTAS)
            .returns_deleted()
            .status(),
        namespaced("Secret", "secrets").columns(table::config::SECRETS).fields(&["type"]),
        namespaced("ServiceAccount", "serviceaccounts")
            .short(&["sa"])
            .columns(table::config::SERVICE_ACCOUNTS)
            .returns_deleted()
            .foreign("token", ("authentication.k8s.io", "v1"), "TokenRequest", &["create"]),
        namespaced("Service", "services")
            .short(&["svc"])
            .categories(&["all"])
            .columns(table::network::SERVICES)
            .names(NameRule::Label1035)
            .fields(&["spec.clusterIP", "spec.type"])
            .returns_deleted()
            .plain("proxy", "ServiceProxyOptions", PROXY)
            .status(),
    ]
}
