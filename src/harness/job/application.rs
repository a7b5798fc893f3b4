//! A SparkApplication written in Rust, with what it stands upon: the driver's account and rights, and its main file where that is one of
//! this machine. It says what is to be applied, and applies nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tinderbox_api::spark::{ApplicationType, DRIVER_RIGHTS, SparkApplication};

use super::Job;
use crate::error::Error;
use crate::manifest::Object;

/// The namespace of jobs.
const NAMESPACE: &str = "spark-jobs";
/// Where a main file of this machine is seen in the driver.
const APP: &str = "/app";
/// Most bytes of a main file: a ConfigMap takes no more.
const LARGEST: u64 = 1 << 20;

/// A SparkApplication to be. It begins as a Python application of Spark 4.0.1 with one executor, each pod with half a GiB and within the
/// `restricted` Pod Security Standard; [`with`](Self::with) changes whatever there is no method for.
#[derive(Debug, Clone)]
pub struct Application {
    application: SparkApplication,
    main: Option<PathBuf>,
}

/// An application of this name; its driver's account is called `NAME-driver`.
#[must_use]
pub fn application(name: impl Into<String>) -> Application {
    let name = name.into();
    let pod = json!({
        "cores": 1,
        // What the scheduler counts: a few applications fit on a small machine.
        "coreRequest": "100m",
        "memory": "512m",
        "podSecurityContext": {
            "runAsNonRoot": true, "runAsUser": 185, "runAsGroup": 185, "fsGroup": 185, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    let (mut driver, mut executor) = (pod.clone(), pod);
    driver["serviceAccount"] = format!("{name}-driver").into();
    executor["instances"] = 1.into();
    let application = json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": name}},
        "spec": {
            "type": "Python", "mode": "cluster", "sparkVersion": "4.0.1", "image": "apache/spark:4.0.1",
            "restartPolicy": {"type": "Never"}, "driver": driver, "executor": executor,
        },
    });
    let application = serde_json::from_value(application).unwrap_or_default();
    Application { application, main: None }
}

impl Application {
    /// A Python file of this machine as the main file; it travels in a ConfigMap.
    #[must_use]
    pub fn python_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.main = Some(file.into());
        self
    }

    /// A Python file of the image, a volume or a store: `local:///opt/spark/examples/src/main/python/pi.py`.
    #[must_use]
    pub fn python(mut self, url: impl Into<String>) -> Self {
        self.application.spec.main_application_file = Some(url.into());
        self
    }

    /// A class in a jar of the image, a volume or a store.
    #[must_use]
    pub fn class(mut self, class: impl Into<String>, jar: impl Into<String>) -> Self {
        self.application.spec.r#type = Some(ApplicationType::Scala);
        self.application.spec.main_class = Some(class.into());
        self.application.spec.main_application_file = Some(jar.into());
        self
    }

    /// What it is given on its command line.
    #[must_use]
    pub fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.application.spec.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// How many executors it has.
    #[must_use]
    pub fn executors(mut self, count: i32) -> Self {
        self.application.spec.executor.instances = Some(count);
        self
    }

    /// A key of Spark's configuration.
    #[must_use]
    pub fn conf(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.application.spec.spark_conf.insert(key.into(), value.into());
        self
    }

    /// Changes anything of it.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut SparkApplication)) -> Self {
        change(&mut self.application);
        self
    }

    /// The objects that are applied, as they would stand in a manifest.
    ///
    /// # Errors
    /// When the main file cannot be read, or is too large for a ConfigMap.
    pub fn objects(&self) -> Result<Vec<Value>, Error> {
        let mut application = self.application.clone();
        let name = application.metadata.name.clone().unwrap_or_default();
        let mut objects = account(&name);
        if let Some(file) = &self.main {
            let key = file.file_name().and_then(|name| name.to_str()).unwrap_or("main.py");
            let code = format!("{name}-code");
            objects.push(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&code, &name), "data": {key: text(file)?},
            }));
            let wrong =
                |error: serde_json::Error| Error::Internal(format!("the application has a wrong form: {error}"));
            let volume = json!({"name": "app", "configMap": {"name": code}});
            application.spec.volumes.push(serde_json::from_value(volume).map_err(wrong)?);
            let mount = json!({"name": "app", "mountPath": APP, "readOnly": true});
            application.spec.driver.pod.volume_mounts.push(serde_json::from_value(mount).map_err(wrong)?);
            application.spec.main_application_file = Some(format!("local://{APP}/{key}"));
        }
        objects.push(serde_json::to_value(application).unwrap_or_default());
        Ok(objects)
    }

    /// The same as YAML, for a file to be reviewed.
    ///
    /// # Errors
    /// As [`objects`](Self::objects).
    pub fn yaml(&self) -> Result<String, Error> {
        let documents = self.objects()?.into_iter().map(|object| serde_yaml::to_string(&object).unwrap_or_default());
        Ok(documents.collect::<Vec<_>>().join("---\n"))
    }

    /// The job that runs it.
    pub fn run(self) -> Job {
        Job::new(super::Source::Application(Box::new(self)))
    }

    pub(super) fn name(&self) -> String {
        self.application.metadata.name.clone().unwrap_or_default()
    }

    pub(super) fn manifest(&self) -> Result<Vec<Object>, Error> {
        crate::manifest::parse(Path::new(&self.name()), &self.yaml()?)
    }
}

fn text(file: &Path) -> Result<String, Error> {
    let size = fs::metadata(file).map_err(Error::file("read", file))?.len();
    if size > LARGEST {
        return Err(Error::Usage {
            message: format!("{} has {size} bytes, and a ConfigMap takes {LARGEST}", file.display()),
            hint: Some("put it into the image or on a volume, and name it by python()".to_owned()),
        });
    }
    fs::read_to_string(file).map_err(Error::file("read", file))
}

fn metadata(name: &str, application: &str) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": application}})
}

/// The account of a driver, with its rights.
fn account(application: &str) -> Vec<Value> {
    let name = format!("{application}-driver");
    let rules =
        DRIVER_RIGHTS.map(|(resource, verbs)| json!({"apiGroups": [""], "resources": [resource], "verbs": verbs}));
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(&name, application)}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata(&name, application),
            "rules": rules,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata(&name, application),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("words.py");
        fs::write(&file, "print('words')\n").expect("written");
        let words = application("words")
            .python_file(&file)
            .arguments(["a", "b"])
            .executors(2)
            .conf("spark.ui.enabled", "false");
        insta::assert_snapshot!(words.yaml().expect("it is readable"));
    }

    #[test]
    fn files_that_do_not_travel() {
        let dir = tempfile::tempdir().expect("a folder");
        let large = dir.path().join("large.py");
        fs::write(&large, vec![b'#'; (1 << 20) + 1]).expect("written");
        let told = application("x").python_file(&large).objects().expect_err("it is too large").to_string();
        assert!(told.ends_with("large.py has 1048577 bytes, and a ConfigMap takes 1048576"), "{told}");
        let told = application("x").python_file("/nowhere.py").objects().expect_err("it is not there").to_string();
        assert_eq!(told, "cannot read /nowhere.py");
    }
}
