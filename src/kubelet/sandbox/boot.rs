//! How this program becomes the place process: caught before `main` by its name, through the namespaces, to the loop of [`Server`].
//! Nothing in the node process calls this.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};
use rustix::fs::{Mode, OFlags};

use super::error::{Attempt, Failure};
use super::mounts::{self, BINDS, HOST};
use super::network::Network;
use super::protocol::{IdMap, Mapped, Progress, Settings};
use super::server::Server;
use super::system::{self, Forked};
use super::{pod, root, wire};

/// The name that makes this program the place process.
pub(super) const NAME: &str = "tinderbox-place";

/// Runs before `main`, also in test programs, as container runtimes do it: only here a process of ours has one thread for certain.
#[used]
#[unsafe(link_section = ".init_array")]
static ENTRY: extern "C" fn() = entry;

extern "C" fn entry() {
    let mut buffer = [0; 64];
    let start = system::read_start(c"/proc/self/cmdline", &mut buffer).unwrap_or_default();
    if start.split(|byte| *byte == 0).next() == Some(NAME.as_bytes()) {
        run();
    }
}

fn run() -> ! {
    let Ok(link) = take_link() else { system::leave(1) };
    let ended = unshare(link.as_fd()).and_then(|settings| match settings {
        Some((settings, binds)) => become_place(&link, settings, binds),
        None => Ok(()),
    });
    if let Err(failure) = ended {
        let (attempted, errno) = match failure {
            Failure::Failed { attempted, errno } => (attempted, errno),
            other => (format!("{other:?}"), libc::EINVAL),
        };
        // If the node process is gone there is nobody to tell.
        let _ = wire::send(link.as_fd(), &Progress::Refused { attempted, errno }, &[]);
        system::leave(1);
    }
    system::leave(0)
}

/// The link to the node process is standard input; it moves away from there, out of the way of children. Whatever else the node process
/// left open is closed.
fn take_link() -> std::io::Result<OwnedFd> {
    system::close_from(3)?;
    let link = std::io::stdin().as_fd().try_clone_to_owned()?;
    let nothing = fs::File::open("/dev/null")?;
    system::place_descriptor(nothing.as_fd(), 0)?;
    Ok(link)
}

type Start = (Settings, Vec<OwnedFd>);

/// First half: the namespaces, and the birth of process 1. Returns in process 1, with `None` if there is nothing to do.
fn unshare(link: BorrowedFd<'_>) -> Result<Option<Start>, Failure> {
    let received = wire::receive::<Settings>(link).attempt(|| "receive the settings".to_owned())?;
    let Some((settings, binds)) = received else { return Ok(None) };
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER).attempt(|| "create a user namespace".to_owned())?;
    match settings.ids {
        IdMap::Range => {
            wire::send(link, &Progress::Unshared, &[]).attempt(|| "ask for the id map".to_owned())?;
            if wire::receive::<Mapped>(link).attempt(|| "wait for the id map".to_owned())?.is_none() {
                return Ok(None);
            }
            nix::unistd::setgroups(&[]).attempt(|| "drop supplementary groups".to_owned())?;
        }
        IdMap::Single { uid, gid } => {
            for (file, line) in
                [("setgroups", "deny".to_owned()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
            {
                fs::write(format!("/proc/self/{file}"), &line)
                    .attempt(|| format!("write `{line}` to the user namespace's {file}"))?;
            }
        }
    }
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    nix::unistd::setresgid(group, group, group).attempt(|| "become root's group in the user namespace".to_owned())?;
    nix::unistd::setresuid(user, user, user).attempt(|| "become root in the user namespace".to_owned())?;
    let others = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    nix::sched::unshare(others)
        .attempt(|| "create mount, network, ipc and host name namespaces in a user namespace".to_owned())?;
    // The node process is to be the parent of process 1, so that it learns of its end and the kernel takes it along.
    let forked = system::fork(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_PARENT);
    match forked.attempt(|| "create a process namespace".to_owned())? {
        Forked::Child => Ok(Some((settings, binds))),
        Forked::Parent(pid) => {
            // If the node process is gone, process 1 will see it too.
            let _ = wire::send(link, &Progress::Born { pid }, &[]);
            system::leave(0)
        }
    }
}

/// Second half, in process 1: files, network, and the loop until the node process is gone.
fn become_place(link: &OwnedFd, settings: Settings, binds: Vec<OwnedFd>) -> Result<(), Failure> {
    // Second line behind the end of the link, which a node process that has just died has closed already.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).attempt(|| "ask to die with the node process".to_owned())?;
    // SAFETY: ignoring a signal installs no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, nix::sys::signal::SigHandler::SigIgn) }
        .attempt(|| "ignore SIGPIPE".to_owned())?;
    // The change of user has made this process, and all that it will fork, unreadable to itself in /proc.
    nix::sys::prctl::set_dumpable(true).attempt(|| "allow looking at own processes".to_owned())?;
    nix::sys::prctl::set_name(c"tinderbox-place").attempt(|| "take a name".to_owned())?;
    raise_limit();
    set_up_files(&settings, binds)?;
    let network = Network::set_up()?;
    let copy = link.try_clone().attempt(|| "keep the link".to_owned())?;
    let mut server = Server::new(copy, network, settings.ids, settings.binds)?;
    wire::send(link.as_fd(), &Progress::Ready, &[]).attempt(|| "report readiness".to_owned())?;
    // A broken link is the end of the node process, as a closed one is.
    let _ = server.serve();
    Ok(())
}

/// Three descriptors per pod: the usual soft limit of 1024 is too low.
fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where even that is refused the first pod too many says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The place's root: memory, with the machine's tree under `host`, and what the node process made reachable under `binds`.
fn set_up_files(settings: &Settings, binds: Vec<OwnedFd>) -> Result<(), Failure> {
    let nothing: Option<&str> = None;
    nix::mount::mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing)
        .attempt(|| "keep mounts from spreading to the machine".to_owned())?;
    let is_path = binds.is_empty();
    // Before anything is covered.
    let sources = sources(&settings.binds, binds)?;
    let base =
        ["/tmp", "/mnt", "/usr"].map(Path::new).into_iter().find(|path| path.is_dir()).unwrap_or(Path::new("/usr"));
    mounts::fresh("tmpfs", base, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=755")
        .attempt(|| "mount a tmpfs in a user namespace".to_owned())?;
    for folder in [HOST, BINDS, pod::PODS, root::STAGE, root::EMPTY, "proc"] {
        fs::create_dir(base.join(folder)).attempt(|| format!("mkdir {folder} in the place"))?;
    }
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mounts::fresh("proc", &base.join("proc"), quiet, "")
        .attempt(|| "mount /proc in a process namespace (is the machine's own /proc masked?)".to_owned())?;
    for (number, (path, source)) in settings.binds.iter().zip(&sources).enumerate() {
        add_bind(source, &base.join(BINDS).join(number.to_string()), is_path)
            .attempt(|| format!("make {} reachable in the place", path.display()))?;
    }
    nix::unistd::chdir(base)
        .and_then(|()| nix::unistd::pivot_root(".", HOST))
        .attempt(|| "change the place's root".to_owned())?;
    nix::unistd::chdir("/").attempt(|| "enter the place's root".to_owned())
}

/// The folders to be made reachable: the detached mounts that a privileged node process made, else the folders by their paths.
fn sources(paths: &[PathBuf], mounts: Vec<OwnedFd>) -> Result<Vec<OwnedFd>, Failure> {
    if !mounts.is_empty() {
        return Ok(mounts);
    }
    let open = |path: &PathBuf| {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).attempt(|| format!("open {}", path.display()))
    };
    paths.iter().map(open).collect()
}

fn add_bind(source: &OwnedFd, target: &Path, is_path: bool) -> std::io::Result<()> {
    mounts::make_target(target, mounts::is_directory(source)?)?;
    if is_path { mounts::bind(source, target, false) } else { mounts::attach(source, target) }
}
