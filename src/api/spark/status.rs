//! What becomes of a SparkApplication: its state, attempts, driver and executors. The structure only.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use crate::record::Absent;

/// The state of an application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Not looked at yet.
    #[default]
    #[serde(rename = "")]
    New,
    /// The driver pod is made and does not run yet.
    Submitted,
    /// The driver runs.
    Running,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// The driver pod could not be made.
    SubmissionFailed,
    /// Waits until what is left of the last run is gone.
    PendingRerun,
    /// Changed: the run under way is taken away.
    Invalidating,
    /// The driver ended well.
    Succeeding,
    /// The driver ended badly.
    Failing,
    /// What runs is taken away.
    Suspending,
    /// Nothing runs.
    Suspended,
    /// About to be submitted after a suspension.
    Resuming,
    /// The driver's state is not known.
    #[serde(other)]
    Unknown,
}

impl State {
    /// Whether the application has come to its end.
    #[must_use]
    pub fn is_terminated(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// The state of an executor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutorState {
    /// Does not run yet.
    Pending,
    /// Runs.
    Running,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Not known.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ExecutorState {
    /// Whether the executor has come to its end.
    #[must_use]
    pub fn is_terminated(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

always!(State, DriverInfo, ApplicationState);

impl Absent for i32 {
    fn is_absent(&self) -> bool {
        *self == 0
    }
}

impl Absent for String {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

record! {
    /// What became of an application.
    #[schemars(extend("required" = ["driverInfo"]))]
    SparkApplicationStatus {
        /// Spark's id of the run.
        spark_application_id: String,
        /// Id of the submission.
        #[serde(rename = "submissionID")]
        submission_id: String,
        /// When it was last submitted.
        #[schemars(extend("nullable" = true))]
        last_submission_attempt_time: Option<Time>,
        /// When the driver ended, or submitting was given up.
        #[schemars(extend("nullable" = true))]
        termination_time: Option<Time>,
        /// The driver.
        driver_info: DriverInfo,
        /// The state.
        application_state: ApplicationState,
        /// States of executors by the names of their pods.
        #[schemars(with = "BTreeMap<String, String>")]
        executor_state: BTreeMap<String, ExecutorState>,
        /// How many times it was run.
        execution_attempts: i32,
        /// How many times it was submitted.
        submission_attempts: i32,
    }

    /// The driver of an application.
    DriverInfo {
        /// The service of its web page.
        #[serde(rename = "webUIServiceName")]
        web_ui_service_name: String,
        /// Address of its web page within the cluster.
        #[serde(rename = "webUIAddress")]
        web_ui_address: String,
        /// Port of that service.
        #[serde(rename = "webUIPort")]
        web_ui_port: i32,
        /// The ingress of its web page.
        #[serde(rename = "webUIIngressName")]
        web_ui_ingress_name: String,
        /// URL of that ingress.
        #[serde(rename = "webUIIngressAddress")]
        web_ui_ingress_address: String,
        /// Name of its pod.
        pod_name: String,
    }

    /// A state and what is to be said of it.
    #[schemars(extend("required" = ["state"]))]
    ApplicationState {
        /// The state.
        #[schemars(with = "String")]
        state: State,
        /// What went wrong.
        error_message: String,
    }
}
