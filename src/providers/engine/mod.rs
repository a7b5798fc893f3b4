//! A container engine of this machine, Docker's or one that speaks like it: finding it, judging whether it can hold a cluster, and
//! the connection for those who work with it. What is made in it is their business.

mod build;
mod find;
mod judge;
mod pull;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions};
use futures::StreamExt;

pub use judge::Description;
pub use pull::registry;

use crate::{Class, Error};

/// How long the engine may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may take that does work: making, starting or removing a container.
const WORK: u64 = 120;

/// A connection to the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    socket: PathBuf,
}

/// A container as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// It runs.
    pub running: bool,
    /// In words, as `Up 2 minutes`.
    pub status: String,
    /// The value of the label that was asked for.
    pub label: String,
}

impl Engine {
    /// Connects to the engine of this machine, and sees that it answers.
    ///
    /// # Errors
    /// When there is none, it does not answer, or may not be used.
    pub async fn connect() -> Result<Self, Error> {
        let (engine, _) = Self::at(&find::socket()?).await?;
        Ok(engine)
    }

    /// Connects to the engine behind a socket.
    ///
    /// # Errors
    /// When it does not answer, or may not be used.
    pub async fn at(socket: &Path) -> Result<(Self, Description), Error> {
        let path = socket.display().to_string();
        let wrong = |source: bollard::errors::Error| unreachable(socket, source);
        let docker = Docker::connect_with_unix(&path, WORK, bollard::API_DEFAULT_VERSION).map_err(wrong)?;
        let asked = async {
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            let info = docker.info().await?;
            Ok((docker, version, info))
        };
        let (docker, version, info) = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(wrong)?,
            Err(_) => {
                return Err(Error::Lack {
                    message: format!("the container engine at {path} did not answer within {} s", PATIENCE.as_secs()),
                    hint: Some("restart it, as with `sudo systemctl restart docker`".to_owned()),
                });
            }
        };
        let name = version.platform.map(|platform| platform.name).filter(|name| !name.is_empty());
        let description = Description {
            name: name.unwrap_or_else(|| "Docker".to_owned()),
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            ..Description::of(&info)
        };
        Ok((Self { docker, socket: socket.to_owned() }, description))
    }

    /// Connects to the engine of this machine, and asks what it is.
    ///
    /// # Errors
    /// When there is none, it does not answer, or may not be used.
    pub async fn described() -> Result<(Self, Description), Error> {
        Self::at(&find::socket()?).await
    }

    /// The same, once it was found fit for a cluster.
    ///
    /// # Errors
    /// When it lacks something that a cluster needs, too.
    pub async fn fit() -> Result<(Self, Description), Error> {
        let (engine, description) = Self::described().await?;
        description.judge()?;
        Ok((engine, description))
    }

    /// The connection.
    #[must_use]
    pub fn client(&self) -> &Docker {
        &self.docker
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The containers with a label, whatever its value; running or not.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn containers(&self, label: &str) -> Result<Vec<Container>, Error> {
        let filters = std::collections::HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed =
            self.docker.list_containers(Some(options)).await.map_err(|source| refused("list containers", source))?;
        let key = label.split('=').next().unwrap_or(label);
        let mut found: Vec<Container> = listed
            .into_iter()
            .map(|one| Container {
                name: one.names.into_iter().flatten().next().unwrap_or_default().trim_start_matches('/').to_owned(),
                running: one.state == Some(bollard::models::ContainerSummaryStateEnum::RUNNING),
                status: one.status.unwrap_or_default(),
                label: one.labels.and_then(|mut labels| labels.remove(key)).unwrap_or_default(),
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Starts a container that has stopped.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn start(&self, name: &str) -> Result<(), Error> {
        let started = self.docker.start_container(name, None).await;
        started.map_err(|source| refused(&format!("start the container {name}"), source))
    }

    /// Removes a container with its volumes, whether it runs or not; one that is gone is no error.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Err(error) if status(&error) != Some(404) => Err(refused(&format!("remove the container {name}"), error)),
            _ => Ok(()),
        }
    }

    /// Whether it has an image.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn has_image(&self, name: &str) -> Result<bool, Error> {
        match self.docker.inspect_image(name).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(refused(&format!("look for the image {name}"), error)),
        }
    }

    /// Takes an image away by its name; one that is gone is no error.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove_image(&self, name: &str) -> Result<(), Error> {
        match self.docker.remove_image(name, None::<RemoveImageOptions>, None).await {
            Err(error) if status(&error) != Some(404) => Err(refused(&format!("remove the image {name}"), error)),
            _ => Ok(()),
        }
    }

    /// Runs a command in a container, and gives what it put out.
    ///
    /// # Errors
    /// When the engine refuses, or the command fails.
    pub async fn run(&self, container: &str, command: &[&str]) -> Result<String, Error> {
        let act = || format!("run {} in {container}", command.join(" "));
        let failed = |source| refused(&act(), source);
        let config = bollard::exec::CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let made = self.docker.create_exec(container, config).await.map_err(failed)?;
        let started = self.docker.start_exec(&made.id, None).await.map_err(failed)?;
        let (mut out, mut errors) = (String::new(), String::new());
        if let bollard::exec::StartExecResults::Attached { mut output, .. } = started {
            while let Some(chunk) = output.next().await {
                match chunk.map_err(failed)? {
                    bollard::container::LogOutput::StdErr { message } => {
                        errors.push_str(&String::from_utf8_lossy(&message))
                    }
                    other => out.push_str(&String::from_utf8_lossy(&other.into_bytes())),
                }
            }
        }
        let ended = self.docker.inspect_exec(&made.id).await.map_err(failed)?;
        match ended.exit_code {
            Some(0) => Ok(out),
            code => Err(Error::Compose {
                act: act(),
                source: format!("exit code {}: {}", code.unwrap_or(-1), errors.trim()).into(),
                hint: None,
                class: Class::Failed,
            }),
        }
    }
}

/// The status with which the engine answered.
fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// What to do where the engine, or what runs in it, says that its disk is full.
pub(crate) fn full(said: &str) -> Option<String> {
    said.contains("no space left").then(|| "the engine's disk is full: `docker system df` says with what".to_owned())
}

/// What the engine would not do.
pub(crate) fn refused(act: &str, source: bollard::errors::Error) -> Error {
    let hint = full(&source.to_string());
    Error::Compose { act: act.to_owned(), source: source.into(), hint, class: Class::Environment }
}

/// An engine that cannot be talked with.
fn unreachable(socket: &Path, source: bollard::errors::Error) -> Error {
    let path = socket.display();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&source);
    let mut kind = None;
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            kind = Some(io.kind());
        }
        cause = error.source();
    }
    let hint = match kind.or_else(|| std::os::unix::net::UnixStream::connect(socket).err().map(|error| error.kind())) {
        Some(std::io::ErrorKind::PermissionDenied) => {
            "this user may not use it: join the group `docker`, or use a rootless engine".to_owned()
        }
        Some(std::io::ErrorKind::ConnectionRefused) => {
            "its socket is there, but no engine behind it: start it, as with `sudo systemctl start docker`".to_owned()
        }
        _ => "see that it runs, as with `sudo systemctl status docker`".to_owned(),
    };
    Error::Compose {
        act: format!("talk with the container engine at {path}"),
        source: source.into(),
        hint: Some(hint),
        class: Class::Environment,
    }
}

#[cfg(test)]
mod tests;
