//! The place process and what it does on request: pods as namespaces, containers as processes, sockets inside them.
//! Linux mechanics only; it must not know Kubernetes objects.
//!
//! Why by hand and not by a container runtime. Looked at before writing: `crun` and `runc` as programs are not on users'
//! machines, and Debian's crun refuses machines with hybrid cgroups. youki's `libcontainer` 0.7 always creates a cgroup
//! manager and puts the process into a cgroup (which an ordinary user has no right to without delegation by systemd),
//! takes its order as a bundle folder with a complete root file system (we compose one from binds), forks from the
//! process that calls it (ours has threads and a heap of caches), keeps its state in files that outlive a kill -9,
//! and adds 104 crates. Pods need none of that: they share one user namespace, need sockets handed out of their network
//! namespaces, and must die with the node process. That is a few system calls per container.
//!
//! How it works. [`Place::start`] runs this very program again under another name; [`boot`] catches it before `main`,
//! makes the namespaces and becomes process 1 of the place, [`server`] then answers requests in one thread.
//! A pod is network, ipc and uts namespaces held by descriptors ([`pod`]); a container is a child of the place process
//! that builds its root ([`root`]), puts on its rights ([`identity`], [`seccomp`]) and becomes the program ([`launch`]).
//! When the node process ends, in whatever way, process 1 of the place ends, and the kernel ends all of its pods.

mod birth;
mod boot;
mod error;
mod identity;
mod launch;
mod layers;
mod link;
mod mounts;
mod netlink;
mod network;
mod place;
mod pod;
mod program;
mod protocol;
mod root;
mod seccomp;
mod server;
mod start;
mod system;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::error::PlaceError;
pub use self::network::NODE_ADDRESS;
pub use self::place::{Place, PlaceConfig};
use crate::image::RootEntry;

/// Names and address of a pod's own namespaces (network, ipc, uts).
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Path on the host (a volume's folder, or a file).
    pub source: MountSource,
    /// Path in the container.
    pub target: PathBuf,
    /// Read-only.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// The layers of an image, and where a container writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Layers {
    /// The folders of the layers, topmost first.
    pub lower: Vec<PathBuf>,
    /// An empty folder for what the container writes. It must not be used by another one.
    pub upper: PathBuf,
    /// An empty folder on the same file system, for the kernel.
    pub work: PathBuf,
    /// Folders that can be written even where the root cannot.
    pub volumes: Vec<PathBuf>,
}

/// A process to start as a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The pod's id.
    pub pod: String,
    /// Unique id of this run of the container.
    pub id: String,
    /// The layers of the image, below all else; without them the root is empty at first.
    pub layers: Option<Layers>,
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
    /// The running container of the same pod whose processes it shares, if it has none of its own.
    pub processes_of: Option<String>,
    /// How readily the kernel ends it when the machine has no memory left; 1000 is first.
    pub oom_score: i32,
    /// Control groups: its first process writes `0` into each of these before anything else, which makes it a member.
    #[serde(skip)]
    pub doors: Vec<Arc<OwnedFd>>,
}

/// A process to start inside a running container, with that container's user, rights and environment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecSpec {
    /// The container's id.
    pub container: String,
    /// Unique id of this process.
    pub id: String,
    /// Program and arguments; the program is looked up in the container's PATH.
    pub argv: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<(String, String)>,
    /// Working directory, if not the container's.
    pub cwd: Option<PathBuf>,
    /// Give it a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin: bool,
    /// The container's control groups.
    #[serde(skip)]
    pub doors: Vec<Arc<OwnedFd>>,
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
    /// What this machine could not give it (supplementary groups without a range of ids, an overlay …), for an event.
    pub warnings: Vec<String>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// The id of the container or exec.
    pub id: String,
    /// Exit code (128 + signal when a signal ended it).
    pub code: i32,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
}

/// What the processes of one container use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory in bytes: what is resident, where pages shared between its processes count once for each; or the processes' shares
    /// of it, where those were asked for.
    pub memory: u64,
    /// Processor time spent, children that have ended included.
    pub cpu: Duration,
    /// Live processes.
    pub processes: u32,
    /// Bytes written into its root, where that is memory.
    pub written: u64,
}

/// How user and group ids inside containers appear on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostIds {
    /// Each id has a machine id of its own: this one plus the id. Folders for a container can be given to that id.
    Range {
        /// The machine's id of the containers' root.
        start: u32,
    },
    /// All ids of all containers are the one who runs the node process: files cannot be given to another id,
    /// and supplementary groups cannot be set.
    Single {
        /// That user.
        uid: u32,
        /// That user's group.
        gid: u32,
    },
}

impl HostIds {
    /// How ids will appear in a place that this process starts.
    #[must_use]
    pub fn of_this_process() -> Self {
        birth::id_map().into()
    }

    /// The machine's id of a container's user.
    #[must_use]
    pub fn uid(self, inside: u32) -> u32 {
        match self {
            Self::Range { start } => start.saturating_add(inside),
            Self::Single { uid, .. } => uid,
        }
    }

    /// The machine's id of a container's group.
    #[must_use]
    pub fn gid(self, inside: u32) -> u32 {
        match self {
            Self::Range { start } => start.saturating_add(inside),
            Self::Single { gid, .. } => gid,
        }
    }
}
