//! Starting the place process from the node process: which ids it may have, what it is handed, and the thread that stays with it.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};

use nix::unistd::Pid;
use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;
use tokio::sync::watch;

use super::boot;
use super::error::{PlaceError, refused};
use super::link::Link;
use super::protocol::{IdMap, Mapped, Progress, RANGE_LENGTH, RANGE_START, Settings};
use super::system::{MountChange, set_mount};
use super::wire;

type Born = (Link, IdMap, i32);

/// Starts a place. The thread that forks it stays for as long as it lives: the kernel ends the place process when that thread ends.
pub(super) fn start(binds: Vec<PathBuf>) -> Result<Born, PlaceError> {
    let (sender, born) = mpsc::channel();
    let keeper = move || {
        let (ending, ended) = watch::channel(false);
        match give_birth(binds, ended) {
            Ok((socket, born)) => {
                let (desk, pid) = (born.0.desk(), born.2);
                if sender.send(Ok(born)).is_ok() {
                    desk.read(&socket);
                }
                // Also if the link broke on this side alone.
                let _ = socket.shutdown(Shutdown::Both);
                wait(pid);
                desk.close();
            }
            Err(error) => drop(sender.send(Err(error))),
        }
        ending.send_replace(true);
    };
    std::thread::Builder::new()
        .name("place-keeper".to_owned())
        .spawn(keeper)
        .map_err(|error| refused("start a thread".to_owned(), error))?;
    born.recv().unwrap_or(Err(PlaceError::Gone))
}

fn give_birth(binds: Vec<PathBuf>, ended: watch::Receiver<bool>) -> Result<(Arc<UnixStream>, Born), PlaceError> {
    let ids = id_map();
    let binds = binds.iter().map(|path| real(path)).collect::<Result<Vec<_>, _>>()?;
    let mounts = if ids == IdMap::Range { detach(&binds)? } else { Vec::new() };
    let (socket, other) = UnixStream::pair().map_err(|error| refused("make a socket pair".to_owned(), error))?;
    let mut first = Command::new("/proc/self/exe")
        .arg0(boot::NAME)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(other)))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| refused("start the place process".to_owned(), error))?;
    let outcome = introduce(&socket, &first, &Settings { ids, binds }, &mounts);
    // The first process ends once process 1 is born, or after its refusal, or when the link breaks.
    if outcome.is_err() {
        let _ = socket.shutdown(Shutdown::Both);
    }
    let _ = first.wait();
    let pid = outcome?;
    let socket = Arc::new(socket);
    let link = Link::new(Arc::clone(&socket), ended).map_err(|error| refused("start a thread".to_owned(), error))?;
    Ok((socket, (link, ids, pid)))
}

/// The conversation of a start; returns the id of the place process.
fn introduce(socket: &UnixStream, first: &Child, settings: &Settings, mounts: &[OwnedFd]) -> Result<i32, PlaceError> {
    let talk = |error| refused("talk to the place process".to_owned(), error);
    let descriptors: Vec<_> = mounts.iter().map(AsFd::as_fd).collect();
    wire::send(socket.as_fd(), settings, &descriptors).map_err(talk)?;
    let (mut born, mut is_ready, mut refusal) = (None, false, None);
    loop {
        // The last two steps come from two processes, in any order.
        if let (Some(pid), true) = (born, is_ready) {
            return Ok(pid);
        }
        match wire::receive::<Progress>(socket.as_fd()).map_err(talk)?.map(|(progress, _)| progress) {
            Some(Progress::Unshared) => {
                for file in ["uid_map", "gid_map"] {
                    let line = format!("0 {RANGE_START} {RANGE_LENGTH}");
                    std::fs::write(format!("/proc/{}/{file}", first.id()), &line)
                        .map_err(|error| refused(format!("write `{line}` to the user namespace's {file}"), error))?;
                }
                wire::send(socket.as_fd(), &Mapped, &[]).map_err(talk)?;
            }
            Some(Progress::Born { pid }) => born = Some(pid),
            Some(Progress::Ready) => is_ready = true,
            Some(Progress::Refused { attempted, errno }) => {
                refusal = Some(refused(attempted, io::Error::from_raw_os_error(errno)));
            }
            None => {
                if let Some(pid) = born {
                    wait(pid);
                }
                return Err(refusal.unwrap_or_else(|| talk(io::ErrorKind::UnexpectedEof.into())));
            }
        }
    }
}

/// Waits for the end of the place process, which is the end of all processes in it.
fn wait(pid: i32) {
    while nix::sys::wait::waitpid(Pid::from_raw(pid), None) == Err(nix::Error::EINTR) {}
}

/// A range of ids where this process is root and has that range to give, else the one id that it runs under.
pub(super) fn id_map() -> IdMap {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let has = |file: &str| std::fs::read_to_string(file).is_ok_and(|map| covers(&map));
    if uid == 0 && has("/proc/self/uid_map") && has("/proc/self/gid_map") {
        IdMap::Range
    } else {
        IdMap::Single { uid, gid }
    }
}

/// Does one line of an id map hold the whole range?
fn covers(map: &str) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().ok());
        let (Some(Some(inside)), Some(_), Some(Some(length))) = (fields.next(), fields.next(), fields.next()) else {
            return false;
        };
        inside <= u64::from(RANGE_START) && u64::from(RANGE_START) + u64::from(RANGE_LENGTH) <= inside + length
    })
}

fn real(path: &Path) -> Result<PathBuf, PlaceError> {
    std::fs::canonicalize(path)
        .map_err(|error| PlaceError::failed(format!("find {} to make it reachable", path.display()), error))
}

/// Detached mounts of the folders, which this process can reach and the place's ids perhaps not. Private from the start: what is mounted
/// on them in the place must not appear on the machine. Without the right to mount, the place goes by paths.
fn detach(binds: &[PathBuf]) -> Result<Vec<OwnedFd>, PlaceError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let mut mounts = Vec::new();
    for path in binds {
        let mount = match rustix::mount::open_tree(CWD, path, flags) {
            Err(rustix::io::Errno::PERM) => return Ok(Vec::new()),
            mount => mount
                .map_err(|error| refused(format!("make {} reachable in the place", path.display()), error.into()))?,
        };
        let private = MountChange { propagation: libc::MS_PRIVATE, recursive: true, ..MountChange::default() };
        set_mount(&mount, private).map_err(|error| refused(format!("detach {}", path.display()), error))?;
        mounts.push(mount);
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_that_holds_the_range_will_do() {
        assert!(covers("         0          0 4294967295\n"));
        assert!(covers("0 100000 65536\n1000000000 2000000000 1000000000\n"));
        assert!(!covers("0 100000 65536\n"));
        assert!(!covers(""));
    }
}
