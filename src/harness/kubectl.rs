//! `kubectl` and `kubeconfig`: the user's own tools on our cluster.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tinderbox_providers::{Found, Provider as _};

use crate::error::Error;
use crate::project::Project;

/// The file with the administrator's credentials.
///
/// # Errors
/// When the cluster is not running.
pub fn kubeconfig(project: &Project) -> Result<PathBuf, Error> {
    match project.embedded("kubeconfig")?.find()? {
        Found::Running(endpoint) => Ok(endpoint.kubeconfig),
        Found::Nothing | Found::Stopped | Found::Starting => Err(Error::NotUp { name: project.cluster.clone() }),
    }
}

/// The content of that file.
///
/// # Errors
/// When the cluster is not running.
pub fn kubeconfig_text(project: &Project) -> Result<String, Error> {
    let path = kubeconfig(project)?;
    fs::read_to_string(&path).map_err(Error::file("read", path))
}

/// Runs kubectl on the cluster, with our own standard streams; its exit code.
///
/// # Errors
/// When the cluster is not running, or there is no kubectl.
pub async fn kubectl(project: &Project, arguments: &[OsString]) -> Result<i32, Error> {
    let kubeconfig = kubeconfig(project)?;
    let fail = |source: io::Error| Error::Program {
        program: "kubectl".to_owned(),
        hint: (source.kind() == io::ErrorKind::NotFound)
            .then(|| "install kubectl (kubernetes.io/docs/tasks/tools); tinderbox itself does not need it".to_owned()),
        source,
    };
    let status = tokio::process::Command::new("kubectl")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .status()
        .await
        .map_err(fail)?;
    Ok(status.code().unwrap_or(1))
}
