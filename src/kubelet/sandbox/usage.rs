//! What a container's processes use, read from /proc. A container is told from others by its mount namespace.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::Usage;

/// The number of a process' mount namespace.
pub(super) fn mount_namespace(pid: i32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/mnt")).ok().map(|found| found.ino())
}

/// The live processes in a mount namespace.
pub(super) fn members(namespace: u64) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    pids.filter(|pid| mount_namespace(*pid) == Some(namespace)).collect()
}

/// What the processes in a mount namespace use together.
pub(super) fn of(namespace: u64) -> Usage {
    let mut usage = Usage::default();
    for pid in members(namespace) {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        // A process that has ended in between counts for nothing.
        let (Some(statm), Some(stat)) = (read("statm"), read("stat")) else { continue };
        usage.memory += resident_pages(&statm).unwrap_or_default() * unit(SysconfVar::PAGE_SIZE, 4096);
        usage.cpu += Duration::from_millis(ticks(&stat).unwrap_or_default() * 1000 / unit(SysconfVar::CLK_TCK, 100));
        usage.processes += 1;
    }
    usage
}

fn unit(name: SysconfVar, usual: u64) -> u64 {
    sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(usual)
}

fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// Clock ticks in user and kernel mode, its own and those of children that it has waited for.
fn ticks(stat: &str) -> Option<u64> {
    // The command's name, in brackets, may hold anything.
    let after = stat.get(stat.rfind(')')? + 1..)?;
    after.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_odd_names() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(100));
        assert_eq!(resident_pages("1000 250 30 4 0 5 0"), Some(250));
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let own = std::process::id() as i32;
        let namespace = mount_namespace(own);
        assert!(namespace.is_some_and(|namespace| members(namespace).contains(&own)));
        assert!(namespace.is_some_and(|namespace| of(namespace).memory > 0));
    }
}
