//! SparkApplication and ScheduledSparkApplication, `sparkoperator.k8s.io/v1beta2`, as the Kubeflow operator v2 defines them.
//! Upstream rule: `api/v1beta2` of kubeflow/spark-operator.

mod application;
mod definitions;
pub mod labels;
mod options;
mod pods;
mod resource;
mod rights;
mod scheduled;
mod status;

pub use application::{ApplicationType, DeployMode, SparkApplication, SparkApplicationSpec};
pub use definitions::definitions;
pub use options::{
    BatchSchedulerOptions, Dependencies, DriverIngress, DynamicAllocation, Monitoring, Prometheus, RestartPolicy,
    RestartType, UiOptions,
};
pub use pods::{DriverSpec, ExecutorSpec, Gpu, NameKey, NamePath, PodOptions, Port, SecretInfo};
pub use rights::DRIVER_RIGHTS;
pub use scheduled::{ScheduledSparkApplication, ScheduledSparkApplicationSpec, ScheduledSparkApplicationStatus};
pub use status::{ApplicationState, DriverInfo, ExecutorState, SparkApplicationStatus, State};

/// The API group.
pub const GROUP: &str = "sparkoperator.k8s.io";
/// The version.
pub const VERSION: &str = "v1beta2";
