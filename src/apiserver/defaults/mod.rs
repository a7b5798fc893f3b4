//! What Kubernetes fills into built-in kinds, and what it holds them to. [`apply`] may be called on any version of an object,
//! any number of times: it fills only what is absent. It must not know requests or the store; what needs other objects
//! (allocated addresses, accounts, priorities) is filled in elsewhere.

mod fill;
mod pod;
mod policies;
mod rest;
mod service;
mod storage;
mod validate;
mod volume;
mod workload;

use serde_json::Value;

pub use validate::{validate, validate_ephemeral};

/// Fills the defaults of a built-in kind; other kinds stay as they are.
pub fn apply(group: &str, kind: &str, object: &mut Value) {
    if !object.is_object() {
        return;
    }
    match (group, kind) {
        ("", "Pod") => pod::pod(object),
        ("", "PodTemplate") => pod::template(fill::object(object, "template")),
        ("", "ReplicationController") => workload::replication_controller(object),
        ("", "Service") => service::service(object),
        ("", "Endpoints") => service::endpoints(object),
        ("", "Namespace") => rest::namespace(object),
        ("", "Node") => rest::node(object),
        ("", "Secret") => rest::secret(object),
        ("", "Event") => rest::event(object),
        ("", "LimitRange") => rest::limit_range(object),
        ("", "ResourceQuota") => fill::status(object),
        ("", "PersistentVolume") => storage::volume(object),
        ("", "PersistentVolumeClaim") => storage::claim(object),
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "ReplicaSet") => workload::replica_set(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("batch", "Job") => workload::job(object),
        ("batch", "CronJob") => workload::cron_job(object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => rest::binding(object),
        ("discovery.k8s.io", "EndpointSlice") => service::endpoint_slice(object),
        ("networking.k8s.io", "Ingress") => service::ingress(object),
        ("networking.k8s.io", "IngressClass") => service::ingress_class(object),
        ("networking.k8s.io", "NetworkPolicy") => service::network_policy(object),
        ("storage.k8s.io", "StorageClass") => storage::class(object),
        ("storage.k8s.io", "CSIDriver") => storage::driver(object),
        ("autoscaling", "HorizontalPodAutoscaler") => rest::autoscaler(object),
        ("scheduling.k8s.io", "PriorityClass") => fill::text(object, "preemptionPolicy", "PreemptLowerPriority"),
        ("policy", "PodDisruptionBudget") => rest::disruption_budget(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => rest::definition(object),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => rest::webhooks(object, true),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => rest::webhooks(object, false),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => rest::flow_schema(object),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => rest::priority_level(object),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => policies::policy(object),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => policies::binding(object),
        ("apiregistration.k8s.io", "APIService") => rest::api_service(object),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
