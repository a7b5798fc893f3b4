//! Metrics of drivers and executors by Prometheus' JMX exporter: what an application that asks for it says beside what it says
//! anyway, and the ConfigMap that its pods read. Pure.
//! Upstream rules: `monitoring_config.go` in the operator's `internal/controller/sparkapplication`, and `addPrometheusConfig` in its
//! `sparkpod_defaulter.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use serde_json::{Value, json};
use tinderbox_api::spark::labels;
use tinderbox_api::spark::{
    Monitoring, NamePath, PodOptions, Port, Prometheus, SparkApplication, SparkApplicationSpec,
};

use super::controller;

const FOLDER: &str = "/etc/metrics/conf";
const PROPERTIES: &str = "metrics.properties";
const RULES: &str = "prometheus.yaml";
const PORT: i32 = 8090;
const PORT_NAME: &str = "jmx-exporter";

/// The properties of an application that brings none: everything is shown by JMX, the JVM included.
const DEFAULT_PROPERTIES: &str = "*.sink.jmx.class=org.apache.spark.metrics.sink.JmxSink
driver.source.jvm.class=org.apache.spark.metrics.source.JvmSource
executor.source.jvm.class=org.apache.spark.metrics.source.JvmSource
";

/// The rules of an application that brings none, which give upstream's names: what follows namespace and application in
/// the name of a bean, what is read of it, and the name of the metric.
const DEFAULT_RULES: [(&str, &str, &str); 7] = [
    (r"driver\.(BlockManager|DAGScheduler|LiveListenerBus|jvm)\.(\S+)", "Value", "spark_driver_$3_$4"),
    (
        r"driver\.(DAGScheduler|HiveExternalCatalog|CodeGenerator|LiveListenerBus)\.(.*)",
        "Count",
        "spark_driver_$3_$4_count",
    ),
    (r"driver\.(\S+)\.StreamingMetrics\.streaming\.(\S+)", "Value", "spark_streaming_driver_$4"),
    (r"driver\.spark\.streaming\.(\S+)\.(\S+)", "Value", "spark_structured_streaming_driver_$4"),
    (r"(\S+)\.executor\.(\S+)", "Value", "spark_executor_$4"),
    (r"(.*)\.executor\.(.*)", "Count", "spark_executor_$4_count"),
    (r"([0-9]+)\.(jvm|NettyBlockTransfer)\.(.*)", "Value", "spark_executor_$4_$5"),
];
/// The same for what executors count beside their tasks.
const EXECUTOR_COUNTS: (&str, &str, &str) =
    (r"([0-9]+)\.(HiveExternalCatalog|CodeGenerator)\.(.*)", "Count", "spark_executor_$4_$5_count");

/// What an application says of the exporter.
fn asked(spec: &SparkApplicationSpec) -> Option<(&Monitoring, &Prometheus)> {
    let monitoring = spec.monitoring.as_ref()?;
    Some((monitoring, monitoring.prometheus.as_ref()?))
}

fn said(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

/// The name of the ConfigMap.
fn name(app: &SparkApplication) -> String {
    format!("{}-prom-conf", app.name_any())
}

/// The spec with everything said that the exporter takes; the same where nobody asks for one.
pub(super) fn configured(app: &SparkApplication, spec: &SparkApplicationSpec) -> SparkApplicationSpec {
    let mut whole = spec.clone();
    let Some((monitoring, prometheus)) = asked(spec) else { return whole };
    let namespace = format!("{}.{}", app.namespace().unwrap_or_default(), app.name_any());
    whole.spark_conf.insert("spark.metrics.namespace".to_owned(), namespace);
    let properties = said(monitoring.metrics_properties_file.as_ref()).cloned();
    let file = properties.unwrap_or_else(|| format!("{FOLDER}/{PROPERTIES}"));
    whole.spark_conf.insert("spark.metrics.conf".to_owned(), file);
    let port = prometheus.port.unwrap_or(PORT);
    let rules = said(prometheus.config_file.as_ref()).cloned().unwrap_or_else(|| format!("{FOLDER}/{RULES}"));
    let agent = format!("-javaagent:{}={port}:{rules}", prometheus.jmx_exporter_jar.as_deref().unwrap_or_default());
    let map = config_map(app, spec).map(|_| name(app));
    let shown = Shown { agent, port, port_name: prometheus.port_name.as_deref().unwrap_or(PORT_NAME), map };
    if monitoring.expose_driver_metrics == Some(true) {
        let driver = &mut whole.driver;
        shown.at(&mut driver.pod, &mut driver.java_options, &mut driver.ports);
    }
    if monitoring.expose_executor_metrics == Some(true) {
        let executor = &mut whole.executor;
        shown.at(&mut executor.pod, &mut executor.java_options, &mut executor.ports);
    }
    whole
}

/// How a role shows its metrics.
struct Shown<'a> {
    agent: String,
    port: i32,
    port_name: &'a str,
    /// The ConfigMap, unless everything is in the image.
    map: Option<String>,
}

impl Shown<'_> {
    fn at(&self, pod: &mut PodOptions, java_options: &mut Option<String>, ports: &mut Vec<Port>) {
        let values = [("scrape", "true".to_owned()), ("port", self.port.to_string()), ("path", "/metrics".to_owned())];
        pod.annotations.extend(values.map(|(key, value)| (format!("prometheus.io/{key}"), value)));
        *java_options = Some(match java_options {
            Some(before) => format!("{before} {}", self.agent),
            None => self.agent.clone(),
        });
        // Upstream names the port where it mounts the map, and nowhere else.
        let Some(map) = &self.map else { return };
        pod.config_maps.push(NamePath { name: Some(map.clone()), path: Some(FOLDER.to_owned()) });
        ports.push(Port {
            name: Some(self.port_name.to_owned()),
            protocol: Some("TCP".to_owned()),
            container_port: Some(self.port),
        });
    }
}

/// The ConfigMap of properties and rules, unless both are in the image or nobody asks for the exporter.
pub(crate) fn config_map(app: &SparkApplication, spec: &SparkApplicationSpec) -> Option<ConfigMap> {
    let (monitoring, prometheus) = asked(spec)?;
    let mut data = BTreeMap::new();
    if said(monitoring.metrics_properties_file.as_ref()).is_none() {
        let text = monitoring.metrics_properties.clone();
        data.insert(PROPERTIES.to_owned(), text.unwrap_or_else(|| DEFAULT_PROPERTIES.to_owned()));
    }
    if said(prometheus.config_file.as_ref()).is_none() {
        data.insert(RULES.to_owned(), prometheus.configuration.clone().unwrap_or_else(default_rules));
    }
    Some(ConfigMap {
        metadata: ObjectMeta {
            name: Some(name(app)),
            namespace: app.namespace(),
            labels: Some(BTreeMap::from([(labels::CREATED.to_owned(), "true".to_owned())])),
            owner_references: Some(vec![controller(app)]),
            ..ObjectMeta::default()
        },
        data: Some(data).filter(|data| !data.is_empty()),
        ..ConfigMap::default()
    })
    .filter(|map| map.data.is_some())
}

/// The rules as the exporter reads them.
fn default_rules() -> String {
    let rules: Vec<Value> = DEFAULT_RULES.iter().chain([&EXECUTOR_COUNTS]).map(rule).collect();
    let whole = json!({"lowercaseOutputName": true, "attrNameSnakeCase": true, "rules": rules});
    serde_yaml::to_string(&whole).unwrap_or_default()
}

fn rule((bean, attribute, name): &(&str, &str, &str)) -> Value {
    let mut labels = json!({"app_namespace": "$1", "app_id": "$2"});
    if name.starts_with("spark_executor") {
        labels["executor_id"] = json!("$3");
    }
    if name.contains("structured") {
        labels["query_name"] = json!("$3");
    }
    let kind = if *attribute == "Count" { "COUNTER" } else { "GAUGE" };
    let pattern = format!(r"metrics<name=(\S+)\.(\S+)\.{bean}><>{attribute}");
    json!({"pattern": pattern, "name": name, "type": kind, "labels": labels})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(monitoring: Value) -> SparkApplication {
        let spec = json!({"monitoring": monitoring, "driver": {"javaOptions": "-Da=b"}, "executor": {}});
        let app = json!({"metadata": {"name": "pi", "namespace": "n", "uid": "u"}, "spec": spec});
        serde_json::from_value(app).unwrap()
    }

    #[test]
    fn who_asks_for_the_exporter_gets_agent_port_and_annotations() {
        let prometheus = json!({"jmxExporterJar": "/a.jar", "port": 9091, "portName": "m"});
        let app = app(json!({"exposeDriverMetrics": true, "exposeExecutorMetrics": false, "prometheus": prometheus}));
        let spec = configured(&app, &app.spec);
        let said = serde_json::to_value(&spec).unwrap();
        assert_eq!(
            said["driver"],
            json!({
                "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9091", "prometheus.io/path": "/metrics"},
                "javaOptions": "-Da=b -javaagent:/a.jar=9091:/etc/metrics/conf/prometheus.yaml",
                "configMaps": [{"name": "pi-prom-conf", "path": "/etc/metrics/conf"}],
                "ports": [{"name": "m", "protocol": "TCP", "containerPort": 9091}],
            })
        );
        assert_eq!(said["executor"], json!({}));
        assert_eq!(
            said["sparkConf"],
            json!({"spark.metrics.namespace": "n.pi", "spark.metrics.conf": "/etc/metrics/conf/metrics.properties"})
        );
        let map = config_map(&app, &app.spec).unwrap();
        assert_eq!(map.metadata.labels.unwrap()[labels::CREATED], "true");
        let data = map.data.unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["metrics.properties", "prometheus.yaml"]);
        let rules: Value = serde_yaml::from_str(&data["prometheus.yaml"]).unwrap();
        let names: Vec<&str> =
            rules["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 8);
        assert_eq!(
            rules["rules"][4],
            json!({"pattern": r"metrics<name=(\S+)\.(\S+)\.(\S+)\.executor\.(\S+)><>Value", "name": "spark_executor_$4",
                "type": "GAUGE", "labels": {"app_namespace": "$1", "app_id": "$2", "executor_id": "$3"}})
        );
    }

    #[test]
    fn what_is_in_the_image_needs_no_map() {
        let files = json!({"exposeDriverMetrics": false, "exposeExecutorMetrics": true, "metricsPropertiesFile": "/m",
            "prometheus": {"jmxExporterJar": "/a.jar", "configFile": "/p"}});
        let app = app(files);
        assert!(config_map(&app, &app.spec).is_none());
        let said = serde_json::to_value(configured(&app, &app.spec)).unwrap();
        assert_eq!(said["sparkConf"]["spark.metrics.conf"], "/m");
        assert_eq!(said["executor"]["javaOptions"], "-javaagent:/a.jar=8090:/p");
        assert!(said["executor"]["configMaps"].is_null() && said["executor"]["ports"].is_null());
        assert_eq!(said["driver"], json!({"javaOptions": "-Da=b"}));
    }

    #[test]
    fn one_file_in_the_image_leaves_the_other_in_the_map() {
        let app = app(json!({"exposeDriverMetrics": true, "exposeExecutorMetrics": true, "metricsProperties": "own",
            "prometheus": {"jmxExporterJar": "/a.jar", "configFile": "/p"}}));
        let data = config_map(&app, &app.spec).unwrap().data.unwrap();
        assert_eq!(data, BTreeMap::from([("metrics.properties".to_owned(), "own".to_owned())]));
    }

    #[test]
    fn who_does_not_ask_is_left_alone() {
        let app = app(json!({"exposeDriverMetrics": true, "exposeExecutorMetrics": true}));
        assert_eq!(configured(&app, &app.spec), app.spec);
        assert!(config_map(&app, &app.spec).is_none());
    }
}
