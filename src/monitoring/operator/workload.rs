//! What a Prometheus is made of: a StatefulSet with its configuration, a Service, and what they read. Pure.
//! Upstream rule: `pkg/prometheus/server/statefulset.go` of prometheus-operator/prometheus-operator.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tinderbox_api::monitoring::Prometheus;

use crate::config::{CERTIFICATES, Held, RULES, TARGETS};

/// The image where the object names none, and its version.
const IMAGE: &str = "quay.io/prometheus/prometheus";
const VERSION: &str = "2.53.5";
/// What has Prometheus read its files again when they have changed.
const RELOADER: &str = "quay.io/prometheus-operator/prometheus-config-reloader:v0.93.0";
/// Where the configuration is in the container.
const CONFIGURATION: &str = "/etc/prometheus/config";
/// Where samples are in the container.
const DATA: &str = "/prometheus";
/// The Service of every Prometheus of a namespace.
const GOVERNING: &str = "prometheus-operated";

/// Name of the StatefulSet, and of what it reads.
pub(super) fn name(prometheus: &Prometheus) -> String {
    format!("prometheus-{}", prometheus.name_any())
}

fn labels(prometheus: &Prometheus) -> BTreeMap<String, String> {
    let name = prometheus.name_any();
    [
        ("app.kubernetes.io/name", "prometheus"),
        ("app.kubernetes.io/instance", &name),
        ("app.kubernetes.io/managed-by", super::super::NAME),
        ("operator.prometheus.io/name", &name),
        ("prometheus", &name),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn owner(prometheus: &Prometheus, controls: bool) -> OwnerReference {
    OwnerReference {
        api_version: Prometheus::api_version(&()).into_owned(),
        kind: Prometheus::kind(&()).into_owned(),
        name: prometheus.name_any(),
        uid: prometheus.uid().unwrap_or_default(),
        controller: controls.then_some(true),
        block_owner_deletion: controls.then_some(true),
    }
}

fn metadata(prometheus: &Prometheus, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: prometheus.namespace(),
        labels: Some(labels(prometheus)),
        owner_references: Some(vec![owner(prometheus, true)]),
        ..ObjectMeta::default()
    }
}

/// The configuration: a Secret, since passwords are in it.
pub(super) fn configuration(prometheus: &Prometheus, text: &str) -> Secret {
    let data = BTreeMap::from([("prometheus.yaml".to_owned(), ByteString(text.as_bytes().to_vec()))]);
    Secret { metadata: metadata(prometheus, name(prometheus)), data: Some(data), ..Secret::default() }
}

/// Certificates and keys as files.
pub(super) fn certificates(prometheus: &Prometheus, held: &Held) -> Secret {
    let files = held.iter().map(|(reference, value)| (reference.file(), ByteString(value.clone().into_bytes())));
    Secret {
        metadata: metadata(prometheus, format!("{}-tls-assets", name(prometheus))),
        data: Some(files.collect()),
        ..Secret::default()
    }
}

/// Files of rules.
pub(super) fn rules(prometheus: &Prometheus, files: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: metadata(prometheus, format!("{}-rulefiles-0", name(prometheus))),
        data: Some(files),
        ..ConfigMap::default()
    }
}

/// Files of targets.
pub(super) fn targets(prometheus: &Prometheus, files: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: metadata(prometheus, format!("{}-targets", name(prometheus))),
        data: Some(files),
        ..ConfigMap::default()
    }
}

/// The Service under which it is reached.
pub(super) fn service(prometheus: &Prometheus) -> Result<Service, serde_json::Error> {
    let labels = json!({"operated-prometheus": "true"});
    serde_json::from_value(json!({
        "metadata": {
            "name": GOVERNING, "namespace": prometheus.namespace(), "labels": labels,
            "ownerReferences": [owner(prometheus, false)],
        },
        "spec": {
            "clusterIP": "None",
            "ports": [{"name": "web", "port": 9090, "protocol": "TCP", "targetPort": "web"}],
            "selector": {"app.kubernetes.io/name": "prometheus"},
        },
    }))
}

/// The pods.
pub(super) fn set(prometheus: &Prometheus, replicas: i32) -> Result<StatefulSet, serde_json::Error> {
    let spec = &prometheus.spec;
    let name = name(prometheus);
    let mut arguments = vec![
        format!("--config.file={CONFIGURATION}/prometheus.yaml"),
        format!("--storage.tsdb.path={DATA}"),
        format!("--storage.tsdb.retention.time={}", spec.retention.as_deref().unwrap_or("24h")),
        "--web.enable-lifecycle".to_owned(),
    ];
    arguments.extend(spec.external_url.iter().map(|url| format!("--web.external-url={url}")));
    if !spec.enable_features.is_empty() {
        arguments.push(format!("--enable-feature={}", spec.enable_features.join(",")));
    }
    let image = spec.image.clone().unwrap_or_else(|| {
        let version = spec.version.as_deref().unwrap_or(VERSION);
        format!("{IMAGE}:v{}", version.trim_start_matches('v'))
    });
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": {"path": path, "port": "web", "scheme": "HTTP"},
            "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 3,
        })
    };
    let closed = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    let mount = |name: &str, path: &str, writes: bool| json!({"name": name, "mountPath": path, "readOnly": !writes});
    let files = [mount("config", CONFIGURATION, false), mount("rules", RULES, false)];
    let mut mounts = files.to_vec();
    mounts.extend([
        mount("tls-assets", CERTIFICATES, false),
        mount("targets", TARGETS, false),
        mount("db", DATA, true),
    ]);
    let mut pod = json!({
        "automountServiceAccountToken": true,
        "terminationGracePeriodSeconds": 600,
        "containers": [{
            "name": "prometheus", "image": image, "args": arguments, "securityContext": closed,
            "ports": [{"name": "web", "containerPort": 9090, "protocol": "TCP"}],
            "startupProbe": probe("/-/ready", 1, 900),
            "readinessProbe": probe("/-/ready", 5, 3),
            "livenessProbe": probe("/-/healthy", 5, 6),
            "volumeMounts": mounts,
        }, {
            "name": "config-reloader", "image": RELOADER, "securityContext": closed,
            "args": [
                format!("--watched-dir={CONFIGURATION}"),
                format!("--watched-dir={RULES}"),
                "--reload-url=http://localhost:9090/-/reload",
                "--listen-address=localhost:8080",
            ],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            "volumeMounts": files,
        }],
        "volumes": [
            {"name": "config", "secret": {"secretName": name}},
            {"name": "rules", "configMap": {"name": format!("{name}-rulefiles-0")}},
            {"name": "tls-assets", "secret": {"secretName": format!("{name}-tls-assets")}},
            {"name": "targets", "configMap": {"name": format!("{name}-targets")}},
            {"name": "db", "emptyDir": {}},
        ],
    });
    if let Some(resources) = &spec.resources {
        pod["containers"][0]["resources"] = json!(resources);
    }
    given(&mut pod, "serviceAccountName", json!(spec.service_account_name));
    given(&mut pod, "securityContext", json!(spec.security_context));
    given(&mut pod, "nodeSelector", json!(Some(&spec.node_selector).filter(|labels| !labels.is_empty())));
    given(&mut pod, "tolerations", json!(Some(&spec.tolerations).filter(|list| !list.is_empty())));
    let chosen = json!({
        "app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": prometheus.name_any(),
        "prometheus": prometheus.name_any(),
    });
    serde_json::from_value(json!({
        "metadata": metadata(prometheus, name),
        "spec": {
            "replicas": replicas,
            "serviceName": GOVERNING,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": chosen},
            "template": {
                "metadata": {
                    "labels": labels(prometheus),
                    "annotations": {"kubectl.kubernetes.io/default-container": "prometheus"},
                },
                "spec": pod,
            },
        },
    }))
}

/// Writes a field that is given.
fn given(pod: &mut Value, field: &str, value: Value) {
    if !value.is_null() {
        pod[field] = value;
    }
}
