//! Spark's configuration of a submission, as the operator derives it from a SparkApplication.
//! Upstream rule: `internal/controller/sparkapplication/submission.go` of kubeflow/spark-operator.

use std::collections::BTreeMap;

use tinderbox_api::spark::{ExecutorSpec, PodOptions, SparkApplication, SparkApplicationSpec, labels};

use super::{DRIVER_CONTAINER, EXECUTOR_CONTAINER, Identity, Refusal, driver_pod_name, volumes};

/// Configuration keys with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conf(BTreeMap<String, String>);

impl Conf {
    /// Sets a key, whatever it was before.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Sets a key if there is a value that is not empty.
    fn set_some(&mut self, key: &str, value: Option<&String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.set(key, value);
        }
    }

    /// Sets a key to the values, separated by commas, if there are some.
    fn set_list(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            self.set(key, values.join(","));
        }
    }

    /// Sets `PREFIX.KEY` for every pair.
    fn set_all<'a>(&mut self, prefix: &str, pairs: impl IntoIterator<Item = (&'a String, &'a String)>) {
        for (key, value) in pairs {
            self.set(format!("{prefix}.{key}"), value);
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All keys with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What follows `prefix`, with its values.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.0.range(prefix.to_owned()..);
        from.map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// The configuration of a submission. `spec` has its defaults filled in.
    ///
    /// # Errors
    /// When the application says what cannot be.
    pub fn of(app: &SparkApplication, spec: &SparkApplicationSpec, identity: &Identity) -> Result<Self, Refusal> {
        let mut conf = Self::default();
        conf.set("spark.kubernetes.namespace", app.metadata.namespace.clone().unwrap_or_default());
        conf.set_some("spark.kubernetes.container.image", spec.image.as_ref());
        conf.set_some("spark.kubernetes.container.image.pullPolicy", spec.image_pull_policy.as_ref());
        conf.set_list("spark.kubernetes.container.image.pullSecrets", &spec.image_pull_secrets);
        conf.set_some("spark.kubernetes.pyspark.pythonVersion", spec.python_version.as_ref());
        conf.set_some("spark.kubernetes.memoryOverheadFactor", spec.memory_overhead_factor.as_ref());
        conf.set("spark.kubernetes.submission.waitAppCompletion", "false");
        for (key, value) in &spec.spark_conf {
            conf.set(key, value);
        }
        conf.set_all("spark.hadoop", &spec.hadoop_conf);
        conf.set("spark.kubernetes.driver.pod.name", driver_pod_name(app));
        conf.driver(app, spec, identity)?;
        conf.executor(app, spec, identity)?;
        conf.set_all("spark.kubernetes.node.selector", &spec.node_selector);
        conf.dynamic_allocation(spec);
        let folder = format!("/tmp/spark/{}", identity.submission);
        for (role, container) in [("driver", DRIVER_CONTAINER), ("executor", EXECUTOR_CONTAINER)] {
            let key = format!("spark.kubernetes.{role}.podTemplate");
            conf.set(format!("{key}File"), format!("{folder}/{role}-pod-template.yaml"));
            conf.set(format!("{key}ContainerName"), container);
        }
        conf.flags(app, spec);
        Ok(conf)
    }

    /// What spark-submit takes by flags of their own, which win over `--conf`.
    fn flags(&mut self, app: &SparkApplication, spec: &SparkApplicationSpec) {
        self.set("spark.app.name", app.metadata.name.clone().unwrap_or_default());
        let deps = spec.deps.clone().unwrap_or_default();
        self.set_list("spark.jars", &deps.jars);
        self.set_list("spark.jars.packages", &deps.packages);
        self.set_list("spark.jars.excludes", &deps.exclude_packages);
        self.set_list("spark.jars.repositories", &deps.repositories);
        self.set_list("spark.submit.pyFiles", &deps.py_files);
        self.set_list("spark.files", &deps.files);
        self.set_list("spark.archives", &deps.archives);
    }

    fn driver(
        &mut self,
        app: &SparkApplication,
        spec: &SparkApplicationSpec,
        identity: &Identity,
    ) -> Result<(), Refusal> {
        let driver = &spec.driver;
        self.common("driver", app, spec, &driver.pod, identity);
        self.set_some("spark.kubernetes.driver.request.cores", driver.core_request.as_ref());
        self.set_some("spark.driver.extraJavaOptions", driver.java_options.as_ref());
        self.set_some("spark.kubernetes.driver.master", driver.kubernetes_master.as_ref());
        self.set_all("spark.kubernetes.driver.service.label", &driver.service_labels);
        self.set_all("spark.kubernetes.driver.service.annotation", &driver.service_annotations);
        self.set_all("spark.kubernetes.driverEnv", &driver.pod.env_vars);
        self.secrets("driver", "spark.kubernetes.driverEnv", &driver.pod);
        volumes::conf("driver", spec, &driver.pod.volume_mounts, self)
    }

    fn executor(
        &mut self,
        app: &SparkApplication,
        spec: &SparkApplicationSpec,
        identity: &Identity,
    ) -> Result<(), Refusal> {
        let ExecutorSpec { pod, instances, core_request, java_options, delete_on_termination, .. } = &spec.executor;
        self.common("executor", app, spec, pod, identity);
        if let Some(instances) = instances {
            self.set("spark.executor.instances", instances.to_string());
        }
        self.set_some("spark.kubernetes.executor.request.cores", core_request.as_ref());
        self.set_some("spark.executor.extraJavaOptions", java_options.as_ref());
        if let Some(delete) = delete_on_termination {
            self.set("spark.kubernetes.executor.deleteOnTermination", delete.to_string());
        }
        self.set_all("spark.executorEnv", &pod.env_vars);
        self.secrets("executor", "spark.executorEnv", pod);
        volumes::conf("executor", spec, &pod.volume_mounts, self)
    }

    /// What driver and executors say alike.
    fn common(
        &mut self,
        role: &str,
        app: &SparkApplication,
        spec: &SparkApplicationSpec,
        pod: &PodOptions,
        identity: &Identity,
    ) {
        let label = format!("spark.kubernetes.{role}.label");
        self.set(format!("{label}.{}", labels::APP_NAME), app.metadata.name.clone().unwrap_or_default());
        self.set(format!("{label}.{}", labels::LAUNCHED), "true");
        if pod.template.is_none() || older_than_3(spec) {
            self.set(format!("{label}.{}", labels::MUTATED), "true");
        }
        self.set(format!("{label}.{}", labels::SUBMISSION), identity.submission.to_string());
        let image = pod.image.as_ref().filter(|image| !image.is_empty()).or(spec.image.as_ref());
        self.set_some(&format!("spark.kubernetes.{role}.container.image"), image);
        if let Some(cores) = pod.cores {
            self.set(format!("spark.{role}.cores"), cores.to_string());
        }
        self.set_some(&format!("spark.kubernetes.{role}.limit.cores"), pod.core_limit.as_ref());
        self.set_some(&format!("spark.{role}.memory"), pod.memory.as_ref());
        self.set_some(&format!("spark.{role}.memoryOverhead"), pod.memory_overhead.as_ref());
        let account = format!("spark.kubernetes.authenticate.{role}.serviceAccountName");
        self.set_some(&account, pod.service_account.as_ref());
        let own = app.metadata.labels.iter().flatten().filter(|(key, _)| !key.starts_with(labels::KUEUE_PREFIX));
        self.set_all(&label, own);
        self.set_all(&label, &pod.labels);
        self.set_all(&format!("spark.kubernetes.{role}.annotation"), &pod.annotations);
        for (variable, source) in &pod.env_secret_key_refs {
            let value = [&source.name, &source.key].map(|part| part.clone().unwrap_or_default()).join(":");
            self.set(format!("spark.kubernetes.{role}.secretKeyRef.{variable}"), value);
        }
    }

    /// Secrets to mount, and the variables by which some kinds of them are found.
    fn secrets(&mut self, role: &str, variables: &str, pod: &PodOptions) {
        for secret in &pod.secrets {
            let path = secret.path.clone().unwrap_or_default();
            let name = secret.name.clone().unwrap_or_default();
            let file = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
            match secret.secret_type.as_deref() {
                Some("GCPServiceAccount") => {
                    self.set(format!("{variables}.GOOGLE_APPLICATION_CREDENTIALS"), file("key.json"));
                }
                Some("HadoopDelegationToken") => {
                    self.set(format!("{variables}.HADOOP_TOKEN_FILE_LOCATION"), file("hadoop.token"));
                }
                _ => {}
            }
            self.set(format!("spark.kubernetes.{role}.secrets.{name}"), path);
        }
    }

    fn dynamic_allocation(&mut self, spec: &SparkApplicationSpec) {
        let Some(dynamic) = spec.dynamic_allocation.as_ref().filter(|dynamic| dynamic.enabled == Some(true)) else {
            return;
        };
        self.set("spark.dynamicAllocation.enabled", "true");
        for (key, value) in [
            ("initialExecutors", dynamic.initial_executors.map(i64::from)),
            ("minExecutors", dynamic.min_executors.map(i64::from)),
            ("maxExecutors", dynamic.max_executors.map(i64::from)),
            ("shuffleTracking.timeout", dynamic.shuffle_tracking_timeout),
        ] {
            if let Some(value) = value {
                self.set(format!("spark.dynamicAllocation.{key}"), value.to_string());
            }
        }
        let tracking = dynamic.shuffle_tracking_enabled.unwrap_or(true);
        self.set("spark.dynamicAllocation.shuffleTracking.enabled", tracking.to_string());
    }
}

/// Whether templates are not understood by that version of Spark.
fn older_than_3(spec: &SparkApplicationSpec) -> bool {
    let major = spec.spark_version.as_deref().and_then(|version| version.split('.').next());
    major.and_then(|major| major.trim_start_matches('v').parse::<u32>().ok()).is_some_and(|major| major < 3)
}
