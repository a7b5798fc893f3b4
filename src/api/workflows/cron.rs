//! CronWorkflow: a workflow that is started again and again. The structure only.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::options::Metadata;
use super::spec::{WorkflowSpec, object};

object! {
    /// A workflow that is run on schedules.
    CronWorkflow {
        /// What is to be run, and when.
        spec: CronWorkflowSpec,
        /// What became of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<CronWorkflowStatus>,
    }
}

record! {
    /// What is to be run, and when.
    #[schemars(extend("required" = ["workflowSpec"]))]
    CronWorkflowSpec {
        /// What is run.
        workflow_spec: WorkflowSpec,
        /// Labels and annotations of the workflows.
        workflow_metadata: Option<Metadata>,
        /// The times, in the five fields of cron; 3.x form.
        schedule: Option<String>,
        /// The times, each in the five fields of cron.
        schedules: Vec<String>,
        /// The time zone of the schedules.
        timezone: Option<String>,
        /// Starts nothing while true.
        suspend: Option<bool>,
        /// What is done when the last run has not ended: `Allow`, `Forbid` or `Replace`.
        concurrency_policy: Option<String>,
        /// How late a run may be started.
        starting_deadline_seconds: Option<i64>,
        /// How many runs that succeeded are kept.
        successful_jobs_history_limit: Option<i32>,
        /// How many runs that failed are kept.
        failed_jobs_history_limit: Option<i32>,
        /// Whether a run that is due is started.
        when: Option<String>,
        /// When it stops for good.
        stop_strategy: Option<StopStrategy>,
    }

    /// When a schedule stops for good.
    StopStrategy {
        /// Over the numbers of runs that failed and succeeded.
        expression: String,
        /// The same; 3.x form.
        condition: Option<String>,
    }

    /// What became of a schedule.
    CronWorkflowStatus {
        /// Runs that have not ended.
        active: Vec<ObjectReference>,
        /// When the last run was due.
        #[schemars(extend("nullable" = true))]
        last_scheduled_time: Option<Time>,
        /// What is to be said of it.
        conditions: Vec<CronCondition>,
        /// Runs that succeeded.
        succeeded: i64,
        /// Runs that failed.
        failed: i64,
        /// `Active` or `Stopped`.
        phase: String,
    }

    /// Something that is true or not.
    CronCondition {
        /// `SubmissionError` or `SpecError`.
        r#type: String,
        /// `True` or `False`.
        status: String,
        /// Why.
        message: Option<String>,
    }
}
