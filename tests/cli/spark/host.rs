//! Spark as it lies on this machine: its own `spark-submit`, unmodified, against a cluster.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::NamedTempFile;
use tinderbox_kubelet::image::{Images, Quiet, RootEntry, cache_dir};
use tinderbox_providers::embedded::images::{HostSpark, host_spark};

use super::{ACCOUNT, IMAGE, NAMESPACE, PI};
use crate::machine::Timed;
use crate::program::{Cluster, PATIENCE, root};

/// Spark's home folder, and the Java that fits it.
pub(super) struct Host(HostSpark);

impl Host {
    /// Downloads Spark unless it is in the cache, and waits until its class-data archive is made.
    pub(super) fn get() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let spark = runtime.block_on(host_spark(IMAGE)).expect("it can be had");
        let images = Images::new(cache_dir(), Vec::new(), Arc::new(Quiet));
        let image = runtime.block_on(images.resolve(IMAGE)).map_err(|error| error.message()).expect("it is there");
        let archive = image.root.iter().find_map(|entry| match entry {
            RootEntry::Bind { source, target } if target == Path::new("/opt/spark/archive") => Some(source),
            _ => None,
        });
        let classes = archive.expect("the image shows it").join("classes.jsa");
        let mut wait = Command::new("timeout");
        wait.args(["1200", "sh", "-c", "until [ -e \"$0\" ]; do sleep 0.5; done"]).arg(&classes);
        assert!(wait.status().expect("coreutils are there").success(), "nobody made {}", classes.display());
        Self(spark)
    }

    /// Its `spark-submit` with pi.py in cluster mode, as the job of the app hello-spark-submit calls it.
    pub(super) fn submit(&self, cluster: &Cluster, name: &str, settings: &[String]) -> Submission {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE).arg(self.0.home.join("bin/spark-submit"));
        command.args(["--deploy-mode", "cluster", "--name", name, "--master"]);
        command.arg(format!("k8s://https://127.0.0.1:{}", cluster.port()));
        let template = template();
        let settings = settings.iter().cloned().chain([
            format!("spark.kubernetes.namespace={NAMESPACE}"),
            format!("spark.kubernetes.authenticate.driver.serviceAccountName={ACCOUNT}-driver"),
            format!("spark.kubernetes.driver.podTemplateFile={}", template.display()),
            format!("spark.kubernetes.executor.podTemplateFile={}", template.display()),
        ]);
        settings.for_each(|setting| {
            command.args(["--conf", &setting]);
        });
        command.args([PI, "10"]);
        command.env("SPARK_HOME", &self.0.home).env("JAVA_HOME", &self.0.java).env("SPARK_LOCAL_IP", "127.0.0.1");
        // Nothing of the user's own.
        command.env_remove("SPARK_CONF_DIR").env("KUBECONFIG", "/dev/null").current_dir(std::env::temp_dir());
        Submission(command)
    }
}

/// The pod template of the app, which is the same for drivers and executors.
pub(super) fn template() -> PathBuf {
    root().join("manifests/apps/hello-spark-submit/pod-template.yaml")
}

/// One call of `spark-submit`, not begun yet.
pub(super) struct Submission(Command);

impl Submission {
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(super) fn begin(mut self) -> Submitting {
        let told = NamedTempFile::new().expect("a file");
        let stderr = told.reopen().expect("it can be opened");
        let process = self.0.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        Submitting { process: Timed(process.expect("coreutils are there")), told }
    }
}

/// A call of `spark-submit`; dropping it ends it.
pub(super) struct Submitting {
    process: Timed,
    told: NamedTempFile,
}

impl Submitting {
    /// Waits for its end; what it told, which must be a success in its own eyes.
    pub(super) fn end(mut self) -> String {
        let status = self.process.0.wait().expect("it ends");
        let told = std::fs::read_to_string(self.told.path()).expect("it can be read");
        assert!(status.success(), "{status}: {told}");
        told
    }
}
