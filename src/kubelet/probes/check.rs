//! One check of a container, for probes and hooks alike: a command inside it, a request or a connection to it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerPort, HTTPGetAction, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::http;
use crate::cgroups::Group;
use crate::context::Context;
use crate::fd::Stream;
use crate::sandbox::{ExecSpec, Started};

/// Output of a command that is kept for a message.
const LONGEST_OUTPUT: u64 = 10 << 10;

/// What is asked of a container.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    Exec(Vec<String>),
    Http(HTTPGetAction),
    Tcp {
        host: Option<String>,
        port: IntOrString,
    },
    Sleep(Duration),
    /// What this node cannot do, in words.
    Unsupported(&'static str),
}

impl Check {
    pub(crate) fn of_probe(probe: &Probe) -> Self {
        if let Some(exec) = &probe.exec {
            Self::Exec(exec.command.clone().unwrap_or_default())
        } else if let Some(http) = &probe.http_get {
            Self::Http(http.clone())
        } else if let Some(tcp) = &probe.tcp_socket {
            Self::Tcp { host: tcp.host.clone(), port: tcp.port.clone() }
        } else {
            Self::Unsupported("grpc probes are not supported by this node: use exec, httpGet or tcpSocket")
        }
    }

    pub(crate) fn of_hook(hook: &LifecycleHandler) -> Self {
        if let Some(exec) = &hook.exec {
            Self::Exec(exec.command.clone().unwrap_or_default())
        } else if let Some(http) = &hook.http_get {
            Self::Http(http.clone())
        } else if let Some(sleep) = &hook.sleep {
            Self::Sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0)))
        } else {
            Self::Unsupported("the hook has no handler that a node knows (exec, httpGet, sleep)")
        }
    }
}

/// A running container that is checked.
pub(crate) struct Target {
    pub(crate) context: Arc<Context>,
    pub(crate) container: String,
    /// Id of the run.
    pub(crate) run: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) ports: Vec<ContainerPort>,
    /// The container's control group.
    pub(crate) group: Option<Arc<Group>>,
}

impl Target {
    /// Carries out a check; the error is what an event says.
    pub(crate) async fn check(&self, check: &Check, limit: Duration) -> Result<(), String> {
        match check {
            Check::Exec(argv) => {
                let (code, output) = self.exec(argv, limit).await?;
                if code == 0 { Ok(()) } else { Err(output) }
            }
            Check::Http(action) => self.http(action, limit).await,
            Check::Tcp { host, port } => {
                let address = self.address(host.as_deref(), port)?;
                let connecting = self.context.place.connect_tcp(None, address);
                match timeout(limit, connecting).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(dial(address, &error)),
                    Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
                }
            }
            Check::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Check::Unsupported(text) => Err((*text).to_owned()),
        }
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => {
                let named = self.ports.iter().find(|p| p.name.as_deref() == Some(name));
                named.map(|p| p.container_port).or_else(|| name.parse().ok())
            }
        };
        let number = number.and_then(|number| u16::try_from(number).ok());
        number.ok_or_else(|| match port {
            IntOrString::Int(number) => format!("invalid port number: {number}"),
            IntOrString::String(name) => format!("couldn't find port: {name:?}"),
        })
    }

    fn address(&self, host: Option<&str>, port: &IntOrString) -> Result<SocketAddrV4, String> {
        let host = host.filter(|host| !host.is_empty());
        let address = match host {
            None => self.address,
            Some(host) => host.parse().map_err(|_| format!("the host {host:?} of the probe is no IPv4 address"))?,
        };
        Ok(SocketAddrV4::new(address, self.port(port)?))
    }

    async fn http(&self, action: &HTTPGetAction, limit: Duration) -> Result<(), String> {
        let address = self.address(action.host.as_deref(), &action.port)?;
        let secure = action.scheme.as_deref() == Some("HTTPS");
        let path = action.path.as_deref().unwrap_or("/");
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let scheme = if secure { "https" } else { "http" };
        let what = format!("Get \"{scheme}://{address}{path}\"");
        let asking = async {
            let connected = self.context.place.connect_tcp(None, address).await;
            let stream = connected.map_err(|error| format!("{what}: {}", dial(address, &error)))?;
            let headers: Vec<_> = action
                .http_headers
                .iter()
                .flatten()
                .map(|header| (header.name.as_str(), header.value.as_str()))
                .collect();
            http::get(stream, secure, address, &path, &headers).await.map_err(|error| format!("{what}: {error}"))
        };
        match timeout(limit, asking).await {
            Ok(Ok(code)) if (200..400).contains(&code) => Ok(()),
            Ok(Ok(code)) => Err(format!("HTTP probe failed with statuscode: {code}")),
            Ok(Err(text)) => Err(text),
            Err(_) => {
                Err(format!("{what}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"))
            }
        }
    }

    /// Runs a command inside the container; its exit code and what it said.
    async fn exec(&self, argv: &[String], limit: Duration) -> Result<(i32, String), String> {
        let id = format!("{}-probe-{}", self.run, crate::ids::unique());
        let ended = self.context.exits.expect(&id);
        let doors = self.group.as_ref().and_then(|group| group.doors().ok()).unwrap_or_default();
        let container = self.run.clone();
        let spec = ExecSpec { container, id: id.clone(), argv: argv.to_vec(), doors, ..ExecSpec::default() };
        let started = self.context.place.exec(spec).await.map_err(|error| {
            self.context.exits.forget(&id);
            error.to_string()
        })?;
        let waiting = async {
            let output = output(started).await;
            (ended.await.map_or(-1, |exited| exited.code), output)
        };
        match timeout(limit, waiting).await {
            Ok(outcome) => Ok(outcome),
            Err(_) => {
                // It may have ended just now.
                let _ = self.context.place.signal(&id, libc::SIGKILL).await;
                Err(format!("command timed out: {:?} timed out after {}s", argv.join(" "), limit.as_secs()))
            }
        }
    }
}

fn dial(address: SocketAddrV4, error: &crate::sandbox::PlaceError) -> String {
    let cause = std::error::Error::source(error).map(|source| source.to_string());
    let text = cause.unwrap_or_else(|| error.to_string());
    let plain = text.split(" (os error").next().unwrap_or_default().to_lowercase();
    format!("dial tcp {address}: connect: {plain}")
}

async fn output(started: Started) -> String {
    let read = async |fd: Option<std::os::fd::OwnedFd>| {
        let mut text = Vec::new();
        if let Some(Ok(stream)) = fd.map(Stream::new) {
            // What could not be read is not told.
            let _ = stream.take(LONGEST_OUTPUT).read_to_end(&mut text).await;
        }
        text
    };
    let (mut text, errors) = tokio::join!(read(Some(started.stdout)), read(started.stderr));
    text.extend(errors);
    String::from_utf8_lossy(&text).into_owned()
}
