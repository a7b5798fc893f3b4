//! What spark-submit makes of its command line before it asks Kubernetes for anything: the main class, the kind of
//! application, and the configuration that goes with them.
//! Upstream rule: `prepareSubmitEnvironment` in Spark's `SparkSubmit.scala`, and `KubernetesClientApplication.scala`.

use tinderbox_api::spark::{DeployMode, SparkApplicationSpec};

use super::size::mebibytes;
use super::{Conf, Identity, Refusal, refuse};

/// The kind of an application, as it goes into `spark.kubernetes.resource.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Java,
    Python,
    R,
}

/// What the driver is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) kind: Kind,
    pub(super) class: String,
    pub(super) resource: String,
    pub(super) arguments: Vec<String>,
    pub(super) proxy_user: Option<String>,
}

/// Keys that would have Spark's client do what is not done here.
const FOREIGN: [(&str, &str); 8] = [
    ("spark.kubernetes.driver.pod.featureSteps", "feature steps are code that runs within spark-submit"),
    ("spark.kubernetes.authenticate.driver.caCertFile", "credentials of the driver come from its service account"),
    ("spark.kubernetes.authenticate.driver.clientKeyFile", "credentials of the driver come from its service account"),
    ("spark.kubernetes.authenticate.driver.clientCertFile", "credentials of the driver come from its service account"),
    ("spark.kubernetes.authenticate.driver.oauthToken", "credentials of the driver come from its service account"),
    ("spark.kerberos.keytab", "Kerberos is not supported"),
    ("spark.kubernetes.kerberos.krb5.path", "Kerberos is not supported"),
    ("spark.kubernetes.kerberos.krb5.configMapName", "Kerberos is not supported"),
];

/// Reads the command, and adds to the configuration what spark-submit adds.
pub(super) fn prepare(spec: &SparkApplicationSpec, identity: &Identity, conf: &mut Conf) -> Result<Command, Refusal> {
    if let Some((key, why)) = FOREIGN.iter().find(|(key, _)| conf.get(key).is_some()) {
        return refuse(format!("{key} is not supported by native submission: {why}"));
    }
    amounts(conf)?;
    // Where the driver runs is known to nobody yet, whatever is said.
    conf.remove("spark.driver.host");
    if spec.mode.is_some_and(|mode| mode != DeployMode::Cluster) {
        return refuse("mode: only cluster is supported");
    }
    let Some(resource) = spec.main_application_file.clone().filter(|file| !file.is_empty()) else {
        return refuse("Missing application resource.");
    };
    let kind = kind(&resource);
    let class = match (kind, spec.main_class.clone().filter(|class| !class.is_empty())) {
        (Kind::Python, _) => "org.apache.spark.deploy.PythonRunner".to_owned(),
        (Kind::R, _) => "org.apache.spark.deploy.RRunner".to_owned(),
        (Kind::Java, Some(class)) => class,
        (Kind::Java, None) => {
            let scheme = resource.split(':').next().unwrap_or_default();
            return refuse(format!(
                "Failed to get main class in JAR with error 'No FileSystem for scheme \"{scheme}\"'.  Please specify one with --class."
            ));
        }
    };
    if kind == Kind::Java && resource != "spark-internal" {
        let jars = conf.get("spark.jars").map(str::to_owned).into_iter().filter(|jars| !jars.is_empty());
        let mut jars: Vec<String> = jars.collect();
        if !jars.iter().flat_map(|jars| jars.split(',')).any(|jar| jar == resource) {
            jars.push(resource.clone());
        }
        conf.set("spark.jars", jars.join(","));
    }
    for key in ["spark.jars", "spark.files", "spark.archives", "spark.submit.pyFiles"] {
        nothing_local(conf.get(key).unwrap_or_default())?;
    }
    nothing_local(&resource)?;
    conf.set("spark.master", &identity.master);
    conf.set("spark.submit.deployMode", "cluster");
    conf.set("spark.app.submitTime", identity.began.as_millisecond().to_string());
    if conf.get("spark.submit.pyFiles").is_none() {
        conf.set("spark.submit.pyFiles", "");
    }
    let name = match kind {
        Kind::Java => "java",
        Kind::Python => "python",
        Kind::R => "r",
    };
    conf.set("spark.kubernetes.resource.type", name);
    let proxy_user = spec.proxy_user.clone().filter(|user| !user.is_empty());
    Ok(Command { kind, class, resource, arguments: spec.arguments.clone(), proxy_user })
}

/// Amounts that spark-submit looks at before anything else.
/// Upstream rule: `validateSubmitArguments` in Spark's `SparkSubmitArguments.scala`.
fn amounts(conf: &Conf) -> Result<(), Refusal> {
    for (key, what) in [("spark.driver.memory", "Driver memory"), ("spark.executor.memory", "Executor memory")] {
        if conf.get(key).is_some_and(|text| !mebibytes(text).is_ok_and(|amount| amount > 0)) {
            return refuse(format!("{what} must be a positive number"));
        }
    }
    if conf.get("spark.executor.cores").is_some_and(|text| !text.parse::<i32>().is_ok_and(|cores| cores > 0)) {
        return refuse("Executor cores must be a positive number");
    }
    Ok(())
}

/// The kind follows from the file's name alone, as in spark-submit.
fn kind(resource: &str) -> Kind {
    let ends = |suffix: &str| resource.to_lowercase().ends_with(suffix);
    if resource.ends_with(".py") {
        Kind::Python
    } else if ends(".r") {
        Kind::R
    } else {
        Kind::Java
    }
}

/// Files of the submitter's machine would have to be uploaded, and a controller has none.
fn nothing_local(files: &str) -> Result<(), Refusal> {
    let local = |file: &&str| !file.contains("://") || file.starts_with("file:");
    let files = files.split(',').filter(|file| !file.is_empty() && *file != "spark-internal");
    match files.clone().find(local) {
        None => Ok(()),
        Some(file) => refuse(format!(
            "Please specify spark.kubernetes.file.upload.path property. ({file} would be a file of the submitter: \
             use local:// for a file of the image)"
        )),
    }
}

/// The command line of spark-submit that says the same, but for the API's address and credentials.
#[must_use]
pub fn arguments(spec: &SparkApplicationSpec, conf: &Conf) -> Vec<String> {
    let mut line: Vec<String> = vec!["--deploy-mode".to_owned(), "cluster".to_owned()];
    let mut flag = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            line.extend([name.to_owned(), value.to_owned()]);
        }
    };
    flag("--class", spec.main_class.as_deref());
    const FLAGS: [(&str, &str); 8] = [
        ("--name", "spark.app.name"),
        ("--jars", "spark.jars"),
        ("--packages", "spark.jars.packages"),
        ("--exclude-packages", "spark.jars.excludes"),
        ("--repositories", "spark.jars.repositories"),
        ("--py-files", "spark.submit.pyFiles"),
        ("--files", "spark.files"),
        ("--archives", "spark.archives"),
    ];
    for (name, key) in FLAGS {
        flag(name, conf.get(key));
    }
    flag("--proxy-user", spec.proxy_user.as_deref().filter(|user| !user.is_empty()));
    for (key, value) in conf.iter().filter(|(key, _)| FLAGS.iter().all(|(_, flagged)| flagged != key)) {
        line.extend(["--conf".to_owned(), format!("{key}={value}")]);
    }
    line.extend(spec.main_application_file.clone());
    line.extend(spec.arguments.iter().cloned());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_the_name() {
        for (file, wanted) in [("a.py", Kind::Python), ("a.R", Kind::R), ("a.r", Kind::R), ("a.jar", Kind::Java)] {
            assert_eq!(kind(file), wanted, "{file}");
        }
    }

    #[test]
    fn files_of_the_submitter_are_refused() {
        assert_eq!(nothing_local("local:///a.jar,https://x/b.jar,"), Ok(()));
        for files in ["/a.jar", "local:///a.jar,file:///b.jar"] {
            assert!(nothing_local(files).is_err(), "{files}");
        }
    }
}
