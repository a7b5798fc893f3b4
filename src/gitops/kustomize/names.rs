//! References to objects whose names or namespaces have changed. It runs once, when everything has its last name.
//! Upstream rule: `nameReference` of kustomize's built-in configuration.

use serde_json::Value;

use super::field::each_at;
use super::item::{Id, Item};

/// Where pods stand in kinds that have them.
const PODS: [(&str, &str); 9] = [
    ("Pod", "spec"),
    ("PodTemplate", "template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("ReplicationController", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// References in pods: the kind that is referred to, and the field.
const IN_PODS: [(&str, &str); 16] = [
    ("ConfigMap", "volumes/configMap/name"),
    ("ConfigMap", "containers/env/valueFrom/configMapKeyRef/name"),
    ("ConfigMap", "initContainers/env/valueFrom/configMapKeyRef/name"),
    ("ConfigMap", "containers/envFrom/configMapRef/name"),
    ("ConfigMap", "initContainers/envFrom/configMapRef/name"),
    ("ConfigMap", "volumes/projected/sources/configMap/name"),
    ("Secret", "volumes/secret/secretName"),
    ("Secret", "containers/env/valueFrom/secretKeyRef/name"),
    ("Secret", "initContainers/env/valueFrom/secretKeyRef/name"),
    ("Secret", "containers/envFrom/secretRef/name"),
    ("Secret", "initContainers/envFrom/secretRef/name"),
    ("Secret", "imagePullSecrets/name"),
    ("Secret", "volumes/projected/sources/secret/name"),
    ("ServiceAccount", "serviceAccountName"),
    ("PersistentVolumeClaim", "volumes/persistentVolumeClaim/claimName"),
    ("PriorityClass", "priorityClassName"),
];

/// References elsewhere: the kind that is referred to, the kind that refers, and the field.
const ELSEWHERE: [(&str, &str, &str); 34] = [
    ("Deployment", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    ("ReplicationController", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    ("ReplicaSet", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    ("StatefulSet", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    ("ConfigMap", "Node", "spec/configSource/configMap"),
    ("ConfigMap", "Role", "rules/resourceNames"),
    ("ConfigMap", "ClusterRole", "rules/resourceNames"),
    ("Secret", "Ingress", "spec/tls/secretName"),
    ("Secret", "ServiceAccount", "imagePullSecrets/name"),
    ("Secret", "StorageClass", "parameters/secretName"),
    ("Secret", "StorageClass", "parameters/adminSecretName"),
    ("Secret", "StorageClass", "parameters/userSecretName"),
    ("Secret", "StorageClass", "parameters/secretRef"),
    ("Secret", "Role", "rules/resourceNames"),
    ("Secret", "ClusterRole", "rules/resourceNames"),
    ("Secret", "PersistentVolume", "spec/azureFile/secretName"),
    ("Service", "StatefulSet", "spec/serviceName"),
    ("Service", "Ingress", "spec/rules/http/paths/backend/service/name"),
    ("Service", "Ingress", "spec/defaultBackend/service/name"),
    ("Service", "APIService", "spec/service/name"),
    ("Service", "ValidatingWebhookConfiguration", "webhooks/clientConfig/service"),
    ("Service", "MutatingWebhookConfiguration", "webhooks/clientConfig/service"),
    ("Service", "HTTPRoute", "spec/rules/backendRefs/name"),
    ("Role", "RoleBinding", "roleRef/name"),
    ("ClusterRole", "RoleBinding", "roleRef/name"),
    ("ClusterRole", "ClusterRoleBinding", "roleRef/name"),
    ("ServiceAccount", "RoleBinding", "subjects"),
    ("ServiceAccount", "ClusterRoleBinding", "subjects"),
    ("PersistentVolume", "PersistentVolumeClaim", "spec/volumeName"),
    ("PersistentVolume", "ClusterRole", "rules/resourceNames"),
    ("StorageClass", "PersistentVolume", "spec/storageClassName"),
    ("StorageClass", "PersistentVolumeClaim", "spec/storageClassName"),
    ("StorageClass", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
    ("IngressClass", "Ingress", "spec/ingressClassName"),
];

/// Kinds whose pods are looked through for one kind of reference and not for another.
fn is_looked_through(referrer: &str, target: &str) -> bool {
    match target {
        "ConfigMap" | "Secret" => referrer != "ReplicationController",
        "ServiceAccount" | "PersistentVolumeClaim" | "PriorityClass" => {
            !matches!(referrer, "PodTemplate" | "ReplicaSet")
        }
        _ => true,
    }
}

/// Gives references the new names of what they refer to.
pub(super) fn follow(items: &mut [Item]) -> Result<(), String> {
    let known: Vec<Item> = items.to_vec();
    for item in items {
        let kind = item.id().kind;
        let mut places: Vec<(&str, String)> = Vec::new();
        for (_, pod) in PODS.iter().filter(|(of, _)| *of == kind) {
            let within = IN_PODS.iter().filter(|(target, _)| is_looked_through(&kind, target));
            places.extend(within.map(|(target, path)| (*target, format!("{pod}/{path}"))));
        }
        let others = ELSEWHERE.iter().filter(|(_, of, _)| *of == kind);
        places.extend(others.map(|(target, _, path)| (*target, (*path).to_owned())));
        let referrer = item.clone();
        let mut failure = None;
        for (target, path) in places {
            let look = Look { known: &known, referrer: &referrer, target, is_role: path.ends_with("roleRef/name") };
            each_at(item.value(), &path, false, &mut |value| {
                if let Err(error) = look.update(value) {
                    failure.get_or_insert(error);
                }
            });
        }
        if let Some(failure) = failure {
            return Err(format!("{}: {failure}", referrer.id().words()));
        }
    }
    Ok(())
}

struct Look<'a> {
    known: &'a [Item],
    referrer: &'a Item,
    target: &'a str,
    is_role: bool,
}

impl Look<'_> {
    fn update(&self, value: &mut Value) -> Result<(), String> {
        match value {
            Value::String(name) => {
                if let Some(found) = self.find(name, None, |one, two| one.name == two.name)? {
                    *name = found.name;
                }
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.update(item)),
            Value::Object(_) => {
                let Some(name) = value["name"].as_str().map(str::to_owned) else { return Ok(()) };
                let namespace = value["namespace"].as_str().map(str::to_owned);
                let same = |one: &Id, two: &Id| one.name == two.name && one.namespace == two.namespace;
                if let Some(found) = self.find(&name, namespace.as_deref(), same)? {
                    value["name"] = Value::from(found.name);
                    if !found.namespace.is_empty() {
                        value["namespace"] = Value::from(found.namespace);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a name means now.
    fn find(&self, name: &str, namespace: Option<&str>, same: impl Fn(&Id, &Id) -> bool) -> Result<Option<Id>, String> {
        let mine = self.referrer.id();
        let role = &self.referrer.object.value["roleRef"]["kind"];
        let mut found: Vec<&Item> = self
            .known
            .iter()
            .filter(|item| item.before.iter().any(|id| id.name == name && id.kind == self.target))
            .filter(|item| !self.is_role || role.is_null() || item.before.iter().any(|id| *role == id.kind.as_str()))
            .filter(|item| {
                let id = item.id();
                mine.is_cluster_wide() || id.is_cluster_wide() || id.kind == "ServiceAccount" || id.is_beside(&mine)
            })
            .collect();
        if let Some(namespace) = namespace {
            let meant = |id: Id| if id.namespace.is_empty() { "default".to_owned() } else { id.namespace };
            let was = |item: &&Item| meant(item.original()) == namespace;
            let is = |item: &&Item| meant(item.id()) == namespace;
            if found.iter().any(was) { found.retain(was) } else { found.retain(is) }
        }
        if found.len() > 1 {
            found.retain(|item| item.is_named_like(self.referrer));
        }
        let Some(first) = found.first().map(|item| item.id()) else { return Ok(None) };
        if found.iter().all(|item| same(&item.id(), &first)) {
            return Ok(Some(first));
        }
        let all: Vec<String> = found.iter().map(|item| item.id().words()).collect();
        Err(format!("the reference to {} {name} may mean any of {}", self.target, all.join(", ")))
    }
}
