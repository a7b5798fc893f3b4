//! ScheduledSparkApplication: a SparkApplication that is started again and again. The structure only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::application::SparkApplicationSpec;

/// A Spark application that is run on a schedule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduledSparkApplication {
    /// `sparkoperator.k8s.io/v1beta2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `ScheduledSparkApplication`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What is to be run, and when.
    pub spec: ScheduledSparkApplicationSpec,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ScheduledSparkApplicationStatus>,
}

always!(SparkApplicationSpec);

record! {
    /// What is to be run, and when.
    #[schemars(extend("required" = ["schedule", "template"]))]
    ScheduledSparkApplicationSpec {
        /// The times, in the five fields of cron, or as in `@every 3m`.
        schedule: Option<String>,
        /// The time zone of the schedule.
        time_zone: Option<String>,
        /// What is run.
        template: SparkApplicationSpec,
        /// Starts nothing while true.
        suspend: Option<bool>,
        /// What is done when the last run has not ended: `Allow`, `Forbid` or `Replace`.
        concurrency_policy: Option<String>,
        /// How many runs that ended well are kept.
        successful_run_history_limit: Option<i32>,
        /// How many runs that ended badly are kept.
        failed_run_history_limit: Option<i32>,
    }

    /// What became of a schedule.
    ScheduledSparkApplicationStatus {
        /// When the last run was started.
        #[schemars(extend("nullable" = true))]
        last_run: Option<Time>,
        /// When the next run is due.
        #[schemars(extend("nullable" = true))]
        next_run: Option<Time>,
        /// Name of the last run.
        last_run_name: String,
        /// Runs that ended well.
        past_successful_run_names: Vec<String>,
        /// Runs that ended badly.
        past_failed_run_names: Vec<String>,
        /// `Scheduled` or `FailedValidation`.
        schedule_state: String,
        /// Why it is in that state.
        reason: String,
    }
}
