//! What containers' processes use, read from /proc. A container is told from others by its mount namespace.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::sys::statfs::TMPFS_MAGIC;
use nix::unistd::{SysconfVar, sysconf};

use super::Usage;

/// The number of a process' mount namespace.
pub(super) fn mount_namespace(pid: i32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/mnt")).ok().map(|found| found.ino())
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()))
}

/// The live processes in a mount namespace.
pub(super) fn members(namespace: u64) -> Vec<i32> {
    processes().filter(|pid| mount_namespace(*pid) == Some(namespace)).collect()
}

/// What the processes in each of these mount namespaces use together.
pub(super) fn of(containers: Vec<(String, u64)>, shares: bool) -> Vec<(String, Usage)> {
    let mut found: HashMap<u64, Usage> =
        containers.iter().map(|(_, namespace)| (*namespace, Usage::default())).collect();
    for pid in processes() {
        let Some(usage) = mount_namespace(pid).and_then(|namespace| found.get_mut(&namespace)) else { continue };
        add(pid, shares, usage);
    }
    containers.into_iter().map(|(id, namespace)| (id, found.get(&namespace).copied().unwrap_or_default())).collect()
}

fn add(pid: i32, shares: bool, usage: &mut Usage) {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    // A process that has ended in between counts for nothing.
    let (Some(statm), Some(stat)) = (read("statm"), read("stat")) else { return };
    let share = if shares { read("smaps_rollup").as_deref().and_then(share) } else { None };
    let resident = || resident_pages(&statm).unwrap_or_default() * unit(SysconfVar::PAGE_SIZE, 4096);
    usage.memory += share.unwrap_or_else(resident);
    usage.cpu += Duration::from_millis(ticks(&stat).unwrap_or_default() * 1000 / unit(SysconfVar::CLK_TCK, 100));
    usage.processes += 1;
    if usage.processes == 1 {
        // All of them have the same root.
        usage.written = written(&format!("/proc/{pid}/root"));
    }
}

/// Bytes written into a root that is memory; one that lies on disk counts there.
fn written(root: &str) -> u64 {
    let is_memory = nix::sys::statfs::statfs(root).is_ok_and(|root| root.filesystem_type() == TMPFS_MAGIC);
    let Ok(root) = nix::sys::statvfs::statvfs(root) else { return 0 };
    if is_memory { (root.blocks() - root.blocks_free()) * root.fragment_size() } else { 0 }
}

fn unit(name: SysconfVar, usual: u64) -> u64 {
    sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(usual)
}

fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// Bytes of a process' share of the memory that it maps.
fn share(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
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
        assert_eq!(
            share("55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:   2000 kB\nPss:    1500 kB\nPss_Dirty: 1 kB\n"),
            Some(1500 << 10)
        );
    }

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let own = std::process::id() as i32;
        let namespace = mount_namespace(own).unwrap();
        assert!(members(namespace).contains(&own));
        let of = |shares| of(vec![("own".to_owned(), namespace), ("none".to_owned(), 1)], shares);
        let (resident, shares) = (of(false), of(true));
        assert!(resident[0].1.memory >= shares[0].1.memory && shares[0].1.memory > 0, "{resident:?} {shares:?}");
        assert_eq!(resident[1].1, Usage::default());
    }
}
