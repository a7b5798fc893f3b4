//! A pod inside the place: the namespaces that its containers share, its interface, its memory. It starts no container.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use super::error::{Attempt, Failure};
use super::netlink::Netlink;
use super::network::{self, Network};
use super::protocol::{IdMap, RANGE_LENGTH};
use super::root::Shared;
use super::system::{self, Forked};
use super::{MountSource, PodSandbox, mounts};

/// Folder of the place that holds what pods share.
pub(super) const PODS: &str = "pods";
/// Docker's and containerd's size of `/dev/shm`.
const SHARED_MEMORY: &str = "mode=1777,size=65536k";

/// Namespaces held by descriptors.
#[derive(Debug)]
pub(super) struct Namespaces {
    network: Option<OwnedFd>,
    ipc: OwnedFd,
    uts: OwnedFd,
}

impl Namespaces {
    /// Those of this process; the network only if the pod has one of its own.
    pub(super) fn of_this_process(network: bool) -> Result<Self, Failure> {
        let network = if network { Some(current("net")?) } else { None };
        Ok(Self { network, ipc: current("ipc")?, uts: current("uts")? })
    }

    /// Moves this process into them.
    pub(super) fn join(&self) -> Result<(), Failure> {
        self.join_network()?;
        nix::sched::setns(&self.ipc, CloneFlags::CLONE_NEWIPC).attempt(|| "join an ipc namespace".to_owned())?;
        nix::sched::setns(&self.uts, CloneFlags::CLONE_NEWUTS).attempt(|| "join a uts namespace".to_owned())
    }

    /// Moves this process into the network namespace alone.
    pub(super) fn join_network(&self) -> Result<(), Failure> {
        let Some(network) = &self.network else { return Ok(()) };
        nix::sched::setns(network, CloneFlags::CLONE_NEWNET).attempt(|| "join a network namespace".to_owned())
    }

    /// Moves this process back, where it must be to go on: a place in the wrong namespace would be worse than none.
    pub(super) fn return_to(&self) {
        if self.join().is_err() {
            system::leave(1);
        }
    }
}

/// A namespace of this process.
pub(super) fn current(kind: &str) -> Result<OwnedFd, Failure> {
    of_process("self", kind)
}

/// A namespace of a process.
pub(super) fn of_process(pid: &str, kind: &str) -> Result<OwnedFd, Failure> {
    let path = format!("/proc/{pid}/ns/{kind}");
    File::open(&path).map(OwnedFd::from).attempt(|| format!("open {path}"))
}

/// A pod.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) namespaces: Namespaces,
    pub(super) shared: Shared,
    /// Process 1 of the process namespace that its containers share, and that namespace.
    pub(super) init: Option<(i32, OwnedFd)>,
    /// The request that waits for the pod's end.
    pub(super) removal: Option<u64>,
    /// The name of its interface on the bridge; somebody has to remove it before the rest.
    pub(super) interface: Option<String>,
    folder: String,
}

impl Pod {
    /// Makes a pod out of the place's own namespaces, which this process is in before and after.
    pub(super) fn create(
        spec: &PodSandbox,
        serial: u64,
        own: &Namespaces,
        net: &mut Network,
        ids: IdMap,
    ) -> Result<Self, Failure> {
        let mut flags = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
        if spec.address.is_some() {
            flags |= CloneFlags::CLONE_NEWNET;
        }
        nix::sched::unshare(flags).attempt(|| format!("unshare namespaces for pod `{}`", spec.id))?;
        let inside = Self::inside(spec, ids);
        own.return_to();
        let (namespaces, netlink) = inside?;
        let mut pod = Self {
            namespaces,
            shared: Shared::default(),
            init: None,
            removal: None,
            interface: None,
            folder: format!("{PODS}/{serial}"),
        };
        match pod.complete(spec, serial, net, netlink) {
            Ok(()) => Ok(pod),
            Err(failure) => {
                if let Some(name) = pod.interface.take() {
                    network::remove(&name);
                }
                pod.remove();
                Err(failure)
            }
        }
    }

    fn inside(spec: &PodSandbox, ids: IdMap) -> Result<(Namespaces, Option<Netlink>), Failure> {
        nix::unistd::sethostname(&spec.hostname).attempt(|| format!("set the host name `{}`", spec.hostname))?;
        let last_group = if ids == IdMap::Range { RANGE_LENGTH - 1 } else { 0 };
        let netlink = spec.address.map(|_| network::set_up_pod(last_group)).transpose()?;
        Ok((Namespaces::of_this_process(spec.address.is_some())?, netlink))
    }

    fn complete(
        &mut self,
        spec: &PodSandbox,
        serial: u64,
        net: &mut Network,
        netlink: Option<Netlink>,
    ) -> Result<(), Failure> {
        if let (Some(address), Some(mut inside), Some(namespace)) = (spec.address, netlink, &self.namespaces.network) {
            self.interface = Some(net.connect(serial, namespace.as_fd(), &mut inside, address)?);
        }
        self.shared.memory = self.add_memory("shm", SHARED_MEMORY)?;
        if spec.share_processes {
            let pid = start_init()?;
            // Recorded first, so that a failure below ends it.
            let namespace = of_process(&pid.to_string(), "pid");
            if namespace.is_err() {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
            }
            self.init = Some((pid, namespace?));
        }
        Ok(())
    }

    /// Makes sure that the memory volumes of a container's mounts exist.
    pub(super) fn provide(&mut self, sources: impl Iterator<Item = MountSource>) -> Result<(), Failure> {
        for source in sources {
            let MountSource::Memory { size, name } = source else { continue };
            if self.shared.volumes.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let size = if size == 0 { String::new() } else { format!(",size={size}") };
            let path = self.add_memory(&self.shared.volumes.len().to_string(), &format!("mode=0777{size}"))?;
            self.shared.volumes.push((name, path));
        }
        Ok(())
    }

    fn add_memory(&self, name: &str, options: &str) -> Result<String, Failure> {
        let path = format!("{}/{name}", self.folder);
        let target = Path::new("/").join(&path);
        mounts::make_directories(&target)
            .and_then(|()| mounts::fresh("tmpfs", &target, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options))
            .attempt(|| format!("mount memory at {}", target.display()))?;
        Ok(path)
    }

    /// Ends the pod; its processes and interface must be gone. The namespaces go when nothing holds them any more.
    pub(super) fn remove(self) {
        let folder = Path::new("/").join(&self.folder);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            // A folder whose mount failed is no mount point: nothing to unmount then.
            let _ = nix::mount::umount2(&entry.path(), MntFlags::MNT_DETACH);
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&folder);
    }
}

/// Starts process 1 of a pod whose containers share a process namespace: it adopts and forgets.
fn start_init() -> Result<i32, Failure> {
    match system::fork(CloneFlags::CLONE_NEWPID).attempt(|| "start a pod's process 1".to_owned())? {
        Forked::Parent(pid) => Ok(pid),
        Forked::Child => system::adopt_for_ever(),
    }
}
