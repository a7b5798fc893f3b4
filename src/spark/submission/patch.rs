//! What the operator's webhook does to the pods of an application, done before they exist.
//! Upstream rule: `internal/webhook/sparkpod_defaulter.go` of kubeflow/spark-operator, in its order.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, ContainerPort, Lifecycle, Pod, PodSpec, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sha2::{Digest, Sha256};
use tinderbox_api::names::LABEL_MAX;
use tinderbox_api::spark::{NamePath, PodOptions, Port, SparkApplicationSpec};

use super::driver::variable;
use super::volumes::LOCAL_DIR;
use super::{DRIVER_CONTAINER, EXECUTOR_CONTAINER, Refusal, refuse};

/// Whose pod it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Driver,
    Executor,
}

/// What the two roles say in places of their own.
struct Said<'a> {
    options: &'a PodOptions,
    ports: &'a [Port],
    priority: Option<&'a String>,
    lifecycle: Option<&'a Lifecycle>,
}

impl Role {
    fn said(self, spec: &SparkApplicationSpec) -> Said<'_> {
        match self {
            Self::Driver => Said {
                options: &spec.driver.pod,
                ports: &spec.driver.ports,
                priority: spec.driver.priority_class_name.as_ref(),
                lifecycle: spec.driver.lifecycle.as_ref(),
            },
            Self::Executor => Said {
                options: &spec.executor.pod,
                ports: &spec.executor.ports,
                priority: spec.executor.priority_class_name.as_ref(),
                lifecycle: spec.executor.lifecycle.as_ref(),
            },
        }
    }

    /// Spark's container: by its name, or else the first.
    fn container(self, pod: &mut PodSpec) -> Result<&mut Container, Refusal> {
        let names: &[&str] = match self {
            Self::Driver => &[DRIVER_CONTAINER],
            Self::Executor => &["executor", EXECUTOR_CONTAINER],
        };
        let at = pod.containers.iter().position(|container| names.contains(&container.name.as_str())).unwrap_or(0);
        match pod.containers.get_mut(at) {
            Some(container) => Ok(container),
            None => refuse("Spark container not found in pod"),
        }
    }
}

/// Gives a pod what the application says of it and Spark's configuration cannot say.
pub(super) fn patch(role: Role, spec: &SparkApplicationSpec, pod: &mut Pod) -> Result<(), Refusal> {
    let said = role.said(spec);
    let pod = pod.spec.get_or_insert_default();
    container(role.container(pod)?, &said, spec);
    limits(role, role.container(pod)?, said.options)?;
    config_maps(role, pod, spec, said.options)?;
    volumes(role, pod, spec, said.options)?;
    whole(pod, &said, spec);
    Ok(())
}

/// Environment, ports, security and lifecycle of Spark's container.
fn container(container: &mut Container, said: &Said<'_>, spec: &SparkApplicationSpec) {
    let options = said.options;
    let env = container.env.get_or_insert_default();
    env.extend(options.env.iter().cloned());
    if spec.hadoop_config_map.is_some() {
        env.push(variable("HADOOP_CONF_DIR", HADOOP_CONF));
    }
    if spec.spark_config_map.is_some() {
        env.push(variable("SPARK_CONF_DIR", SPARK_CONF));
    }
    if env.is_empty() {
        container.env = None;
    }
    if !options.env_from.is_empty() {
        container.env_from.get_or_insert_default().extend(options.env_from.iter().cloned());
    }
    for port in said.ports {
        container.ports.get_or_insert_default().push(ContainerPort {
            name: port.name.clone(),
            protocol: port.protocol.clone(),
            container_port: port.container_port.unwrap_or_default(),
            ..ContainerPort::default()
        });
    }
    if options.security_context.is_some() {
        container.security_context.clone_from(&options.security_context);
    }
    if let Some(lifecycle) = said.lifecycle {
        container.lifecycle = Some(lifecycle.clone());
    }
}

const SPARK_CONF: &str = "/etc/spark/conf";
const HADOOP_CONF: &str = "/etc/hadoop/conf";

/// Limits of memory and GPUs.
fn limits(role: Role, container: &mut Container, options: &PodOptions) -> Result<(), Refusal> {
    let mut limits = Vec::new();
    if let Some(memory) = &options.memory_limit {
        if role == Role::Executor {
            // Spark sets the limit of its executors itself, whatever the template says.
            return refuse("executor.memoryLimit is not supported: say memoryOverhead, which Spark adds to the limit");
        }
        limits.push(("memory".to_owned(), java_to_kubernetes(memory)));
    }
    if let Some(gpu) = options.gpu.as_ref().filter(|gpu| gpu.quantity.unwrap_or_default() > 0) {
        let name = gpu.name.clone().unwrap_or_default();
        if !name.is_empty() {
            limits.push((name, gpu.quantity.unwrap_or_default().to_string()));
        }
    }
    if !limits.is_empty() {
        let have = container.resources.get_or_insert_default().limits.get_or_insert_default();
        have.extend(limits.into_iter().map(|(name, amount)| (name, Quantity(amount))));
    }
    Ok(())
}

/// `1g` is `1Gi`. Upstream rule: `ConvertJavaMemoryStringToK8sMemoryString` in `pkg/util/util.go`.
fn java_to_kubernetes(text: &str) -> String {
    let lower = text.to_lowercase();
    for (java, kubernetes) in [
        ("kb", "Ki"),
        ("mb", "Mi"),
        ("gb", "Gi"),
        ("tb", "Ti"),
        ("pb", "Pi"),
        ("k", "Ki"),
        ("m", "Mi"),
        ("g", "Gi"),
        ("t", "Ti"),
        ("p", "Pi"),
        ("b", ""),
    ] {
        if let Some(number) =
            lower.strip_suffix(java).filter(|number| number.ends_with(|last: char| last.is_ascii_digit()))
        {
            return format!("{number}{kubernetes}");
        }
    }
    text.to_owned()
}

fn mount_map(role: Role, pod: &mut PodSpec, map: &str, volume: &str, path: &str) -> Result<(), Refusal> {
    pod.volumes.get_or_insert_default().push(Volume {
        name: volume.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: map.to_owned(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    });
    role.container(pod)?.volume_mounts.get_or_insert_default().push(VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    Ok(())
}

fn config_maps(
    role: Role,
    pod: &mut PodSpec,
    spec: &SparkApplicationSpec,
    options: &PodOptions,
) -> Result<(), Refusal> {
    if let Some(map) = &spec.hadoop_config_map {
        mount_map(role, pod, map, "hadoop-configmap-volume", HADOOP_CONF)?;
    }
    if let Some(map) = &spec.spark_config_map {
        mount_map(role, pod, map, "spark-configmap-volume", SPARK_CONF)?;
    }
    for NamePath { name, path } in &options.config_maps {
        let name = name.clone().unwrap_or_default();
        mount_map(role, pod, &name, &map_volume(&name), path.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// The name of the volume of a ConfigMap, which may be longer than a volume's and hold dots.
fn map_volume(name: &str) -> String {
    let plain = format!("{name}-vol");
    if plain.len() <= LABEL_MAX && !plain.contains('.') {
        return plain;
    }
    let digest = Sha256::digest(name.as_bytes());
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let suffix = format!("-{mark}-vol");
    let mut short = name.replace('.', "-");
    short.truncate(LABEL_MAX - suffix.len());
    format!("{}{suffix}", short.trim_end_matches('-'))
}

/// The application's volumes, where they are mounted. Scratch space is Spark's own affair.
fn volumes(role: Role, pod: &mut PodSpec, spec: &SparkApplicationSpec, options: &PodOptions) -> Result<(), Refusal> {
    let mut added = BTreeSet::new();
    for mount in options.volume_mounts.iter().filter(|mount| !mount.name.starts_with(LOCAL_DIR)) {
        let Some(volume) = spec.volumes.iter().find(|volume| volume.name == mount.name) else { continue };
        if added.insert(&volume.name) {
            pod.volumes.get_or_insert_default().push(volume.clone());
        }
        role.container(pod)?.volume_mounts.get_or_insert_default().push(mount.clone());
    }
    Ok(())
}

/// What concerns the pod as a whole.
fn whole(pod: &mut PodSpec, said: &Said<'_>, spec: &SparkApplicationSpec) {
    let options = said.options;
    if options.host_network == Some(true) {
        pod.host_network = Some(true);
        pod.dns_policy = Some("ClusterFirstWithHostNet".to_owned());
    }
    if !options.host_aliases.is_empty() {
        pod.host_aliases.get_or_insert_default().extend(options.host_aliases.iter().cloned());
    }
    let same = |one: &Container, other: &Container| one.name == other.name && one.image == other.image;
    for container in &options.init_containers {
        let have = pod.init_containers.get_or_insert_default();
        if !have.iter().any(|one| same(one, container)) {
            have.push(container.clone());
        }
    }
    for container in &options.sidecars {
        if !pod.containers.iter().any(|one| same(one, container)) {
            pod.containers.push(container.clone());
        }
    }
    if options.dns_config.is_some() {
        pod.dns_config.clone_from(&options.dns_config);
    }
    if let Some(priority) = said.priority.filter(|name| !name.is_empty()) {
        pod.priority_class_name = Some(priority.clone());
        pod.priority = None;
        pod.preemption_policy = None;
    }
    let scheduler = spec.batch_scheduler.as_ref().or(options.scheduler_name.as_ref());
    if let Some(scheduler) = scheduler.filter(|name| !name.is_empty()) {
        pod.scheduler_name = Some(scheduler.clone());
    }
    if !options.node_selector.is_empty() {
        pod.node_selector.get_or_insert_default().extend(options.node_selector.clone());
    }
    if options.affinity.is_some() {
        pod.affinity.clone_from(&options.affinity);
    }
    if !options.tolerations.is_empty() {
        pod.tolerations.get_or_insert_default().extend(options.tolerations.iter().cloned());
    }
    if options.pod_security_context.is_some() {
        pod.security_context.clone_from(&options.pod_security_context);
    }
    if options.termination_grace_period_seconds.is_some() {
        pod.termination_grace_period_seconds = options.termination_grace_period_seconds;
    }
    if options.share_process_namespace == Some(true) {
        pod.share_process_namespace = Some(true);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn patched(role: Role, spec: Value) -> Value {
        let spec: SparkApplicationSpec = serde_json::from_value(spec).unwrap();
        let pod = json!({"spec": {"containers": [{"name": "log"}, {"name": DRIVER_CONTAINER}]}});
        let mut pod: Pod = serde_json::from_value(pod).unwrap();
        patch(role, &spec, &mut pod).unwrap();
        serde_json::to_value(pod).unwrap()["spec"].clone()
    }

    #[test]
    fn the_container_of_spark_is_meant_and_no_other() {
        let options = json!({
            "env": [{"name": "A", "value": "1"}],
            "envFrom": [{"configMapRef": {"name": "m"}}],
            "ports": [{"name": "p", "protocol": "TCP", "containerPort": 9}],
            "securityContext": {"runAsUser": 185},
            "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
            "memoryLimit": "2g", "gpu": {"name": "nvidia.com/gpu", "quantity": 2},
            "configMaps": [{"name": "a.b", "path": "/m"}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "spark-local-dir-1", "mountPath": "/s"}],
        });
        let spec = json!({"driver": options, "sparkConfigMap": "sc", "volumes": [
            {"name": "v", "emptyDir": {}}, {"name": "spark-local-dir-1", "emptyDir": {}}]});
        let pod = patched(Role::Driver, spec);
        assert_eq!(pod["containers"][0], json!({"name": "log"}));
        let container = &pod["containers"][1];
        assert_eq!(container["env"][1], json!({"name": "SPARK_CONF_DIR", "value": "/etc/spark/conf"}));
        assert_eq!(container["resources"]["limits"], json!({"memory": "2Gi", "nvidia.com/gpu": "2"}));
        assert_eq!(container["securityContext"]["runAsUser"], 185);
        let names = |list: &Value| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .map(|one| one["name"].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        let volume = map_volume("a.b");
        assert_eq!(names(&pod["volumes"]), ["spark-configmap-volume", &volume, "v"]);
        assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
    }

    #[test]
    fn the_pod_as_a_whole() {
        let options = json!({
            "hostNetwork": true, "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["h"]}],
            "initContainers": [{"name": "i", "image": "x"}], "sidecars": [{"name": "s", "image": "x"}],
            "dnsConfig": {"nameservers": ["1.1.1.1"]}, "priorityClassName": "high", "schedulerName": "own",
            "nodeSelector": {"a": "b"}, "affinity": {"podAffinity": {}}, "tolerations": [{"operator": "Exists"}],
            "podSecurityContext": {"fsGroup": 185}, "terminationGracePeriodSeconds": 5, "shareProcessNamespace": true,
        });
        let pod = patched(Role::Executor, json!({"executor": options, "batchScheduler": "volcano"}));
        assert_eq!(pod["dnsPolicy"], "ClusterFirstWithHostNet");
        assert_eq!((&pod["schedulerName"], &pod["priorityClassName"]), (&json!("volcano"), &json!("high")));
        assert_eq!(pod["containers"][2]["name"], "s");
        for field in ["hostAliases", "dnsConfig", "nodeSelector", "affinity", "tolerations", "initContainers"] {
            assert_eq!(pod[field], options[field], "{field}");
        }
        assert_eq!(pod["securityContext"], options["podSecurityContext"]);
        assert_eq!((&pod["terminationGracePeriodSeconds"], &pod["shareProcessNamespace"]), (&json!(5), &json!(true)));
    }

    #[test]
    fn sizes_of_java_become_those_of_kubernetes() {
        for (java, kubernetes) in [("1g", "1Gi"), ("512MB", "512Mi"), ("2Gi", "2Gi"), ("100b", "100")] {
            assert_eq!(java_to_kubernetes(java), kubernetes, "{java}");
        }
    }
}
