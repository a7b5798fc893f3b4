//! Starting containers and execs in the place process: what is checked, forked and remembered. The rest happens in the child.

use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::error::{Attempt, Failure};
use super::identity::Identity;
use super::launch::{self, Launch, Streams};
use super::pod;
use super::server::{Kind, Process, Running, Server, Starting};
use super::system::{self, Forked};
use super::{ContainerSpec, ExecSpec, usage};

impl Server {
    /// Starts a container; the answer comes when its program has taken over, or has failed to.
    pub(super) fn start(&mut self, number: u64, spec: &ContainerSpec, doors: &[OwnedFd]) -> Result<(), Failure> {
        self.check_free(&spec.id)?;
        self.pod(&spec.pod)?;
        let identity = Identity::new(spec.uid, spec.gid, &spec.groups, &spec.capabilities)?;
        let pod = self.pods.get_mut(&spec.pod).ok_or_else(|| Failure::unknown("pod", &spec.pod))?;
        pod.provide(spec.mounts.iter().map(|mount| mount.source.clone()))?;
        let (starting, streams, channel) = prepare(number, spec.tty, spec.stdin, identity.warnings(self.ids))?;
        let pod = self.pod(&spec.pod)?;
        let other = spec.processes_of.as_deref().map(|id| self.processes_of(id)).transpose()?;
        let forked = match pod.init.as_ref().map(|(_, namespace)| namespace).or(other.as_ref()) {
            None => system::fork(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS),
            Some(namespace) => self.fork_into(namespace, CloneFlags::CLONE_NEWNS)?,
        };
        let pid = match forked.attempt(|| format!("start a process for container `{}`", spec.id))? {
            Forked::Parent(pid) => pid,
            Forked::Child => {
                let launch = Launch {
                    channel,
                    streams,
                    identity: &identity,
                    ids: self.ids,
                    argv: &spec.argv,
                    env: spec.env.clone(),
                    cwd: &spec.cwd,
                    doors,
                    oom_score: Some(spec.oom_score),
                };
                launch::container(launch, spec, &pod.namespaces, &pod.shared, &self.binds)
            }
        };
        let running = Running {
            identity,
            env: spec.env.clone(),
            cwd: spec.cwd.clone(),
            mounts: usage::mount_namespace(pid).unwrap_or_default(),
        };
        self.remember(pid, &spec.id, spec.pod.clone(), Kind::Container(Box::new(running)), starting);
        Ok(())
    }

    /// Starts a process inside a running container.
    pub(super) fn exec(&mut self, number: u64, spec: &ExecSpec, doors: &[OwnedFd]) -> Result<(), Failure> {
        self.check_free(&spec.id)?;
        let (container, pod_id, running) = self.running(&spec.container)?;
        let pod_id = pod_id.to_owned();
        let pod = self.pod(&pod_id)?;
        let of_container = |kind| {
            pod::of_process(&container.to_string(), kind)
                .map_err(|_| Failure::unknown("running container", &spec.container))
        };
        let (processes, mounts) = (of_container("pid")?, of_container("mnt")?);
        let user = if running.identity.is_nested(self.ids) { Some(of_container("user")?) } else { None };
        let (starting, streams, channel) = prepare(number, spec.tty, spec.stdin, Vec::new())?;
        let forked = self.fork_into(&processes, CloneFlags::empty())?;
        let pid = match forked.attempt(|| format!("start a process in container `{}`", spec.container))? {
            Forked::Parent(pid) => pid,
            Forked::Child => {
                let mut env = running.env.clone();
                env.retain(|(name, _)| !spec.env.iter().any(|(other, _)| other == name));
                env.extend(spec.env.iter().cloned());
                let launch = Launch {
                    channel,
                    streams,
                    identity: &running.identity,
                    ids: self.ids,
                    argv: &spec.argv,
                    env,
                    cwd: spec.cwd.as_deref().unwrap_or(&running.cwd),
                    doors,
                    oom_score: None,
                };
                launch::exec(launch, &pod.namespaces, &mounts, user)
            }
        };
        self.remember(pid, &spec.id, pod_id, Kind::Exec, starting);
        Ok(())
    }

    /// The process namespace of a running container.
    fn processes_of(&self, container: &str) -> Result<OwnedFd, Failure> {
        let (pid, ..) = self.running(container)?;
        pod::of_process(&pid.to_string(), "pid").map_err(|_| Failure::unknown("running container", container))
    }

    fn check_free(&self, id: &str) -> Result<(), Failure> {
        if id.is_empty() || self.names.contains_key(id) { Err(Failure::exists("process", id)) } else { Ok(()) }
    }

    /// Forks a child into another process namespace; this process stays where it is.
    fn fork_into(&self, processes: &OwnedFd, flags: CloneFlags) -> Result<std::io::Result<Forked>, Failure> {
        nix::sched::setns(processes, CloneFlags::CLONE_NEWPID).attempt(|| "enter a process namespace".to_owned())?;
        let forked = system::fork(flags);
        if !matches!(forked, Ok(Forked::Child))
            && nix::sched::setns(&self.processes_namespace, CloneFlags::CLONE_NEWPID).is_err()
        {
            system::leave(1);
        }
        Ok(forked)
    }

    fn remember(&mut self, pid: i32, id: &str, pod: String, kind: Kind, starting: Starting) {
        self.names.insert(id.to_owned(), pid);
        let process = Process { id: id.to_owned(), pod, kind, starting: Some(starting), terminal: None };
        self.processes.insert(pid, process);
    }
}

/// Makes a child's streams and the channel for its reports: this side's ends, the child's, and its end of the channel.
fn prepare(
    number: u64,
    tty: bool,
    stdin: bool,
    warnings: Vec<String>,
) -> Result<(Starting, Streams, OwnedFd), Failure> {
    let (channel, childs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
        .attempt(|| "make a channel".to_owned())?;
    let mut starting =
        Starting { number, channel, output: None, errors: None, input: None, wants_input: stdin, warnings };
    if tty {
        return Ok((starting, Streams::Terminal, childs));
    }
    let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC).attempt(|| "make a pipe".to_owned());
    let ((output, childs_output), (errors, childs_errors)) = (pipe()?, pipe()?);
    starting.output = Some(output);
    starting.errors = Some(errors);
    let mut childs_input = None;
    if stdin {
        let (input, end) = pipe()?;
        childs_input = Some(input);
        starting.input = Some(end);
    }
    Ok((starting, Streams::Pipes { input: childs_input, output: childs_output, errors: childs_errors }, childs))
}
