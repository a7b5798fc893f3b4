//! SparkApplication: what a run of Spark is made of. The structure only; what becomes of it is the controller's.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Volume;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::options::{
    BatchSchedulerOptions, Dependencies, DriverIngress, DynamicAllocation, Monitoring, RestartPolicy, UiOptions,
};
use super::pods::{DriverSpec, ExecutorSpec};
use super::status::SparkApplicationStatus;

/// A Spark application that is run on Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SparkApplication {
    /// `sparkoperator.k8s.io/v1beta2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `SparkApplication`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What is to be run.
    pub spec: SparkApplicationSpec,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SparkApplicationStatus>,
}

/// The language of an application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApplicationType {
    /// A class in a jar.
    Java,
    /// A class in a jar.
    #[default]
    Scala,
    /// A Python file.
    Python,
    /// An R file.
    R,
}

/// Where the driver runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployMode {
    /// In a pod of its own.
    #[default]
    Cluster,
    /// Where it is submitted.
    Client,
    /// In a pod that the user makes.
    InClusterClient,
}

record! {
    /// What is to be run, and how.
    #[schemars(extend("required" = ["driver", "executor", "mainApplicationFile", "sparkVersion", "type"]))]
    SparkApplicationSpec {
        /// Stops the application while true: driver and services are removed, and made anew once it is false again.
        suspend: Option<bool>,
        /// The language.
        #[schemars(with = "String", extend("enum" = ["Java", "Python", "Scala", "R"]))]
        r#type: Option<ApplicationType>,
        /// Version of Spark in the image.
        spark_version: Option<String>,
        /// Where the driver runs.
        #[schemars(with = "String", extend("enum" = ["cluster", "client"]))]
        mode: Option<DeployMode>,
        /// The user to run as, from Spark's point of view.
        proxy_user: Option<String>,
        /// Image of driver and executors.
        image: Option<String>,
        /// When images are pulled.
        image_pull_policy: Option<String>,
        /// Secrets to pull images with.
        image_pull_secrets: Vec<String>,
        /// The class to run, for Java and Scala.
        main_class: Option<String>,
        /// The jar, Python or R file to run.
        main_application_file: Option<String>,
        /// What the application is given on its command line.
        arguments: Vec<String>,
        /// Spark's configuration.
        spark_conf: BTreeMap<String, String>,
        /// Hadoop's configuration, without the prefix `spark.hadoop.`.
        hadoop_conf: BTreeMap<String, String>,
        /// A ConfigMap with files such as log4j2.properties.
        spark_config_map: Option<String>,
        /// A ConfigMap with files such as core-site.xml.
        hadoop_config_map: Option<String>,
        /// Volumes that driver and executors can mount.
        volumes: Vec<Volume>,
        /// The driver.
        driver: DriverSpec,
        /// The executors.
        executor: ExecutorSpec,
        /// What the application needs beside its main file.
        deps: Option<Dependencies>,
        /// Whether it is run again, and when.
        restart_policy: Option<RestartPolicy>,
        /// Labels of the nodes that driver and executors may run on; not beside those of driver or executor.
        node_selector: BTreeMap<String, String>,
        /// Not used any more: see `restartPolicy`.
        failure_retries: Option<i32>,
        /// Not used any more: see `restartPolicy`.
        retry_interval: Option<i64>,
        /// Major version of Python.
        #[schemars(extend("enum" = ["2", "3"]))]
        python_version: Option<String>,
        /// Share of the memory that is added for what is not Java's heap.
        memory_overhead_factor: Option<String>,
        /// Metrics.
        monitoring: Option<Monitoring>,
        /// The batch scheduler.
        batch_scheduler: Option<String>,
        /// How long after its end the application is kept.
        time_to_live_seconds: Option<i64>,
        /// How the batch scheduler treats it.
        batch_scheduler_options: Option<BatchSchedulerOptions>,
        /// Service and ingress of Spark's web page.
        #[serde(rename = "sparkUIOptions")]
        spark_ui_options: Option<UiOptions>,
        /// Further services and ingresses to ports of the driver.
        driver_ingress_options: Vec<DriverIngress>,
        /// How the number of executors follows the work.
        dynamic_allocation: Option<DynamicAllocation>,
        /// Protects the driver from being evicted.
        driver_pod_disruption_budget: Option<bool>,
    }
}
