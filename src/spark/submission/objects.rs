//! All objects of one submission together.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, KeyToPath, PersistentVolumeClaim, Pod, Service, Volume, VolumeMount,
};
use kube::core::ObjectMeta;
use tinderbox_api::spark::{SparkApplication, SparkApplicationSpec};

use super::patch::{Role, patch};
use super::{
    Conf, DRIVER_CONTAINER, Identity, Refusal, command, driver, monitoring, properties, refuse, service, template,
    volumes,
};
use crate::validation;

/// Longest content of a ConfigMap that Spark's client makes.
const MAP_MAX: usize = 1 << 20;
/// Mode of the files of a configuration.
const FILE_MODE: i32 = 0o644;

/// What starts an application.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// The driver, owned by the application.
    pub pod: Pod,
    /// The service by which executors find the driver; the driver's pod is to own it, and everything below.
    pub service: Service,
    /// The driver's configuration, and the template of executors.
    pub config_maps: Vec<ConfigMap>,
    /// Claims that are made for the driver.
    pub claims: Vec<PersistentVolumeClaim>,
}

/// The objects that start `app`, ready to be made. `spec` has its defaults filled in.
///
/// # Errors
/// When the application says what cannot be, or what is not supported.
pub fn objects(app: &SparkApplication, spec: &SparkApplicationSpec, identity: &Identity) -> Result<Objects, Refusal> {
    validation::application(app).or_else(refuse)?;
    let spec = monitoring::configured(app, spec);
    let mut objects = bare(app, &spec, identity)?;
    patch(Role::Driver, &spec, &mut objects.pod)?;
    Ok(objects)
}

/// The objects as Spark's client makes them, before anything that the operator's webhook does to the driver.
///
/// # Errors
/// When the application says what cannot be, or what is not supported.
pub fn bare(app: &SparkApplication, spec: &SparkApplicationSpec, identity: &Identity) -> Result<Objects, Refusal> {
    let mut conf = Conf::of(app, spec, identity)?;
    let command = command::prepare(spec, identity, &mut conf)?;
    let namespace = app.metadata.namespace.clone();
    let prefix = identity.prefix(conf.get("spark.app.name").unwrap_or_default());
    let labels = driver::driver_labels(spec, &conf, identity)?;
    let mut pod = template::driver(app, spec)?;
    let mut container = driver::take_container(pod.spec.get_or_insert_default(), DRIVER_CONTAINER);
    driver::basic(&mut pod, &mut container, &command, (&conf, identity, &labels))?;
    let factor = driver::overhead_factor(&conf, command.kind)?;
    conf.set("spark.app.id", identity.app_id());
    conf.set("spark.kubernetes.submitInDriver", "true");
    conf.set("spark.kubernetes.memoryOverheadFactor", format!("{factor:?}"));
    let service = service::service(&mut conf, identity, &prefix, &labels)?;
    let spec_of_pod = pod.spec.get_or_insert_default();
    driver::secrets(&conf, spec_of_pod, &mut container)?;
    let claims = volumes::mount(&conf, identity, &prefix, spec_of_pod, &mut container)?;
    driver::run(&conf, &command, &mut container);
    let executors = format!("{prefix}-driver-podspec-conf-map");
    mount_map(&mut pod, &mut container, &EXECUTOR_TEMPLATE, &executors);
    conf.set("spark.kubernetes.executor.podTemplateFile", "/opt/spark/pod-template/pod-spec-template.yml");
    volumes::local_dirs(&conf, identity, pod.spec.get_or_insert_default(), &mut container);
    container.env.get_or_insert_default().push(driver::variable("SPARK_CONF_DIR", "/opt/spark/conf"));
    let settings = format!("spark-drv-{}-conf-map", identity.unique("configuration"));
    mount_map(&mut pod, &mut container, &CONFIGURATION, &settings);
    pod.spec.get_or_insert_default().containers.push(container);
    let text = template::text(&template::executor(app, spec)?)?;
    let template = map(&executors, namespace.as_ref(), [("podspec-configmap-key", text)])?;
    let comment = format!("Java properties built from Kubernetes config map with name: {settings}");
    let properties = properties::write(&conf, &comment, identity.began);
    let data =
        [("spark.kubernetes.namespace", namespace.clone().unwrap_or_default()), ("spark.properties", properties)];
    let settings = map(&settings, namespace.as_ref(), data)?;
    Ok(Objects { pod, service, config_maps: vec![template, settings], claims })
}

/// A ConfigMap's place in the driver.
struct Place {
    volume: &'static str,
    path: &'static str,
    key: &'static str,
    file: &'static str,
    mode: Option<i32>,
}

const EXECUTOR_TEMPLATE: Place = Place {
    volume: "pod-template-volume",
    path: "/opt/spark/pod-template",
    key: "podspec-configmap-key",
    file: "pod-spec-template.yml",
    mode: None,
};

const CONFIGURATION: Place = Place {
    volume: "spark-conf-volume-driver",
    path: "/opt/spark/conf",
    key: "spark.properties",
    file: "spark.properties",
    mode: Some(FILE_MODE),
};

fn mount_map(pod: &mut Pod, container: &mut Container, place: &Place, name: &str) {
    pod.spec.get_or_insert_default().volumes.get_or_insert_default().push(Volume {
        name: place.volume.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: name.to_owned(),
            items: Some(vec![KeyToPath { key: place.key.to_owned(), path: place.file.to_owned(), mode: place.mode }]),
            default_mode: place.mode,
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    });
    container.volume_mounts.get_or_insert_default().push(VolumeMount {
        name: place.volume.to_owned(),
        mount_path: place.path.to_owned(),
        ..VolumeMount::default()
    });
}

fn map<const N: usize>(
    name: &str,
    namespace: Option<&String>,
    data: [(&str, String); N],
) -> Result<ConfigMap, Refusal> {
    let size: usize = data.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAP_MAX {
        return refuse(format!(
            "requirement failed: ConfigMap's data size {size} exceeds {MAP_MAX}, the most that spark.kubernetes.configMap.maxSize allows"
        ));
    }
    let data: BTreeMap<String, String> = data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), namespace: namespace.cloned(), ..ObjectMeta::default() },
        immutable: Some(true),
        data: Some(data),
        ..ConfigMap::default()
    })
}
