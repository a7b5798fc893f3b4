//! What is meant where a SparkApplication says nothing. Pure; the object itself is not changed.
//! Upstream rule: `SetSparkApplicationDefaults` in `api/v1beta2/defaults.go` of kubeflow/spark-operator.

use tinderbox_api::spark::{ApplicationType, DeployMode, RestartType, SparkApplicationSpec};

/// Seconds between tries where nothing is said.
const RETRY_INTERVAL: i64 = 5;

/// The spec with everything said that is left to the operator.
#[must_use]
pub fn with_defaults(spec: &SparkApplicationSpec) -> SparkApplicationSpec {
    let mut spec = spec.clone();
    spec.r#type.get_or_insert(ApplicationType::Scala);
    spec.mode.get_or_insert(DeployMode::Cluster);
    let restart = spec.restart_policy.get_or_insert_default();
    if *restart.r#type.get_or_insert(RestartType::Never) != RestartType::Never {
        restart.on_failure_retry_interval.get_or_insert(RETRY_INTERVAL);
        restart.on_submission_failure_retry_interval.get_or_insert(RETRY_INTERVAL);
    }
    let says = |key: &str| spec.spark_conf.contains_key(key);
    let dynamic = spec.dynamic_allocation.as_ref().is_some_and(|dynamic| dynamic.enabled == Some(true));
    let instances = spec.spark_conf.get("spark.executor.instances").is_some_and(|number| !number.is_empty());
    for (role, pod) in [("driver", &mut spec.driver.pod), ("executor", &mut spec.executor.pod)] {
        if !says(&format!("spark.{role}.cores")) {
            pod.cores.get_or_insert(1);
        }
        if !says(&format!("spark.{role}.memory")) {
            pod.memory.get_or_insert_with(|| "1g".to_owned());
        }
    }
    if !dynamic && !instances {
        spec.executor.instances.get_or_insert(1);
    }
    if let Some(dynamic) = spec.dynamic_allocation.as_mut().filter(|dynamic| dynamic.enabled == Some(true)) {
        dynamic.shuffle_tracking_enabled.get_or_insert(true);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn defaulted(spec: Value) -> Value {
        let spec: SparkApplicationSpec = serde_json::from_value(spec).unwrap();
        serde_json::to_value(with_defaults(&spec)).unwrap()
    }

    #[test]
    fn what_is_said_stays_and_the_rest_is_filled_in() {
        assert_eq!(
            defaulted(json!({})),
            json!({
                "type": "Scala", "mode": "cluster", "restartPolicy": {"type": "Never"},
                "driver": {"cores": 1, "memory": "1g"}, "executor": {"cores": 1, "memory": "1g", "instances": 1},
            })
        );
        let said = json!({
            "type": "Python", "mode": "cluster",
            "sparkConf": {"spark.driver.cores": "2", "spark.executor.memory": "2g", "spark.executor.instances": "3"},
            "restartPolicy": {"type": "OnFailure", "onFailureRetryInterval": 9},
            "driver": {"memory": "3g"}, "executor": {"cores": 4},
        });
        let mut wanted = said.clone();
        wanted["restartPolicy"]["onSubmissionFailureRetryInterval"] = json!(5);
        assert_eq!(defaulted(said), wanted);
    }

    #[test]
    fn dynamic_allocation_has_no_fixed_number_of_executors() {
        let spec = defaulted(json!({"dynamicAllocation": {"enabled": true}}));
        assert_eq!(spec["executor"], json!({"cores": 1, "memory": "1g"}));
        assert_eq!(spec["dynamicAllocation"], json!({"enabled": true, "shuffleTrackingEnabled": true}));
    }
}
