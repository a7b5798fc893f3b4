//! Groups of version 2: one hierarchy for everything.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Limits, Used, field, number, shares, write};

/// Microseconds over which CPU time is counted.
const PERIOD: u64 = 100_000;
/// The kernel takes no less.
const LEAST_QUOTA: u64 = 1000;

/// Lets the groups below have limits.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    write(&folder.join("cgroup.subtree_control"), "+memory")?;
    // A machine that delegates memory alone still holds that.
    let _ = write(&folder.join("cgroup.subtree_control"), "+cpu");
    Ok(())
}

pub(super) fn limit(folder: &Path, limits: &Limits) -> io::Result<()> {
    if let Some(memory) = limits.memory {
        write(&folder.join("memory.max"), &memory.to_string())?;
        // As Kubernetes has it: what is out of memory ends as a whole, and nothing is put off by swapping.
        let _ = write(&folder.join("memory.oom.group"), "1");
        let _ = write(&folder.join("memory.swap.max"), "0");
    }
    if !folder.join("cpu.max").exists() {
        return Ok(());
    }
    // The weights 1 to 10000 stand for the shares 2 to 262144.
    let weight = 1 + (shares(limits.cpu_request_millis) - 2) * 9999 / 262_142;
    write(&folder.join("cpu.weight"), &weight.to_string())?;
    match limits.cpu_millis {
        Some(millis) => {
            write(&folder.join("cpu.max"), &format!("{} {PERIOD}", (millis * PERIOD / 1000).max(LEAST_QUOTA)))
        }
        None => Ok(()),
    }
}

pub(super) fn used(folder: &Path) -> Option<Used> {
    let all = number(&folder.join("memory.current"))?;
    let memory = fs::read_to_string(folder.join("memory.stat")).ok()?;
    let cold = field(&memory, "inactive_file").unwrap_or_default();
    let cpu = fs::read_to_string(folder.join("cpu.stat")).ok()?;
    Some(Used { cpu: Duration::from_micros(field(&cpu, "usage_usec")?), memory: all.saturating_sub(cold) })
}
