//! The labels by which Spark and its operator know what belongs together.
//! Upstream rule: `pkg/common/spark.go` of kubeflow/spark-operator.

/// Name of the SparkApplication.
pub const APP_NAME: &str = "sparkoperator.k8s.io/app-name";
/// On every pod that a SparkApplication launches.
pub const LAUNCHED: &str = "sparkoperator.k8s.io/launched-by-spark-operator";
/// On pods that are made without a template of the user's.
pub const MUTATED: &str = "sparkoperator.k8s.io/mutated-by-spark-operator";
/// The submission that a pod belongs to.
pub const SUBMISSION: &str = "sparkoperator.k8s.io/submission-id";
/// On what is made beside the pods.
pub const CREATED: &str = "sparkoperator.k8s.io/created-by-spark-operator";
/// Name of the ScheduledSparkApplication that a SparkApplication comes from.
pub const SCHEDULED_APP_NAME: &str = "sparkoperator.k8s.io/scheduled-app-name";
/// `driver` or `executor`; Spark's own.
pub const ROLE: &str = "spark-role";
/// The application's id; Spark's own.
pub const SELECTOR: &str = "spark-app-selector";
/// The executor's number; Spark's own.
pub const EXECUTOR_ID: &str = "spark-exec-id";
/// The application's name; Spark's own.
pub const SPARK_APP_NAME: &str = "spark-app-name";
/// Spark's version; Spark's own.
pub const SPARK_VERSION: &str = "spark-version";
/// Labels with this beginning stay on the application: they are for Kueue alone.
pub const KUEUE_PREFIX: &str = "kueue.x-k8s.io/";
