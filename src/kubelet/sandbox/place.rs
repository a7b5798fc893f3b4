//! The node process' handle of its place: sends requests, hands out answers and ends.
//! All that happens inside namespaces happens in the place process.

use std::io;
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::sys::socket::{Backlog, SockaddrIn, sockopt};
use tokio::sync::mpsc::UnboundedReceiver;

use super::error::PlaceError;
use super::link::Link;
use super::protocol::{Answer, Call, IdMap};
use super::{ContainerSpec, ExecSpec, Exited, HostIds, MountSource, PodSandbox, Started, Usage, birth};
use crate::image::RootEntry;

/// What a place needs to know of the machine.
#[derive(Debug, Clone, Default)]
pub struct PlaceConfig {
    /// Folders that mounts of pods come from (volumes, the cache, a python prefix …): reachable in the place even if a folder above
    /// them is closed to the containers' ids, as /root is. They must exist, and be searchable themselves.
    pub binds: Vec<PathBuf>,
}

/// A place for pods: one process with namespaces of its own, which ends, and all pods with it, when this handle is dropped or the
/// process that holds it dies.
#[derive(Debug)]
pub struct Place {
    link: Link,
    ids: IdMap,
    pid: i32,
}

impl Place {
    /// Starts the place process and waits until it is ready, which takes milliseconds.
    ///
    /// # Errors
    /// When the machine refuses one of the namespaces or mounts; with a hint where there is a known remedy.
    pub fn start(config: PlaceConfig) -> Result<Self, PlaceError> {
        let (link, ids, pid) = birth::start(config.binds)?;
        Ok(Self { link, ids, pid })
    }

    /// The place process' id among the machine's processes.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How ids inside containers appear on the machine.
    #[must_use]
    pub fn ids(&self) -> HostIds {
        self.ids.into()
    }

    /// Listens in the place's network; any service address will do.
    ///
    /// # Errors
    /// When the address is taken or not one of the place's.
    pub async fn listen_tcp(&self, address: SocketAddrV4) -> Result<TcpListener, PlaceError> {
        let socket = self.socket(None, true).await?;
        bind(&socket, address)
            .and_then(|()| Ok(nix::sys::socket::listen(&socket, Backlog::MAXCONN)?))
            .map_err(|error| PlaceError::failed(format!("listen on {address} in the place"), error))?;
        let listener = TcpListener::from(socket);
        let quick = listener.set_nonblocking(true);
        quick.map(|()| listener).map_err(|error| PlaceError::failed("make a listener non-blocking", error))
    }

    /// Binds a datagram socket in the place's network; any service address will do.
    ///
    /// # Errors
    /// When the address is taken or not one of the place's.
    pub async fn bind_udp(&self, address: SocketAddrV4) -> Result<UdpSocket, PlaceError> {
        let socket = self.socket(None, false).await?;
        bind(&socket, address)
            .map_err(|error| PlaceError::failed(format!("bind {address}/udp in the place"), error))?;
        let socket = UdpSocket::from(socket);
        let quick = socket.set_nonblocking(true);
        quick.map(|()| socket).map_err(|error| PlaceError::failed("make a socket non-blocking", error))
    }

    /// Connects to `address` from inside a pod (where 127.0.0.1 is the pod's own), or from the place. The stream is non-blocking.
    /// It gives up only when the kernel does: set a time limit around it.
    ///
    /// # Errors
    /// When there is no such pod, or nobody answers.
    pub async fn connect_tcp(&self, pod: Option<&str>, address: SocketAddrV4) -> Result<TcpStream, PlaceError> {
        let failed = |error| match pod {
            Some(pod) => PlaceError::failed(format!("connect to {address} in pod `{pod}`"), error),
            None => PlaceError::failed(format!("connect to {address} in the place"), error),
        };
        let socket = TcpStream::from(self.socket(pod, true).await?);
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = tokio::net::TcpSocket::from_std_stream(socket);
        let stream = socket.connect(address.into()).await.map_err(failed)?;
        stream.into_std().map_err(failed)
    }

    async fn socket(&self, pod: Option<&str>, stream: bool) -> Result<OwnedFd, PlaceError> {
        let (_, mut descriptors) =
            self.link.ask(Call::Socket { pod: pod.map(str::to_owned), stream }, Vec::new()).await?;
        descriptors.pop().ok_or(PlaceError::Gone)
    }

    /// Makes a pod's namespaces and connects it to the network.
    ///
    /// # Errors
    /// When it is there already, or the kernel refuses.
    pub async fn create_pod(&self, pod: PodSandbox) -> Result<(), PlaceError> {
        self.link.ask(Call::CreatePod(pod), Vec::new()).await.map(drop)
    }

    /// Starts a container, and returns when its program runs.
    ///
    /// # Errors
    /// [`PlaceError::Start`] when the container is at fault (program not found …), others when the place is.
    pub async fn start_container(&self, mut spec: ContainerSpec) -> Result<Started, PlaceError> {
        for entry in &mut spec.root {
            if let RootEntry::Bind { source, .. } = entry {
                *source = real(source)?;
            }
        }
        for path in spec
            .layers
            .iter_mut()
            .flat_map(|layers| layers.lower.iter_mut().chain([&mut layers.upper, &mut layers.work]))
        {
            *path = real(path)?;
        }
        for mount in &mut spec.mounts {
            if let MountSource::Bind(source) = &mut mount.source {
                *source = real(source)?;
            }
        }
        let doors = std::mem::take(&mut spec.doors);
        started(self.link.ask(Call::Start(Box::new(spec)), doors).await?)
    }

    /// Starts a process inside a running container, as the container's user with its rights, and returns when its program runs.
    ///
    /// # Errors
    /// As [`Self::start_container`].
    pub async fn exec(&self, mut spec: ExecSpec) -> Result<Started, PlaceError> {
        let doors = std::mem::take(&mut spec.doors);
        started(self.link.ask(Call::Exec(Box::new(spec)), doors).await?)
    }

    /// Sends a signal to a container's first process, or to an exec. A container's first process ignores what it does not handle,
    /// except SIGKILL, which ends all of the container.
    ///
    /// # Errors
    /// When it has ended, or the signal is none.
    pub async fn signal(&self, id: &str, signal: i32) -> Result<(), PlaceError> {
        self.link.ask(Call::Signal { id: id.to_owned(), signal }, Vec::new()).await.map(drop)
    }

    /// Tells the terminal of a container or exec its size.
    ///
    /// # Errors
    /// When it has ended, or has no terminal.
    pub async fn resize(&self, id: &str, columns: u16, rows: u16) -> Result<(), PlaceError> {
        self.link.ask(Call::Resize { id: id.to_owned(), columns, rows }, Vec::new()).await.map(drop)
    }

    /// What containers use, by their ids; those that have ended are left out. With `shares`, pages that several processes have count
    /// for each of them in part, which takes the kernel longer to tell.
    ///
    /// # Errors
    /// When the place is gone.
    pub async fn usage(&self, ids: Vec<String>, shares: bool) -> Result<Vec<(String, Usage)>, PlaceError> {
        match self.link.ask(Call::Usage { ids, shares }, Vec::new()).await? {
            (Answer::Usage(usage), _) => Ok(usage),
            _ => Err(PlaceError::Gone),
        }
    }

    /// Kills what is left of a pod, and removes it; returns when all of it is gone. The ends of its containers are reported before.
    ///
    /// # Errors
    /// When there is no such pod.
    pub async fn remove_pod(&self, id: &str) -> Result<(), PlaceError> {
        self.link.ask(Call::RemovePod { id: id.to_owned() }, Vec::new()).await.map(drop)
    }

    /// The ends of containers and execs, each once to every receiver that was there; those from before the first call are kept for it.
    /// If the place process itself dies, all that ran is reported as killed.
    #[must_use]
    pub fn exits(&self) -> UnboundedReceiver<Exited> {
        self.link.exits()
    }

    /// Ends the place and every pod; returns when all processes are gone.
    pub async fn stop(&self) {
        self.link.close().await;
    }
}

/// The real path of a mount's source: the place follows no symbolic links on the machine's side.
fn real(path: &PathBuf) -> Result<PathBuf, PlaceError> {
    std::fs::canonicalize(path)
        .map_err(|error| PlaceError::failed(format!("find {} to mount it", path.display()), error))
}

fn bind(socket: &OwnedFd, address: SocketAddrV4) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    nix::sys::socket::setsockopt(socket, sockopt::ReuseAddr, &true)?;
    Ok(nix::sys::socket::bind(socket.as_raw_fd(), &SockaddrIn::from(address))?)
}

fn started((answer, descriptors): (Answer, Vec<OwnedFd>)) -> Result<Started, PlaceError> {
    let Answer::Started { pid, terminal, input, warnings } = answer else { return Err(PlaceError::Gone) };
    let mut descriptors = descriptors.into_iter();
    let stdout = descriptors.next().ok_or(PlaceError::Gone)?;
    let stderr = if terminal { None } else { descriptors.next() };
    let stdin = if input { descriptors.next() } else { None };
    Ok(Started { pid, stdin, stdout, stderr, warnings })
}
