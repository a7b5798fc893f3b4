//! Whether an object of a built-in kind makes sense, in Kubernetes' words. Names, labels and the rest of an object's own
//! metadata are checked where requests are handled. A file per room of kinds; none knows requests or the store.

mod common;
mod config;
mod container;
mod env;
mod ephemeral;
mod job;
mod job_policy;
mod network;
mod pod;
mod policies;
mod rbac;
mod rest;
mod scheduling;
mod storage;
mod update;
mod volume;
mod webhooks;
mod workload;

use serde_json::Value;

use crate::crd;
use crate::error::FieldError;
use common::Errors;

/// What is wrong with an object that has its defaults, or with its change from `old`. It is for what users write: what the
/// server itself changes (bindings, statuses) and ephemeral containers do not come here.
#[must_use]
pub fn validate(group: &str, kind: &str, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let found = &mut errors;
    match (group, kind) {
        ("", "Pod") if old.is_some() => pod::spec(&new["spec"], &crate::schema::Path::new("spec"), found),
        ("", "Pod") => pod::create(new, found),
        ("", "PodTemplate") => pod::template(&new["template"], &crate::schema::Path::new("template"), found),
        ("", "ReplicationController") => workload::replication_controller(new, found),
        ("", "Service") => network::service(new, found),
        ("", "Endpoints") => network::endpoints(new, found),
        ("", "ConfigMap") => config::config_map(new, found),
        ("", "Secret") => config::secret(new, found),
        ("", "LimitRange") => config::limit_range(new, found),
        ("", "ResourceQuota") => config::quota(new, found),
        ("", "Node") => rest::node(new, found),
        ("", "Event") => rest::event(new, found),
        ("", "PersistentVolume") => storage::persistent_volume(new, found),
        ("", "PersistentVolumeClaim") => storage::claim(new, found),
        ("apps", "Deployment") => workload::deployment(new, found),
        ("apps", "ReplicaSet") => workload::replica_set(new, found),
        ("apps", "StatefulSet") => workload::stateful_set(new, found),
        ("apps", "DaemonSet") => workload::daemon_set(new, found),
        ("batch", "Job") => job::job(new, found),
        ("batch", "CronJob") => job::cron_job(new, found),
        ("rbac.authorization.k8s.io", "Role") => rbac::role(new, true, found),
        ("rbac.authorization.k8s.io", "ClusterRole") => rbac::role(new, false, found),
        ("rbac.authorization.k8s.io", "RoleBinding") => rbac::binding(new, true, found),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => rbac::binding(new, false, found),
        ("coordination.k8s.io", "Lease") => rest::lease(new, found),
        ("discovery.k8s.io", "EndpointSlice") => network::endpoint_slice(new, found),
        ("networking.k8s.io", "Ingress") => network::ingress(new, found),
        ("networking.k8s.io", "NetworkPolicy") => network::network_policy(new, found),
        ("policy", "PodDisruptionBudget") => rest::disruption_budget(new, found),
        ("autoscaling", "HorizontalPodAutoscaler") => rest::autoscaler(new, found),
        ("storage.k8s.io", "StorageClass") => storage::class(new, found),
        ("scheduling.k8s.io", "PriorityClass") => rest::priority_class(new, found),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            webhooks::configuration(new, found);
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => policies::policy(new, found),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => policies::binding(new, found),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            found.0.extend(old.map_or_else(|| crd::validate(new), |old| crd::validate_update(new, old)));
        }
        _ => {}
    }
    if let Some(old) = old {
        update::check(group, kind, new, old, found);
    }
    errors.0
}

/// What is wrong with the change of a pod's ephemeral containers.
#[must_use]
pub fn validate_ephemeral(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    ephemeral::update(new, old, &mut errors);
    errors.0
}

#[cfg(test)]
mod tests;
