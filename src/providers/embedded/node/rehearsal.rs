//! A whole cluster in this process whose pods are only said to run: API server, store, controllers and kubelet are the real ones.
//! For figures and tests of what many objects cost.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use tempfile::TempDir;
use tinderbox_api::pools::Capacity;
use tinderbox_kubelet::capacity_of_machine;
use tinderbox_kubelet::runtime::{Answer, Runtime};
use tinderbox_kubelet::sandbox::{ContainerSpec, ExecSpec, Exited, HostIds, PlaceError, PodSandbox, Started, Usage};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::compose::Cluster;
use super::write_kubeconfig;
use crate::Error;
use crate::embedded::port;
use crate::embedded::state::Settings;
use crate::folder::Folder;

/// A running rehearsal.
pub struct Rehearsal {
    cluster: Cluster,
    folder: Folder,
    port: u16,
    _dir: TempDir,
}

impl Rehearsal {
    /// Starts one, in a temporary folder, whose node takes so many pods.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub async fn start(pods: i64) -> Result<Self, Error> {
        let dir = TempDir::new().map_err(|source| Error::File {
            act: "make a folder in",
            path: std::env::temp_dir(),
            source,
        })?;
        let folder = Folder::new(dir.path(), "rehearsal")?;
        folder.create()?;
        let listeners = [port::bind("the API", 0, None)?, port::bind("Ingress", 0, None)?];
        let number = listeners[0].port;
        let runtime = async { Ok((Arc::new(Pretence::default()) as Arc<dyn Runtime>, None)) };
        let capacity = Capacity { pods, ..capacity_of_machine(folder.path()) };
        let listeners = listeners.map(|bound| bound.listener);
        let cluster = Cluster::over(runtime, capacity, &folder, &Settings::default(), listeners).await?;
        write_kubeconfig(&folder, &cluster.pki, number)?;
        Ok(Self { cluster, folder, port: number, _dir: dir })
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.kubeconfig()
    }

    /// URL of its API.
    #[must_use]
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Ends it; nothing of it stays.
    pub async fn stop(self) {
        self.cluster.stop().await;
    }
}

/// Says that it runs pods. A container whose program is `exit` ends at once with the code that follows; any other one ends by
/// a signal, or with its pod.
#[derive(Default)]
struct Pretence(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The pods of running containers.
    runs: HashMap<String, String>,
    listeners: Vec<UnboundedSender<Exited>>,
}

impl Pretence {
    fn known<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn end(&mut self, id: &str, code: i32, signal: Option<i32>) {
        self.runs.remove(id);
        let exited = Exited { id: id.to_owned(), code, signal };
        self.listeners.retain(|listener| listener.send(exited.clone()).is_ok());
    }
}

fn refused<T: Send + 'static>(what: &str) -> Answer<'static, T> {
    let source = io::Error::from(io::ErrorKind::Unsupported);
    let error = PlaceError::Failed { attempted: format!("{what} in a rehearsal"), source };
    future::ready(Err(error)).boxed()
}

fn ready<T: Send + 'static>(made: io::Result<T>, what: &str) -> Answer<'static, T> {
    let made = made.map_err(|source| PlaceError::Failed { attempted: what.to_owned(), source });
    future::ready(made).boxed()
}

/// Any address stands for a free port of loopback.
const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

impl Runtime for Pretence {
    fn ids(&self) -> HostIds {
        HostIds::Single { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() }
    }

    fn listen_tcp(&self, _: SocketAddrV4) -> Answer<'_, TcpListener> {
        let made = TcpListener::bind(ANY).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        ready(made, "listen")
    }

    fn bind_udp(&self, _: SocketAddrV4) -> Answer<'_, UdpSocket> {
        let made = UdpSocket::bind(ANY).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        ready(made, "listen")
    }

    fn connect_tcp<'a>(&'a self, _: Option<&'a str>, _: SocketAddrV4) -> Answer<'a, TcpStream> {
        refused("connect")
    }

    fn create_pod(&self, _: PodSandbox) -> Answer<'_, ()> {
        ready(Ok(()), "make a pod")
    }

    fn start_container(&self, spec: ContainerSpec) -> Answer<'_, Started> {
        // A pipe that nobody writes to has ended.
        let silent = || io::pipe().map(|(reader, _)| OwnedFd::from(reader));
        let started = silent().and_then(|stdout| {
            let stderr = if spec.tty { None } else { Some(silent()?) };
            Ok(Started { pid: 1, stdin: None, stdout, stderr, warnings: Vec::new() })
        });
        let code = spec.argv.first().filter(|program| *program == "exit").and_then(|_| spec.argv.get(1)?.parse().ok());
        self.known(|known| {
            known.runs.insert(spec.id.clone(), spec.pod);
            if let Some(code) = code {
                known.end(&spec.id, code, None);
            }
        });
        ready(started, "start a container")
    }

    fn exec(&self, _: ExecSpec) -> Answer<'_, Started> {
        refused("run a command")
    }

    fn signal<'a>(&'a self, id: &'a str, signal: i32) -> Answer<'a, ()> {
        self.known(|known| {
            if known.runs.contains_key(id) {
                known.end(id, 128 + signal, Some(signal));
            }
        });
        ready(Ok(()), "signal")
    }

    fn resize<'a>(&'a self, _: &'a str, _: u16, _: u16) -> Answer<'a, ()> {
        ready(Ok(()), "resize")
    }

    fn usage(&self, _: Vec<String>, _: bool) -> Answer<'_, Vec<(String, Usage)>> {
        ready(Ok(Vec::new()), "look at containers")
    }

    fn remove_pod<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.known(|known| {
            let left: Vec<String> =
                known.runs.iter().filter(|(_, pod)| *pod == id).map(|(run, _)| run.clone()).collect();
            left.iter().for_each(|run| known.end(run, 137, Some(9)));
        });
        ready(Ok(()), "remove a pod")
    }

    fn exits(&self) -> UnboundedReceiver<Exited> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.known(|known| known.listeners.push(sender));
        receiver
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.known(|known| known.listeners.clear());
        future::ready(()).boxed()
    }
}
