//! The place process' loop: requests from the node process in, answers and ends of processes out. One thread; nothing in it waits for
//! anything but the next event.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::error::{Attempt, Failure};
use super::identity::Identity;
use super::launch::Report;
use super::network::Network;
use super::pod::{Namespaces, Pod};
use super::protocol::{Answer, Call, Event, IdMap, Request};
use super::system::{self, Forked};
use super::{Exited, network, usage, wire};

/// What the place process knows.
#[derive(Debug)]
pub(super) struct Server {
    link: OwnedFd,
    children: SignalFd,
    pub(super) own: Namespaces,
    pub(super) processes_namespace: OwnedFd,
    network: Network,
    pub(super) ids: IdMap,
    pub(super) binds: Vec<PathBuf>,
    pub(super) pods: HashMap<String, Pod>,
    pub(super) processes: HashMap<i32, Process>,
    pub(super) names: HashMap<String, i32>,
    serial: u64,
}

/// A child of the place process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) pod: String,
    pub(super) kind: Kind,
    pub(super) starting: Option<Starting>,
    pub(super) terminal: Option<OwnedFd>,
}

impl Process {
    /// One whose end nobody outside waits for.
    fn nameless(pod: &str, kind: Kind) -> Self {
        Self { id: String::new(), pod: pod.to_owned(), kind, starting: None, terminal: None }
    }
}

/// What a child is.
#[derive(Debug)]
pub(super) enum Kind {
    Container(Box<Running>),
    Exec,
    /// Process 1 of a pod's shared process namespace.
    Init,
    /// Removes a pod's interface.
    Remover,
}

/// What exec and the figures need to know of a container.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) identity: Identity,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: PathBuf,
    pub(super) mounts: u64,
}

/// A child on its way to its program, and this side's ends of its streams.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) number: u64,
    pub(super) channel: OwnedFd,
    pub(super) output: Option<OwnedFd>,
    pub(super) errors: Option<OwnedFd>,
    pub(super) input: Option<OwnedFd>,
    pub(super) wants_input: bool,
    pub(super) warnings: Vec<String>,
}

type Reply = Result<(Answer, Option<OwnedFd>), Failure>;

impl Server {
    /// Takes over a place whose network and file tree are set up.
    pub(super) fn new(link: OwnedFd, network: Network, ids: IdMap, binds: Vec<PathBuf>) -> Result<Self, Failure> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block().attempt(|| "block SIGCHLD".to_owned())?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            link,
            children: SignalFd::with_flags(&mask, flags).attempt(|| "listen to SIGCHLD".to_owned())?,
            own: Namespaces::of_this_process(true)?,
            processes_namespace: super::pod::current("pid")?,
            network,
            ids,
            binds,
            pods: HashMap::new(),
            processes: HashMap::new(),
            names: HashMap::new(),
            serial: 0,
        })
    }

    /// Serves until the node process is gone.
    pub(super) fn serve(&mut self) -> std::io::Result<()> {
        loop {
            let (request, child, reports) = self.wait()?;
            for pid in reports {
                self.follow(pid)?;
            }
            if child {
                self.reap()?;
            }
            if request {
                match wire::receive::<Request>(self.link.as_fd())? {
                    Some((request, descriptors)) => self.handle(request, &descriptors)?,
                    None => return Ok(()),
                }
            }
        }
    }

    /// Waits for a request, the end of a child, or reports of starting children.
    fn wait(&self) -> std::io::Result<(bool, bool, Vec<i32>)> {
        let starting: Vec<(i32, BorrowedFd<'_>)> = self
            .processes
            .iter()
            .filter_map(|(pid, process)| process.starting.as_ref().map(|starting| (*pid, starting.channel.as_fd())))
            .collect();
        let watched =
            [self.link.as_fd(), self.children.as_fd()].into_iter().chain(starting.iter().map(|(_, channel)| *channel));
        let mut watched: Vec<PollFd<'_>> = watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        while let Err(error) = nix::poll::poll(&mut watched, PollTimeout::NONE) {
            if error != nix::Error::EINTR {
                return Err(error.into());
            }
        }
        let is_ready = |index: usize| watched.get(index).and_then(PollFd::any).unwrap_or(true);
        let reports = starting.iter().enumerate().filter(|(index, _)| is_ready(index + 2)).map(|(_, (pid, _))| *pid);
        Ok((is_ready(0), is_ready(1), reports.collect()))
    }

    fn handle(&mut self, request: Request, doors: &[OwnedFd]) -> std::io::Result<()> {
        let number = request.number;
        let done = |result: Result<(), Failure>| result.map(|()| (Answer::Done, None));
        let reply = match request.call {
            Call::Start(spec) => match self.start(number, &spec, doors) {
                Ok(()) => return Ok(()),
                Err(failure) => Err(failure),
            },
            Call::Exec(spec) => match self.exec(number, &spec, doors) {
                Ok(()) => return Ok(()),
                Err(failure) => Err(failure),
            },
            Call::RemovePod { id } => match self.end_pod(number, &id) {
                Ok(()) => return self.finish_removal(&id),
                Err(failure) => Err(failure),
            },
            Call::Socket { pod, stream } => self.socket(pod.as_deref(), stream),
            Call::CreatePod(spec) => done(self.create_pod(&spec)),
            Call::Signal { id, signal } => done(self.signal(&id, signal)),
            Call::Resize { id, columns, rows } => done(self.resize(&id, columns, rows)),
            Call::Usage { ids, shares } => {
                let known = ids.into_iter().filter_map(|id| {
                    let namespace = self.running(&id).ok()?.2.mounts;
                    Some((id, namespace))
                });
                Ok((Answer::Usage(usage::of(known.collect(), shares)), None))
            }
        };
        self.answer(number, reply)
    }

    fn answer(&self, number: u64, reply: Reply) -> std::io::Result<()> {
        let (result, descriptor) = match reply {
            Ok((answer, descriptor)) => (Ok(answer), descriptor),
            Err(failure) => (Err(failure), None),
        };
        let descriptors: Vec<_> = descriptor.as_ref().map(AsFd::as_fd).into_iter().collect();
        wire::send(self.link.as_fd(), &Event::Answer { number, result }, &descriptors)
    }

    fn socket(&self, pod: Option<&str>, stream: bool) -> Reply {
        let kind = if stream { libc::SOCK_STREAM } else { libc::SOCK_DGRAM };
        let make = || system::socket(libc::AF_INET, kind, 0).attempt(|| "make a socket".to_owned());
        let Some(id) = pod else { return Ok((Answer::Done, Some(make()?))) };
        self.pod(id)?.namespaces.join_network()?;
        let socket = make();
        self.own.return_to();
        Ok((Answer::Done, Some(socket?)))
    }

    fn create_pod(&mut self, spec: &super::PodSandbox) -> Result<(), Failure> {
        if self.pods.contains_key(&spec.id) {
            return Err(Failure::exists("pod", &spec.id));
        }
        self.serial += 1;
        let pod = Pod::create(spec, self.serial, &self.own, &mut self.network, self.ids)?;
        if let Some((pid, _)) = &pod.init {
            self.processes.insert(*pid, Process::nameless(&spec.id, Kind::Init));
        }
        self.pods.insert(spec.id.clone(), pod);
        Ok(())
    }

    /// A pod that is not about to end.
    pub(super) fn pod(&self, id: &str) -> Result<&Pod, Failure> {
        self.pods.get(id).filter(|pod| pod.removal.is_none()).ok_or_else(|| Failure::unknown("pod", id))
    }

    /// A container that has started, by its id: process id, pod, and the rest.
    pub(super) fn running(&self, id: &str) -> Result<(i32, &str, &Running), Failure> {
        let found = self.names.get(id).and_then(|pid| self.processes.get(pid).map(|process| (*pid, process)));
        match found {
            Some((pid, Process { kind: Kind::Container(running), pod, starting: None, .. })) => Ok((pid, pod, running)),
            _ => Err(Failure::unknown("container", id)),
        }
    }

    fn signal(&self, id: &str, signal: i32) -> Result<(), Failure> {
        let pid = *self.names.get(id).ok_or_else(|| Failure::unknown("process", id))?;
        let signal = Signal::try_from(signal).attempt(|| format!("send signal {signal}"))?;
        // An exec is a session of its own, whose children nobody else would end.
        let is_exec = self.processes.get(&pid).is_some_and(|process| matches!(process.kind, Kind::Exec));
        let target = Pid::from_raw(if is_exec && signal == Signal::SIGKILL { -pid } else { pid });
        nix::sys::signal::kill(target, signal).attempt(|| format!("send {signal} to `{id}`"))
    }

    fn resize(&self, id: &str, columns: u16, rows: u16) -> Result<(), Failure> {
        let process = self
            .names
            .get(id)
            .and_then(|pid| self.processes.get(pid))
            .ok_or_else(|| Failure::unknown("process", id))?;
        let terminal = process.terminal.as_ref().ok_or_else(|| Failure::unknown("terminal of", id))?;
        system::resize_terminal(terminal.as_fd(), columns, rows).attempt(|| format!("resize the terminal of `{id}`"))
    }

    fn end_pod(&mut self, number: u64, id: &str) -> Result<(), Failure> {
        let pod =
            self.pods.get_mut(id).filter(|pod| pod.removal.is_none()).ok_or_else(|| Failure::unknown("pod", id))?;
        pod.removal = Some(number);
        for (pid, process) in &self.processes {
            if process.pod == id {
                // It may have ended already, which is as good.
                let _ = nix::sys::signal::kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
        }
        Ok(())
    }

    /// Ends a pod that is about to end once none of its processes is left: first its interface, then the rest.
    fn finish_removal(&mut self, id: &str) -> std::io::Result<()> {
        if self.processes.values().any(|process| process.pod == id) {
            return Ok(());
        }
        let Some(pod) = self.pods.get_mut(id).filter(|pod| pod.removal.is_some()) else { return Ok(()) };
        if let Some(name) = pod.interface.take() {
            let pid = match system::fork(CloneFlags::empty())? {
                Forked::Child => system::leave(network::remove(&name)),
                Forked::Parent(pid) => pid,
            };
            self.processes.insert(pid, Process::nameless(id, Kind::Remover));
            return Ok(());
        }
        let Some(pod) = self.pods.remove(id) else { return Ok(()) };
        let number = pod.removal.unwrap_or_default();
        pod.remove();
        self.answer(number, Ok((Answer::Done, None)))
    }

    /// The kernel did not remove a pod's interface: the rest goes, and whoever asked learns of it.
    fn give_up_removal(&mut self, id: &str, errno: i32) -> std::io::Result<()> {
        let Some(pod) = self.pods.remove(id) else { return Ok(()) };
        let number = pod.removal.unwrap_or_default();
        pod.remove();
        self.answer(number, Err(Failure::Failed { attempted: format!("remove the interface of pod `{id}`"), errno }))
    }

    /// Reads what a starting child has to say.
    fn follow(&mut self, pid: i32) -> std::io::Result<()> {
        let Some(process) = self.processes.get_mut(&pid) else { return Ok(()) };
        let Some(starting) = process.starting.as_mut() else { return Ok(()) };
        let failure = match wire::receive::<Report>(starting.channel.as_fd()) {
            Ok(Some((Report::Terminal, mut descriptors))) => {
                process.terminal = descriptors.pop();
                return Ok(());
            }
            Ok(Some((Report::Warning(text), _))) => {
                starting.warnings.push(text);
                return Ok(());
            }
            Ok(Some((Report::Failed(failure), _))) => Some(failure),
            // Also a half report of a child that was killed.
            Ok(None) | Err(_) => None,
        };
        let Some(starting) = process.starting.take() else { return Ok(()) };
        if let Some(failure) = failure {
            let id = std::mem::take(&mut process.id);
            self.names.remove(&id);
            return self.answer(starting.number, Err(failure));
        }
        let output = process.terminal.as_ref().or(starting.output.as_ref());
        let input = if process.terminal.is_some() && starting.wants_input {
            process.terminal.as_ref()
        } else {
            starting.input.as_ref()
        };
        let streams = [output, starting.errors.as_ref(), input];
        let descriptors: Vec<_> = streams.into_iter().flatten().map(AsFd::as_fd).collect();
        let answer = Answer::Started {
            pid,
            terminal: process.terminal.is_some(),
            input: input.is_some(),
            warnings: starting.warnings,
        };
        wire::send(self.link.as_fd(), &Event::Answer { number: starting.number, result: Ok(answer) }, &descriptors)
    }

    /// Takes note of every child that has ended.
    fn reap(&mut self) -> std::io::Result<()> {
        while self.children.read_signal()?.is_some() {}
        loop {
            let (pid, code, signal) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid.as_raw(), code, None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid.as_raw(), 128 + signal as i32, Some(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD) => return Ok(()),
                Ok(_) | Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            // Its last words come before its end.
            while self.processes.get(&pid).is_some_and(|process| process.starting.is_some()) {
                self.follow(pid)?;
            }
            let Some(process) = self.processes.remove(&pid) else { continue };
            if let (Kind::Remover, 1..) = (&process.kind, code) {
                self.give_up_removal(&process.pod, code)?;
                continue;
            }
            if let Kind::Container(running) = &process.kind {
                self.end_stragglers(&process.pod, running.mounts);
            }
            if !process.id.is_empty() {
                self.names.remove(&process.id);
                wire::send(self.link.as_fd(), &Event::Exited(Exited { id: process.id, code, signal }), &[])?;
            }
            self.finish_removal(&process.pod)?;
        }
    }

    /// In a process namespace that containers share, the end of one does not end what it has started.
    fn end_stragglers(&self, pod: &str, mounts: u64) {
        if self.pods.get(pod).is_some_and(|pod| pod.init.is_some()) {
            for pid in usage::members(mounts) {
                let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}
