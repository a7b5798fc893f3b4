//! The way of a forked process to its program: namespaces, root, streams, rights, exec. It runs in the child of the place process
//! and reports over a channel that closes when the program has taken over.

use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};

use super::ContainerSpec;
use super::error::{Attempt, Failure};
use super::identity::Identity;
use super::mounts::Sources;
use super::pod::Namespaces;
use super::program::{self, Program};
use super::protocol::IdMap;
use super::root::{self, Shared};
use super::{seccomp, system, wire};

/// What the child tells before its program takes over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The main side of its terminal comes with this.
    Terminal,
    /// Something could not be given as usual.
    Warning(String),
    /// It gives up.
    Failed(Failure),
}

/// The child's ends of its streams.
#[derive(Debug)]
pub(super) enum Streams {
    /// A terminal, to be made inside the container.
    Terminal,
    /// Pipes; without an input it reads nothing.
    Pipes { input: Option<OwnedFd>, output: OwnedFd, errors: OwnedFd },
}

/// What both ways need.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) channel: OwnedFd,
    pub(super) streams: Streams,
    pub(super) identity: &'a Identity,
    pub(super) ids: IdMap,
    pub(super) argv: &'a [String],
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: &'a Path,
    /// Control groups to join, each by writing `0`.
    pub(super) doors: &'a [OwnedFd],
    /// How readily the kernel ends it for want of memory, if that is to be changed.
    pub(super) oom_score: Option<i32>,
}

/// Becomes a container. The process is new, in a mount namespace of its own.
pub(super) fn container(
    launch: Launch<'_>,
    spec: &ContainerSpec,
    pod: &Namespaces,
    shared: &Shared,
    binds: &[PathBuf],
) -> ! {
    run(launch, |launch| {
        pod.join()?;
        nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP).attempt(|| "unshare a cgroup namespace".to_owned())?;
        let sources = Sources::open(binds).attempt(|| "open the place's root".to_owned())?;
        let warning = root::build(spec, &sources, shared, launch.ids)?;
        drop(sources);
        if let Some(warning) = warning {
            wire::send(launch.channel.as_fd(), &Report::Warning(warning), &[])
                .attempt(|| "report a warning".to_owned())?;
        }
        Ok(None)
    })
}

/// Becomes a process of a running container, whose mount and user namespaces these are.
pub(super) fn exec(launch: Launch<'_>, pod: &Namespaces, mounts: &OwnedFd, user: Option<OwnedFd>) -> ! {
    run(launch, |_| {
        pod.join()?;
        nix::sched::setns(mounts, CloneFlags::CLONE_NEWNS).attempt(|| "join the container's mounts".to_owned())?;
        Ok(user)
    })
}

fn run(launch: Launch<'_>, enter: impl FnOnce(&Launch<'_>) -> Result<Option<OwnedFd>, Failure>) -> ! {
    let outcome = prepare(&launch).and_then(|()| enter(&launch)).and_then(|user| finish(&launch, user.as_ref()));
    let failure = match outcome {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // Nobody is there to be told if this fails: the place process is gone, and this process with it.
    let _ = wire::send(launch.channel.as_fd(), &Report::Failed(in_words(failure)), &[]);
    system::leave(128)
}

/// The text that goes into a container's status.
fn in_words(failure: Failure) -> Failure {
    match failure {
        Failure::Failed { attempted, errno } => {
            let reason = program::words(&std::io::Error::from_raw_os_error(errno));
            Failure::Start { message: format!("error during container init: {attempted}: {reason}") }
        }
        other => other,
    }
}

fn prepare(launch: &Launch<'_>) -> Result<(), Failure> {
    // Before it uses anything that counts.
    for door in launch.doors {
        nix::unistd::write(door, b"0").attempt(|| "join a control group".to_owned())?;
    }
    if let Some(score) = launch.oom_score {
        // Only a privileged process may make itself less likely to be chosen than its parent was.
        let _ = std::fs::write("/proc/self/oom_score_adj", score.to_string());
    }
    system::reset_signals().attempt(|| "reset signals".to_owned())?;
    nix::unistd::setsid().attempt(|| "start a session".to_owned())?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    Ok(())
}

fn finish(launch: &Launch<'_>, user: Option<&OwnedFd>) -> Result<Infallible, Failure> {
    match &launch.streams {
        Streams::Terminal => connect_terminal(launch)?,
        Streams::Pipes { input, output, errors } => {
            for (number, stream) in [(1, output), (2, errors)].into_iter().chain(input.as_ref().map(|input| (0, input)))
            {
                own(launch, stream.as_fd())?;
                system::place_descriptor(stream.as_fd(), number).attempt(|| format!("set up stream {number}"))?;
            }
            if input.is_none() {
                let nothing = File::open("/dev/null").attempt(|| "open /dev/null".to_owned())?;
                system::place_descriptor(nothing.as_fd(), 0).attempt(|| "set up an empty input".to_owned())?;
            }
        }
    }
    system::close_on_exec_from(3).attempt(|| "close descriptors on exec".to_owned())?;
    launch.identity.assume(launch.ids, user)?;
    let mut env = launch.env.clone();
    program::complete(&mut env, launch.identity.uid, matches!(launch.streams, Streams::Terminal));
    seccomp::apply(launch.identity.capabilities)?;
    Err(Program { argv: launch.argv, env, cwd: launch.cwd }.become_it())
}

/// Gives a stream to the container's user, so that it can be opened again as `/dev/stdout`.
fn own(launch: &Launch<'_>, stream: BorrowedFd<'_>) -> Result<(), Failure> {
    let identity = launch.identity;
    if launch.ids != IdMap::Range {
        return Ok(());
    }
    nix::unistd::fchown(stream, Some(Uid::from_raw(identity.uid)), Some(Gid::from_raw(identity.gid)))
        .attempt(|| format!("give a stream to user {}", identity.uid))
}

fn connect_terminal(launch: &Launch<'_>) -> Result<(), Failure> {
    let attempt = || "make a terminal".to_owned();
    let main = nix::pty::posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).attempt(attempt)?;
    nix::pty::unlockpt(&main).attempt(attempt)?;
    let name = nix::pty::ptsname_r(&main).attempt(attempt)?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let terminal = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).attempt(attempt)?;
    if launch.ids == IdMap::Range {
        nix::unistd::fchown(&terminal, Some(Uid::from_raw(launch.identity.uid)), None).attempt(attempt)?;
    }
    wire::send(launch.channel.as_fd(), &Report::Terminal, &[main.as_fd()])
        .attempt(|| "hand the terminal over".to_owned())?;
    for number in 0..=2 {
        system::place_descriptor(terminal.as_fd(), number).attempt(attempt)?;
    }
    system::control_terminal(terminal.as_fd()).attempt(|| "take control of the terminal".to_owned())
}
