//! Native submission: from a SparkApplication to the objects that start it, as Spark's own client makes them when the
//! operator runs `spark-submit`, without a JVM. Pure: everything random comes from the submission's id.
//!
//! Three parts, in this order: what the operator hands to spark-submit (`conf`, `template`), what Spark 4.0 makes of it
//! (`command`, `driver`, `service`, `volumes`, `properties`), and what the operator's webhook does to each pod (`patch`).

mod command;
mod conf;
mod driver;
mod monitoring;
mod names;
mod needs;
mod objects;
mod patch;
mod properties;
mod service;
mod size;
mod template;
mod volumes;

pub use command::arguments;
pub use conf::Conf;
pub(crate) use monitoring::config_map as monitoring_map;
pub use names::{Identity, driver_pod_name, short_name};
pub use needs::{Need, needs};
pub use objects::{Objects, bare, objects};
pub(crate) use template::controller;
pub use template::{driver as driver_template, text as template_text};

/// Spark's container in a driver pod.
pub const DRIVER_CONTAINER: &str = "spark-kubernetes-driver";
/// Spark's container in an executor pod.
pub const EXECUTOR_CONTAINER: &str = "spark-kubernetes-executor";

/// Why an application cannot be submitted, in the words of Spark's client where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Refuses.
pub(crate) fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(why.into()))
}
