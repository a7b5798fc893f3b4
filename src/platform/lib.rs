//! The builtin flavour of the platform: its controllers together, over any client. Each part acts as the service account
//! that its manifests make, with the rights that they give it, wherever it runs.

mod account;
mod beside;
mod tree;

use std::borrow::Cow;

use kube::Client;
use tinderbox_client::Clock;
use tinderbox_client::metrics::Registry;
pub use tinderbox_monitoring as monitoring;
pub use tinderbox_spark as spark;
pub use tinderbox_spark::{JobNamespaces, run_at};
pub use tinderbox_workflows as workflows;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use account::{Account, AccountError};
pub use beside::{Work, beside};
pub use tree::gitops;

/// What the Spark operator acts as. See `manifests/platform/spark-operator`.
pub const SPARK_OPERATOR: Account = Account { namespace: Cow::Borrowed("spark-operator"), name: "spark-operator" };

/// What the controllers of workflows act as. See `manifests/platform/argo-workflows`.
pub const WORKFLOW_CONTROLLER: Account = Account { namespace: Cow::Borrowed("argo"), name: "workflow-controller" };

/// What the controller of applications acts as. See `manifests/platform/argo-cd`.
pub const APPLICATION_CONTROLLER: Account =
    Account { namespace: Cow::Borrowed(ARGOCD), name: "argocd-application-controller" };

/// The namespace of applications and their projects.
pub const ARGOCD: &str = "argocd";

/// What the controller of Prometheuses acts as. See `manifests/platform/monitoring`.
pub const PROMETHEUS_OPERATOR: Account =
    Account { namespace: Cow::Borrowed("monitoring"), name: "prometheus-operator" };

/// What the parts act as that serve jobs.
pub(crate) const ACCOUNTS: [Account; 2] = [SPARK_OPERATOR, WORKFLOW_CONTROLLER];

/// Where the parts count what they do, each as an exporter of its own.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// The Spark operator's.
    pub spark: Registry,
    /// The controllers' of workflows.
    pub workflows: Registry,
    /// The controller's of applications.
    pub gitops: Registry,
}

/// Starts every part that serves jobs, each with the client that `client` gives for its account, and its numbers in `metrics`; they run on `tracker`
/// until `token` is cancelled. A part whose kinds are not defined yet waits for them. They look at these namespaces alone, or at all when none is
/// named; of these the Spark operator serves `jobs`.
pub fn spawn(
    client: impl Fn(Account) -> Client,
    clock: Clock,
    namespaces: &[String],
    jobs: &JobNamespaces,
    metrics: &Metrics,
    tracker: &TaskTracker,
    token: &CancellationToken,
) {
    let spark = tinderbox_spark::Config {
        namespaces: namespaces.to_vec(),
        jobs: jobs.clone(),
        metrics: metrics.spark.clone(),
        ..tinderbox_spark::Config::new(clock.clone())
    };
    tinderbox_spark::spawn(&client(SPARK_OPERATOR), spark, tracker, token);
    let workflows = tinderbox_workflows::Config {
        namespaces: namespaces.to_vec(),
        metrics: metrics.workflows.clone(),
        ..tinderbox_workflows::Config::new(clock)
    };
    tinderbox_workflows::spawn(&client(WORKFLOW_CONTROLLER), workflows, tracker, token);
}
