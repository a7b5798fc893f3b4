//! The driver's pod, as the feature steps of Spark's client make it.
//! Upstream rules: `KubernetesDriverBuilder.scala` and the steps that it runs, and `KubernetesUtils.scala`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector, Pod, PodSpec,
    ResourceRequirements, SecretKeySelector, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use tinderbox_api::spark::{SparkApplicationSpec, labels};

use super::command::{Command, Kind};
use super::names::label;
use super::service::Ports;
use super::size::mebibytes;
use super::{Conf, DRIVER_CONTAINER, Identity, Refusal, refuse};

/// Memory beside the heap that is added at least, in MiB.
const OVERHEAD_MIN: i64 = 384;

/// Takes Spark's container out of a pod: the one of that name, or else the first.
pub(super) fn take_container(pod: &mut PodSpec, name: &str) -> Container {
    let at = pod.containers.iter().position(|container| container.name == name).unwrap_or(0);
    if pod.containers.is_empty() { Container::default() } else { pod.containers.remove(at) }
}

/// The labels of the driver: the user's, and Spark's own.
pub(super) fn driver_labels(
    spec: &SparkApplicationSpec,
    conf: &Conf,
    identity: &Identity,
) -> Result<BTreeMap<String, String>, Refusal> {
    let own = [
        (labels::SPARK_VERSION, spec.spark_version.clone().unwrap_or_default()),
        (labels::SELECTOR, identity.app_id()),
        (labels::SPARK_APP_NAME, label(conf.get("spark.app.name").unwrap_or_default())),
        (labels::ROLE, "driver".to_owned()),
    ];
    let mut all = below(conf, "spark.kubernetes.driver.label.", identity);
    for (key, value) in own {
        if all.insert(key.to_owned(), value).is_some() {
            return refuse(format!(
                "requirement failed: Label with key {key} is not allowed as it is reserved for Spark bookkeeping \
                 operations."
            ));
        }
    }
    Ok(all)
}

/// What follows a prefix, with the placeholders of ids filled in.
fn below(conf: &Conf, prefix: &str, identity: &Identity) -> BTreeMap<String, String> {
    let filled = |value: &str| value.replace("{{APP_ID}}", &identity.app_id()).replace("{{EXECUTOR_ID}}", "");
    conf.below(prefix).map(|(key, value)| (key.to_owned(), filled(value))).collect()
}

/// The share of the heap that is added for what is not heap; executors get it handed on.
pub(super) fn overhead_factor(conf: &Conf, kind: Kind) -> Result<f64, Refusal> {
    match conf.get("spark.kubernetes.memoryOverheadFactor") {
        Some(text) => factor("spark.kubernetes.memoryOverheadFactor", text),
        None if kind == Kind::Java => Ok(0.1),
        None => Ok(0.4),
    }
}

fn factor(key: &str, text: &str) -> Result<f64, Refusal> {
    match text.trim().parse::<f64>() {
        Ok(factor) if factor >= 0.0 => Ok(factor),
        _ => refuse(format!("{key} should be double, but was {text}")),
    }
}

/// Heap and overhead of the driver or an executor, in MiB.
pub(super) fn memory(conf: &Conf, kind: Kind, part: &str) -> Result<i64, Refusal> {
    let key = |name: &str| format!("spark.{part}.{name}");
    let heap = mebibytes(conf.get(&key("memory")).unwrap_or("1g"))?;
    let overhead = match (conf.get(&key("memoryOverhead")), conf.get(&key("memoryOverheadFactor"))) {
        (Some(text), _) => mebibytes(text)?,
        (None, said) => {
            let factor = match said {
                Some(text) => factor(&key("memoryOverheadFactor"), text)?,
                None => overhead_factor(conf, kind)?,
            };
            let least = conf.get(&key("minMemoryOverhead")).map_or(Ok(OVERHEAD_MIN), mebibytes)?;
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "as in Spark")]
            let share = (factor * heap as f64) as i64;
            share.max(least)
        }
    };
    Ok(heap + overhead)
}

fn resources(conf: &Conf, kind: Kind, have: Option<ResourceRequirements>) -> Result<ResourceRequirements, Refusal> {
    let mut resources = have.unwrap_or_default();
    let requests = resources.requests.get_or_insert_default();
    let memory = Quantity(format!("{}Mi", memory(conf, kind, "driver")?));
    let cores = conf.get("spark.kubernetes.driver.request.cores").or_else(|| conf.get("spark.driver.cores"));
    requests.insert("cpu".to_owned(), Quantity(cores.unwrap_or("1").to_owned()));
    requests.insert("memory".to_owned(), memory.clone());
    let limits = resources.limits.get_or_insert_default();
    limits.insert("memory".to_owned(), memory);
    if let Some(limit) = conf.get("spark.kubernetes.driver.limit.cores") {
        limits.insert("cpu".to_owned(), Quantity(limit.to_owned()));
    }
    for (key, amount) in conf.below("spark.driver.resource.") {
        let Some(name) = key.strip_suffix(".amount") else { continue };
        let Some(vendor) = conf.get(&format!("spark.driver.resource.{name}.vendor")) else {
            return refuse(format!("Resource: {name} was requested, but vendor was not specified."));
        };
        limits.insert(format!("{vendor}/{name}"), Quantity(amount.to_owned()));
    }
    Ok(resources)
}

/// The step that makes most of the pod.
pub(super) fn basic(
    pod: &mut Pod,
    container: &mut Container,
    command: &Command,
    (conf, identity, labels): (&Conf, &Identity, &BTreeMap<String, String>),
) -> Result<(), Refusal> {
    let image = conf.get("spark.kubernetes.driver.container.image");
    let Some(image) = image.or_else(|| conf.get("spark.kubernetes.container.image")) else {
        return refuse("Must specify the driver container image");
    };
    if container.name.is_empty() {
        container.name = DRIVER_CONTAINER.to_owned();
    }
    container.image = Some(image.to_owned());
    let policy = conf.get("spark.kubernetes.container.image.pullPolicy").unwrap_or("IfNotPresent");
    container.image_pull_policy = Some(policy.to_owned());
    let ports = Ports::of(conf)?;
    for (name, port) in [("driver-rpc-port", ports.driver), ("blockmanager", ports.container), ("spark-ui", ports.ui)] {
        container.ports.get_or_insert_default().push(ContainerPort {
            name: Some(name.to_owned()),
            container_port: port,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        });
    }
    let env = container.env.get_or_insert_default();
    env.push(variable("SPARK_USER", command.proxy_user.as_ref().unwrap_or(&identity.user)));
    env.push(variable("SPARK_APPLICATION_ID", &identity.app_id()));
    env.extend(conf.below("spark.kubernetes.driverEnv.").map(|(name, value)| variable(name, value)));
    let field_path = "status.podIP".to_owned();
    env.push(EnvVar {
        name: "SPARK_DRIVER_BIND_ADDRESS".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path }),
            ..EnvVarSource::default()
        }),
    });
    container.resources = Some(resources(conf, command.kind, container.resources.take())?);
    let meta = &mut pod.metadata;
    meta.name = conf.get("spark.kubernetes.driver.pod.name").map(str::to_owned);
    meta.namespace = conf.get("spark.kubernetes.namespace").map(str::to_owned);
    meta.labels.get_or_insert_default().extend(labels.clone());
    let annotations = below(conf, "spark.kubernetes.driver.annotation.", identity);
    if !annotations.is_empty() {
        meta.annotations.get_or_insert_default().extend(annotations);
    }
    let spec = pod.spec.get_or_insert_default();
    spec.restart_policy = Some("Never".to_owned());
    for prefix in ["spark.kubernetes.node.selector.", "spark.kubernetes.driver.node.selector."] {
        for (key, value) in conf.below(prefix) {
            spec.node_selector.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        }
    }
    let secrets = conf.get("spark.kubernetes.container.image.pullSecrets").unwrap_or_default();
    for name in secrets.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        spec.image_pull_secrets.get_or_insert_default().push(LocalObjectReference { name: name.to_owned() });
    }
    let scheduler = conf.get("spark.kubernetes.driver.scheduler.name");
    if let Some(scheduler) = scheduler.or_else(|| conf.get("spark.kubernetes.scheduler.name")) {
        spec.scheduler_name = Some(scheduler.to_owned());
    }
    if let Some(account) = conf.get("spark.kubernetes.authenticate.driver.serviceAccountName") {
        spec.service_account = Some(account.to_owned());
        spec.service_account_name = Some(account.to_owned());
    }
    Ok(())
}

/// Secrets that are mounted, and entries of Secrets that become variables.
pub(super) fn secrets(conf: &Conf, pod: &mut PodSpec, container: &mut Container) -> Result<(), Refusal> {
    for (name, path) in conf.below("spark.kubernetes.driver.secrets.") {
        let volume = format!("{name}-volume");
        pod.volumes.get_or_insert_default().push(Volume {
            name: volume.clone(),
            secret: Some(SecretVolumeSource { secret_name: Some(name.to_owned()), ..SecretVolumeSource::default() }),
            ..Volume::default()
        });
        let mount = VolumeMount { name: volume, mount_path: path.to_owned(), ..VolumeMount::default() };
        container.volume_mounts.get_or_insert_default().push(mount);
    }
    for (name, source) in conf.below("spark.kubernetes.driver.secretKeyRef.") {
        let Some((secret, key)) = source.split_once(':') else {
            return refuse(format!(
                "requirement failed: SecretKeyRef must be in the form name:key, and spark.kubernetes.driver.secretKeyRef.{name} is {source}"
            ));
        };
        container.env.get_or_insert_default().push(EnvVar {
            name: name.to_owned(),
            value: None,
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: secret.to_owned(),
                    key: key.to_owned(),
                    optional: None,
                }),
                ..EnvVarSource::default()
            }),
        });
    }
    Ok(())
}

/// The step that says what to run.
pub(super) fn run(conf: &Conf, command: &Command, container: &mut Container) {
    let mut line = vec!["driver".to_owned()];
    if let Some(user) = &command.proxy_user {
        line.extend(["--proxy-user".to_owned(), user.clone()]);
    }
    line.extend(["--properties-file", "/opt/spark/conf/spark.properties", "--class"].map(str::to_owned));
    line.extend([command.class.clone(), command.resource.clone()]);
    line.extend(command.arguments.iter().cloned());
    container.args.get_or_insert_default().extend(line);
    if command.kind == Kind::Python {
        let env = container.env.get_or_insert_default();
        let python = conf.get("spark.pyspark.python");
        let driver = conf.get("spark.pyspark.driver.python").or(python);
        env.extend(python.map(|value| variable("PYSPARK_PYTHON", value)));
        env.extend(driver.map(|value| variable("PYSPARK_DRIVER_PYTHON", value)));
    }
}

pub(super) fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}
