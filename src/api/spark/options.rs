//! The options of a SparkApplication that are no part of its pods: restarts, dependencies, scaling, metrics, services.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::IngressTLS;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::{Deserialize, Serialize};

/// When an application is run again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartType {
    /// One submission, one run.
    #[default]
    Never,
    /// When a submission or a run fails, so and so many times.
    OnFailure,
    /// In every case.
    Always,
}

record! {
    /// Whether an application is run again, and when.
    RestartPolicy {
        /// In which cases.
        #[schemars(with = "String", extend("enum" = ["Never", "Always", "OnFailure"]))]
        r#type: Option<RestartType>,
        /// How many times a failed submission is tried again.
        #[schemars(extend("minimum" = 0))]
        on_submission_failure_retries: Option<i32>,
        /// How many times a failed run is tried again.
        #[schemars(extend("minimum" = 0))]
        on_failure_retries: Option<i32>,
        /// Seconds between submissions, times the submissions so far.
        #[schemars(extend("minimum" = 1))]
        on_submission_failure_retry_interval: Option<i64>,
        /// Seconds between runs, times the submissions so far.
        #[schemars(extend("minimum" = 1))]
        on_failure_retry_interval: Option<i64>,
    }

    /// What an application needs beside its main file.
    Dependencies {
        /// Jars.
        jars: Vec<String>,
        /// Files.
        files: Vec<String>,
        /// Python files and zips.
        py_files: Vec<String>,
        /// Maven coordinates.
        packages: Vec<String>,
        /// Maven coordinates, without a version, that are left out.
        exclude_packages: Vec<String>,
        /// Maven repositories.
        repositories: Vec<String>,
        /// Archives that are unpacked for each executor.
        archives: Vec<String>,
    }

    /// How the number of executors follows the work.
    DynamicAllocation {
        /// Whether it does.
        enabled: Option<bool>,
        /// How many there are at first.
        initial_executors: Option<i32>,
        /// How many there are at least.
        min_executors: Option<i32>,
        /// How many there are at most.
        max_executors: Option<i32>,
        /// Executors with shuffle data that is still needed stay.
        shuffle_tracking_enabled: Option<bool>,
        /// How long such executors stay, in milliseconds.
        shuffle_tracking_timeout: Option<i64>,
    }

    /// How a batch scheduler treats the application.
    BatchSchedulerOptions {
        /// The queue.
        queue: Option<String>,
        /// The priority class.
        priority_class_name: Option<String>,
        /// What is asked for all together.
        resources: BTreeMap<String, Quantity>,
    }

    /// Service and ingress of Spark's web page.
    UiOptions {
        /// Port of the service.
        service_port: Option<i32>,
        /// Name of that port.
        service_port_name: Option<String>,
        /// Type of the service.
        service_type: Option<String>,
        /// Annotations of the service.
        service_annotations: BTreeMap<String, String>,
        /// Labels of the service.
        service_labels: BTreeMap<String, String>,
        /// Annotations of the ingress.
        ingress_annotations: BTreeMap<String, String>,
        /// Certificates of the ingress.
        #[serde(rename = "ingressTLS")]
        ingress_tls: Vec<IngressTLS>,
    }

    /// A service and an ingress to a port of the driver.
    #[schemars(extend("required" = ["servicePort", "servicePortName"]))]
    DriverIngress {
        /// Port of driver and service.
        service_port: Option<i32>,
        /// Name of that port.
        service_port_name: Option<String>,
        /// Type of the service.
        service_type: Option<String>,
        /// Annotations of the service.
        service_annotations: BTreeMap<String, String>,
        /// Labels of the service.
        service_labels: BTreeMap<String, String>,
        /// URL of the ingress, with the application's name and namespace to be filled in.
        #[serde(rename = "ingressURLFormat")]
        ingress_url_format: Option<String>,
        /// Annotations of the ingress.
        ingress_annotations: BTreeMap<String, String>,
        /// Certificates of the ingress.
        #[serde(rename = "ingressTLS")]
        ingress_tls: Vec<IngressTLS>,
    }

    /// Metrics.
    #[schemars(extend("required" = ["exposeDriverMetrics", "exposeExecutorMetrics"]))]
    Monitoring {
        /// The driver shows its metrics.
        expose_driver_metrics: Option<bool>,
        /// Executors show their metrics.
        expose_executor_metrics: Option<bool>,
        /// Content of metrics.properties.
        metrics_properties: Option<String>,
        /// Path of metrics.properties in the image.
        metrics_properties_file: Option<String>,
        /// Prometheus' exporter.
        prometheus: Option<Prometheus>,
    }

    /// Prometheus' exporter, an agent in the JVM.
    #[schemars(extend("required" = ["jmxExporterJar"]))]
    Prometheus {
        /// Path of the agent's jar in the image.
        jmx_exporter_jar: Option<String>,
        /// Its port, 8090 when absent.
        #[schemars(extend("minimum" = 1024, "maximum" = 49151))]
        port: Option<i32>,
        /// Name of the port, `jmx-exporter` when absent.
        port_name: Option<String>,
        /// Path of its configuration in the image.
        config_file: Option<String>,
        /// Content of its configuration.
        configuration: Option<String>,
    }
}
