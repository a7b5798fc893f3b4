//! The definitions of both kinds, as they are applied to a cluster.
//! Upstream rule: the kubebuilder markers in `api/v1beta2` of kubeflow/spark-operator.

use serde_json::Value;

use super::application::SparkApplicationSpec;
use super::scheduled::{ScheduledSparkApplicationSpec, ScheduledSparkApplicationStatus};
use super::status::SparkApplicationStatus;
use super::{GROUP, VERSION};
use crate::crd::{Column, Definition, schema_of};

/// Groups below k8s.io need the leave of Kubernetes' reviewers; this is where upstream got it.
const APPROVED: &str = "https://github.com/kubeflow/spark-operator/pull/1298";

/// The definitions of SparkApplication and ScheduledSparkApplication.
#[must_use]
pub fn definitions() -> [Value; 2] {
    let approved = Definition { approved: Some(APPROVED), status: true, ..Definition::within(GROUP, VERSION) };
    let application = Definition {
        kind: "SparkApplication",
        plural: "sparkapplications",
        short_name: "sparkapp",
        columns: &[
            Column("Suspend", "boolean", ".spec.suspend"),
            Column("Status", "string", ".status.applicationState.state"),
            Column("Attempts", "string", ".status.executionAttempts"),
            Column("Start", "string", ".status.lastSubmissionAttemptTime"),
            Column("Finish", "string", ".status.terminationTime"),
            Column("Age", "date", ".metadata.creationTimestamp"),
        ],
        fields: vec![("spec", schema_of::<SparkApplicationSpec>()), ("status", schema_of::<SparkApplicationStatus>())],
        ..approved.clone()
    };
    let scheduled = Definition {
        kind: "ScheduledSparkApplication",
        plural: "scheduledsparkapplications",
        short_name: "scheduledsparkapp",
        columns: &[
            Column("Schedule", "string", ".spec.schedule"),
            Column("TimeZone", "string", ".spec.timeZone"),
            Column("Suspend", "string", ".spec.suspend"),
            Column("Last Run", "date", ".status.lastRun"),
            Column("Last Run Name", "string", ".status.lastRunName"),
            Column("Age", "date", ".metadata.creationTimestamp"),
        ],
        fields: vec![
            ("spec", schema_of::<ScheduledSparkApplicationSpec>()),
            ("status", schema_of::<ScheduledSparkApplicationStatus>()),
        ],
        ..approved
    };
    [application, scheduled].map(Definition::into_value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is applied, here and in production, is made from the types and never by hand.
    #[test]
    fn the_manifests_say_what_the_types_say() {
        crate::crd::hold("spark-operator", &definitions());
    }

    #[test]
    fn templates_are_kept_as_they_are_and_everything_else_is_known() {
        let [application, _] = definitions();
        let spec = &application["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        assert_eq!(spec["required"], json!(["driver", "executor", "mainApplicationFile", "sparkVersion", "type"]));
        let driver = &spec["properties"]["driver"]["properties"];
        assert_eq!(driver["template"]["x-kubernetes-preserve-unknown-fields"], true);
        assert_eq!(driver["dnsConfig"]["properties"]["nameservers"]["items"]["type"], "string");
        assert_eq!(driver["cores"]["minimum"], 1);
        assert_eq!(spec["properties"]["volumes"]["items"]["required"], json!(["name"]));
    }
}
