//! The headless service by which executors find the driver.
//! Upstream rule: `DriverServiceFeatureStep.scala` in Spark.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;
use tinderbox_api::names::LABEL_MAX;
use tinderbox_api::spark::labels;

use super::{Conf, Identity, Refusal, refuse};

const SUFFIX: &str = "-driver-svc";

/// The driver's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) driver: i32,
    /// The port of blocks in the service.
    pub(super) blocks: i32,
    /// The port of blocks in the container: the two are looked for in different keys.
    pub(super) container: i32,
    pub(super) ui: i32,
}

impl Ports {
    pub(super) fn of(conf: &Conf) -> Result<Self, Refusal> {
        let port = |key: &str, default: i32| match conf.get(key) {
            None => Ok(default),
            Some(text) => match text.trim().parse() {
                Ok(port) => Ok(port),
                Err(_) => refuse(format!("{key} should be int, but was {text}")),
            },
        };
        let blocks = port("spark.driver.blockManager.port", 7079)?;
        let own = conf.get("spark.driver.blockManager.port").is_some();
        Ok(Self {
            driver: port("spark.driver.port", 7078)?,
            blocks,
            container: if own { blocks } else { port("spark.blockManager.port", 7079)? },
            ui: port("spark.ui.port", 4040)?,
        })
    }
}

/// The service, and what the driver has to know of it.
pub(super) fn service(
    conf: &mut Conf,
    identity: &Identity,
    prefix: &str,
    selector: &BTreeMap<String, String>,
) -> Result<Service, Refusal> {
    if conf.get("spark.driver.bindAddress").is_some() {
        return refuse(
            "requirement failed: spark.driver.bindAddress is not supported in Kubernetes mode, as the driver's bind address \
             is managed and set to the driver pod's IP address.",
        );
    }
    let ports = Ports::of(conf)?;
    let mut name = format!("{prefix}{SUFFIX}");
    if name.len() > LABEL_MAX {
        name = format!("spark-{}{SUFFIX}", identity.unique("service"));
    }
    let namespace = conf.get("spark.kubernetes.namespace").unwrap_or("default").to_owned();
    let port = |name: &str, port: i32| ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::Int(port)),
        ..ServicePort::default()
    };
    let pairs = |prefix: &str| -> BTreeMap<String, String> {
        conf.below(prefix).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let mut marks = pairs("spark.kubernetes.driver.service.label.");
    marks.insert(labels::SELECTOR.to_owned(), identity.app_id());
    let annotations = pairs("spark.kubernetes.driver.service.annotation.");
    let families = conf.get("spark.kubernetes.driver.service.ipFamilies").unwrap_or("IPv4");
    let policy = conf.get("spark.kubernetes.driver.service.ipFamilyPolicy").unwrap_or("SingleStack");
    let service = Service {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            labels: Some(marks),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            ip_family_policy: Some(policy.to_owned()),
            ip_families: Some(families.split(',').map(str::to_owned).collect()),
            selector: Some(selector.clone()),
            ports: Some(vec![
                port("driver-rpc-port", ports.driver),
                port("blockmanager", ports.blocks),
                port("spark-ui", ports.ui),
            ]),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    conf.set("spark.driver.host", format!("{name}.{namespace}.svc"));
    conf.set("spark.driver.port", ports.driver.to_string());
    conf.set("spark.driver.blockManager.port", ports.blocks.to_string());
    Ok(service)
}
