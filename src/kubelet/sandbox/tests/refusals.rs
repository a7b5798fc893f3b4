//! Machines that refuse: simulated in a process that has taken its own rights away before it asks for a place.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::kit::Outcome;
use crate::sandbox::{Place, PlaceConfig};

const REFUSED: &str = "TINDERBOX_TEST_REFUSED";

/// Not a test by itself: the process that asks in vain.
#[test]
fn petitioner() -> Outcome {
    if std::env::var_os(REFUSED).is_none() {
        return Ok(());
    }
    let error = Place::start(PlaceConfig::default()).err().ok_or("nothing refused it")?;
    let hint = error.hint().unwrap_or("none");
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, format!("\nrefused: {error}; {cause}; hint: {hint}\n").as_bytes())?;
    Ok(())
}

/// What a place's start says in a process that has done `this` to itself.
fn said_after(this: fn() -> std::io::Result<()>) -> Result<String, Box<dyn std::error::Error>> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", "sandbox::tests::refusals::petitioner", "--nocapture"]).env(REFUSED, "1");
    // SAFETY: between fork and exec only system calls are made, and short strings for their arguments.
    unsafe { command.pre_exec(this) };
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("refused: ")).map(str::to_owned);
    line.ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

#[test]
fn without_user_namespaces_the_setting_is_named() -> Outcome {
    let said = said_after(|| {
        nix::sched::unshare(CloneFlags::CLONE_NEWUSER)?;
        fs::write("/proc/sys/user/max_user_namespaces", "0")
    })?;
    assert!(said.contains("cannot set up a place for pods on this machine: create a user namespace"), "{said}");
    assert!(said.contains("hint: user namespaces are switched off: sudo sysctl -w user.max_user_namespaces"), "{said}");
    Ok(())
}

#[test]
fn a_masked_proc_is_recognised() -> Outcome {
    let said = said_after(|| {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        nix::sched::unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
        let nothing: Option<&str> = None;
        nix::mount::mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
        Ok(nix::mount::mount(Some("/dev/null"), "/proc/timer_list", nothing, MsFlags::MS_BIND, nothing)?)
    })?;
    assert!(said.contains("mount /proc in a process namespace (is the machine's own /proc masked?)"), "{said}");
    Ok(())
}
