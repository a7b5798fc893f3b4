//! `kubectl` and `kubeconfig`: the user's own tools on our cluster.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use serde::Serialize;
use serde_json::Value;
use tinderbox_providers::{Found, Provider as _};

use crate::error::Error;
use crate::project::{Project, from_yaml};

/// How kubectl keeps what it has learned of a cluster: in the user's home folder, unless this names another one.
const CACHE: &str = "KUBECACHEDIR";

/// Where a cluster answers, and with which credentials.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Its name.
    pub cluster: String,
    /// URL of the API.
    pub server: String,
    /// The administrator's credentials.
    pub kubeconfig: PathBuf,
    /// Its context in that file.
    pub context: String,
}

/// How the cluster is reached.
///
/// # Errors
/// When it is not running.
pub async fn access(project: &Project) -> Result<Access, Error> {
    match project.provider("kubeconfig")?.find().await? {
        Found::Running(endpoint) => Ok(Access {
            cluster: project.cluster.clone(),
            server: endpoint.server,
            kubeconfig: endpoint.kubeconfig,
            context: endpoint.context,
        }),
        Found::Nothing | Found::Stopped | Found::Starting => Err(Error::NotUp { name: project.cluster.clone() }),
    }
}

/// A kubeconfig's content.
#[derive(Debug, Clone)]
pub struct Content {
    /// As it stands in the file.
    pub text: String,
    /// What that means.
    pub value: Value,
}

/// The content of the kubeconfig.
///
/// # Errors
/// When the cluster is not running.
pub async fn kubeconfig(project: &Project) -> Result<Content, Error> {
    let path = access(project).await?.kubeconfig;
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let value = from_yaml(&path, &text)?;
    Ok(Content { text, value })
}

/// kubectl for the cluster, ready to be run. What it remembers of the cluster goes with the cluster.
///
/// # Errors
/// When the cluster is not running, or there is no kubectl.
pub async fn kubectl(project: &Project, arguments: &[OsString]) -> Result<Command, Error> {
    let access = access(project).await?;
    let program = which::which("kubectl").map_err(|error| unusable(io::Error::new(io::ErrorKind::NotFound, error)))?;
    let mut command = Command::new(program);
    command.args(arguments).env("KUBECONFIG", &access.kubeconfig);
    if std::env::var_os(CACHE).is_none() {
        command.env(CACHE, access.kubeconfig.with_file_name("kubectl"));
    }
    Ok(command)
}

/// kubectl could not be run.
#[must_use]
pub fn unusable(source: io::Error) -> Error {
    Error::Program {
        program: "kubectl".to_owned(),
        hint: (source.kind() == io::ErrorKind::NotFound)
            .then(|| "`cargo xtask doctor` says how to install it; nothing else here needs it".to_owned()),
        source,
    }
}
