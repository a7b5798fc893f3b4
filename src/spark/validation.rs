//! What a SparkApplication must not say. Pure. `manifests/platform/spark-operator/admission.yaml` says the same to the API server;
//! wherever that is not installed, the submission still asks here.
//! Upstream rules: `internal/webhook/sparkapplication_validator.go` and `sparkconf_validator.go` of kubeflow/spark-operator.

use std::collections::{BTreeMap, BTreeSet};

use tinderbox_api::names::dns_1035_label;
use tinderbox_api::spark::{DriverIngress, ScheduledSparkApplication, SparkApplication, SparkApplicationSpec};

/// The first version of Spark that takes templates of pods.
const TEMPLATES_SINCE: u64 = 3;

const ACCOUNTS: &str = "configure the service account via the CRD spec instead";
const CREDENTIALS: &str = "authentication credentials are managed by the operator";
const MANAGED: &str = "this value is managed by the operator";
const IMAGES: &str = "use the image field on the CRD instead";

/// Keys of Spark's configuration that belong to the operator, and why.
const DENIED: [(&str, &str); 13] = [
    ("spark.kubernetes.authenticate.driver.serviceAccountName", ACCOUNTS),
    ("spark.kubernetes.authenticate.executor.serviceAccountName", ACCOUNTS),
    ("spark.kubernetes.authenticate.oauthTokenFile", CREDENTIALS),
    ("spark.kubernetes.authenticate.oauthToken", CREDENTIALS),
    ("spark.kubernetes.authenticate.driver.oauthTokenFile", CREDENTIALS),
    ("spark.kubernetes.authenticate.driver.oauthToken", CREDENTIALS),
    ("spark.kubernetes.authenticate.executor.oauthTokenFile", CREDENTIALS),
    ("spark.kubernetes.authenticate.executor.oauthToken", CREDENTIALS),
    ("spark.master", MANAGED),
    ("spark.kubernetes.driver.master", MANAGED),
    ("spark.kubernetes.container.image", IMAGES),
    ("spark.kubernetes.driver.container.image", IMAGES),
    ("spark.kubernetes.executor.container.image", IMAGES),
];

/// Looks at an application.
///
/// # Errors
/// The first rule that it breaks, in upstream's words.
pub fn application(app: &SparkApplication) -> Result<(), String> {
    let name = app.metadata.name.as_deref().unwrap_or_default();
    label("SparkApplication", name)?;
    spec(&app.spec)?;
    configuration(&app.spec.spark_conf, app.metadata.namespace.as_deref().unwrap_or_default())
}

/// Looks at a schedule, its times excepted.
///
/// # Errors
/// The first rule that it breaks, in upstream's words.
pub fn scheduled(scheduled: &ScheduledSparkApplication) -> Result<(), String> {
    label("ScheduledSparkApplication", scheduled.metadata.name.as_deref().unwrap_or_default())?;
    let namespace = scheduled.metadata.namespace.as_deref().unwrap_or_default();
    configuration(&scheduled.spec.template.spark_conf, namespace)
}

/// Services are named after applications.
fn label(kind: &str, name: &str) -> Result<(), String> {
    let errors = dns_1035_label(name);
    if errors.is_empty() { Ok(()) } else { Err(format!("invalid {kind} name {name:?}: {}", errors.join(", "))) }
}

fn spec(spec: &SparkApplicationSpec) -> Result<(), String> {
    let (driver, executor) = (&spec.driver.pod, &spec.executor.pod);
    let version = spec.spark_version.as_deref().unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u64>().ok());
    if (driver.template.is_some() || executor.template.is_some()) && major.is_none_or(|major| major < TEMPLATES_SINCE) {
        return Err("pod template feature requires Spark version 3.0.0 or higher".to_owned());
    }
    let in_parts = !(driver.node_selector.is_empty() && executor.node_selector.is_empty());
    if in_parts && !spec.node_selector.is_empty() {
        return Err("node selector cannot be defined at both SparkApplication and Driver/Executor".to_owned());
    }
    ingresses(&spec.driver_ingress_options)
}

fn ingresses(options: &[DriverIngress]) -> Result<(), String> {
    let (mut ports, mut formats) = (BTreeSet::new(), BTreeSet::new());
    for option in options {
        let Some(port) = option.service_port else {
            // Upstream's spelling.
            return Err("DriverIngressOptions has nill ServicePort".to_owned());
        };
        if !ports.insert(port) {
            return Err(format!("DriverIngressOptions has duplicate ServicePort: {port}"));
        }
        let format = option.ingress_url_format.as_deref().unwrap_or_default();
        if format.is_empty() {
            return Err("DriverIngressOptions has empty IngressURLFormat".to_owned());
        }
        if !formats.insert(format) {
            return Err(format!("DriverIngressOptions has duplicate IngressURLFormat: {format}"));
        }
    }
    Ok(())
}

fn configuration(conf: &BTreeMap<String, String>, namespace: &str) -> Result<(), String> {
    for (key, value) in conf {
        if let Some((_, why)) = DENIED.iter().find(|(denied, _)| denied == key) {
            return Err(format!("sparkConf key {key:?} is not allowed: {why}"));
        }
        if key == "spark.kubernetes.namespace" && value != namespace {
            return Err(format!(
                "sparkConf key {key:?} is not allowed: must equal the application namespace {namespace:?}, got {value:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(name: &str, spec: Value) -> String {
        let app = json!({"metadata": {"name": name, "namespace": "jobs"}, "spec": spec});
        application(&serde_json::from_value(app).unwrap()).map_or_else(|error| error, |()| "accepted".to_owned())
    }

    #[test]
    fn each_rule_has_upstreams_words() {
        let port = |port: i32, url: &str| json!({"servicePort": port, "servicePortName": "p", "ingressURLFormat": url});
        for (spec, wanted) in [
            (json!({}), "accepted"),
            (json!({"sparkVersion": "4.0.1", "driver": {"template": {}}}), "accepted"),
            (
                json!({"sparkVersion": "2.4.8", "executor": {"template": {}}}),
                "pod template feature requires Spark version 3.0.0 or higher",
            ),
            (json!({"nodeSelector": {"a": "b"}}), "accepted"),
            (json!({"driver": {"nodeSelector": {"a": "b"}}, "executor": {"nodeSelector": {"a": "b"}}}), "accepted"),
            (
                json!({"nodeSelector": {"a": "b"}, "driver": {"nodeSelector": {"a": "b"}}}),
                "node selector cannot be defined at both SparkApplication and Driver/Executor",
            ),
            (json!({"driverIngressOptions": [port(1, "a"), port(2, "b")]}), "accepted"),
            (
                json!({"driverIngressOptions": [{"servicePortName": "p", "ingressURLFormat": "a"}]}),
                "DriverIngressOptions has nill ServicePort",
            ),
            (
                json!({"driverIngressOptions": [port(1, "a"), port(1, "b")]}),
                "DriverIngressOptions has duplicate ServicePort: 1",
            ),
            (json!({"driverIngressOptions": [port(1, "")]}), "DriverIngressOptions has empty IngressURLFormat"),
            (
                json!({"driverIngressOptions": [port(1, "a"), port(2, "a")]}),
                "DriverIngressOptions has duplicate IngressURLFormat: a",
            ),
            (json!({"sparkConf": {"spark.kubernetes.namespace": "jobs", "spark.ui.port": "1"}}), "accepted"),
            (
                json!({"sparkConf": {"spark.kubernetes.namespace": "other"}}),
                "sparkConf key \"spark.kubernetes.namespace\" is not allowed: must equal the application namespace \
                 \"jobs\", got \"other\"",
            ),
            (
                json!({"sparkConf": {"spark.master": "local[*]"}}),
                "sparkConf key \"spark.master\" is not allowed: this value is managed by the operator",
            ),
        ] {
            assert_eq!(judged("pi", spec.clone()), wanted, "{spec}");
        }
        for (key, why) in DENIED {
            let conf = json!({"sparkConf": {key: "x"}});
            assert_eq!(judged("pi", conf), format!("sparkConf key \"{key}\" is not allowed: {why}"));
        }
    }

    #[test]
    fn names_are_those_of_services() {
        assert_eq!(judged(&"a".repeat(63), json!({})), "accepted");
        assert_eq!(
            judged(&"a".repeat(64), json!({})),
            format!("invalid SparkApplication name {:?}: must be no more than 63 characters", "a".repeat(64))
        );
        assert!(judged("1pi", json!({})).starts_with("invalid SparkApplication name \"1pi\": a DNS-1035 label must"));
        assert!(judged("a.b", json!({})).starts_with("invalid SparkApplication name \"a.b\": a DNS-1035 label must"));
        let schedule = |name: &str, conf: Value| {
            let schedule =
                json!({"metadata": {"name": name, "namespace": "jobs"}, "spec": {"template": {"sparkConf": conf}}});
            scheduled(&serde_json::from_value(schedule).unwrap())
        };
        assert_eq!(schedule("nightly", json!({})), Ok(()));
        assert!(
            schedule("2am", json!({})).unwrap_err().starts_with("invalid ScheduledSparkApplication name \"2am\": ")
        );
        assert!(schedule("nightly", json!({"spark.master": "x"})).unwrap_err().contains("is managed by the operator"));
    }
}
