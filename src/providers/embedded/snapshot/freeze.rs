//! Letting the processes of a cluster stand still, the node's and those of all pods, and go on again, whatever becomes of this
//! process: a shell outside the terminal's reach lets them go on as soon as nobody holds its input open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Remembers process ids from its input, and continues them at its end.
const KEEPER: &str = "trap '' INT HUP TERM QUIT; pids=; while read -r pid; do pids=\"$pids $pid\"; done; [ -z \"$pids\" ] || kill -CONT $pids";
/// How long processes may take to stand still.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a process may take to come out of the kernel. Afterwards it counts as standing still there: it has been told to stop, and
/// comes no further. A parent that waits for its stopped child to become another program (vfork) never comes out.
const IN_KERNEL: Duration = Duration::from_millis(200);
/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(1);

/// Processes that stand still for as long as this lives.
pub(super) struct Frozen {
    keeper: Child,
    input: Option<ChildStdin>,
}

impl Frozen {
    /// Stops a process and all below it, and returns when they stand still.
    pub(super) fn new(top: i32) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keeper = command.spawn()?;
        let input = keeper.stdin.take();
        let mut frozen = Self { keeper, input };
        let mut stopped = BTreeSet::new();
        let began = Instant::now();
        loop {
            let all = family(top)?;
            // The one at the top first: it starts no others then.
            let fresh: Vec<i32> = all.keys().copied().filter(|pid| !stopped.contains(pid)).collect();
            for pid in &fresh {
                frozen.stop(*pid)?;
                stopped.insert(*pid);
            }
            let in_kernel = began.elapsed() > IN_KERNEL;
            let stands = |state: &char| matches!(state, 'T' | 't' | 'Z' | 'X') || (*state == 'D' && in_kernel);
            if fresh.is_empty() && all.values().all(stands) {
                return Ok(frozen);
            }
            if began.elapsed() > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "its processes do not stand still"));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn stop(&mut self, pid: i32) -> io::Result<()> {
        if let Some(input) = &mut self.input {
            // Said before it is done: from now on somebody knows.
            writeln!(input, "{pid}")?;
        }
        match kill(Pid::from_raw(pid), Signal::SIGSTOP) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.input = None;
        // It ends at once, and has nothing to tell.
        let _ = self.keeper.wait();
    }
}

/// A process and all below it, with the letters of their states.
fn family(top: i32) -> io::Result<BTreeMap<i32, char>> {
    let mut parents: BTreeMap<i32, Vec<(i32, char)>> = BTreeMap::new();
    let mut family = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended meanwhile is none of them.
        let Some((state, parent)) = fs::read_to_string(entry.path().join("stat")).ok().and_then(|text| stat(&text))
        else {
            continue;
        };
        if pid == top {
            family.insert(pid, state);
        }
        parents.entry(parent).or_default().push((pid, state));
    }
    let mut open = vec![top];
    while let Some(pid) = open.pop() {
        for (child, state) in parents.remove(&pid).unwrap_or_default() {
            family.insert(child, state);
            open.push(child);
        }
    }
    Ok(family)
}

/// State and parent in a line of /proc/PID/stat; the name before them may hold anything.
fn stat(text: &str) -> Option<(char, i32)> {
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(pid: i32) -> char {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        stat(&text).expect("a state").0
    }

    #[test]
    fn a_family_stands_still_and_goes_on() {
        let mut shell =
            Command::new("sh").args(["-c", "sleep 1000 & sleep 1000"]).process_group(0).spawn().expect("it runs");
        let top = i32::try_from(shell.id()).expect("a number");
        let pids = loop {
            let family = family(top).expect("/proc is there");
            if family.len() == 3 {
                break family.into_keys().collect::<Vec<_>>();
            }
        };
        let frozen = Frozen::new(top).expect("they stand still");
        assert!(pids.iter().all(|pid| matches!(state_of(*pid), 'T' | 'D')));
        drop(frozen);
        assert!(pids.iter().all(|pid| state_of(*pid) != 'T'));
        kill(Pid::from_raw(-top), Signal::SIGKILL).expect("killed");
        shell.wait().expect("ended");
    }
}
