//! The place process and what it does on request: pods as namespaces, containers as processes, sockets inside them.
//! Linux mechanics only; it must not know Kubernetes objects.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::image::RootEntry;

/// Names and address of a pod's own namespaces (network, ipc, uts).
#[derive(Debug, Clone)]
pub struct PodSandbox {
    /// Unique id: the pod's UID.
    pub id: String,
    /// Host name inside.
    pub hostname: String,
    /// Address on the bridge; `None` for hostNetwork, which shares the place's own network namespace.
    pub address: Option<Ipv4Addr>,
    /// Containers share one process namespace.
    pub share_processes: bool,
}

/// One mount on top of the root view, in order.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Path on the host (a volume's folder, or a file).
    pub source: MountSource,
    /// Path in the container.
    pub target: PathBuf,
    /// Read-only.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum MountSource {
    /// A folder or file of the host.
    Bind(PathBuf),
    /// Memory, at most this many bytes (0: no limit).
    Memory {
        /// Size limit in bytes.
        size: u64,
        /// Identity within the pod, so that containers share one.
        name: String,
    },
}

/// A process to start as a container.
#[derive(Debug)]
pub struct ContainerSpec {
    /// The pod's id.
    pub pod: String,
    /// Unique id of this run of the container.
    pub id: String,
    /// The image's root view.
    pub root: Vec<RootEntry>,
    /// Volumes and files on top of it.
    pub mounts: Vec<Mount>,
    /// Program and arguments; the program is looked up in the container's PATH.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: PathBuf,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The root view cannot be written.
    pub read_only_root: bool,
    /// Capabilities to keep, by name without `CAP_` (the default set with adds and drops applied).
    pub capabilities: Vec<String>,
    /// Give it a terminal; then `stdout` of the result carries everything.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin: bool,
}

/// A started process: its streams, which the node process reads.
#[derive(Debug)]
pub struct Started {
    /// Process id in the place's process namespace.
    pub pid: i32,
    /// Write end of standard input, if asked for.
    pub stdin: Option<OwnedFd>,
    /// Read end of standard output (the terminal's main side with `tty`).
    pub stdout: OwnedFd,
    /// Read end of standard error; absent with `tty`.
    pub stderr: Option<OwnedFd>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exited {
    /// The id of the container or exec.
    pub id: String,
    /// Exit code (128 + signal when a signal ended it).
    pub code: i32,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
}
