//! Groups of version 1: a hierarchy for memory, one for CPU, and perhaps another one that counts CPU time.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{Limits, Used, field, number, shares, write};

/// Microseconds over which CPU time is counted.
const PERIOD: u64 = 100_000;
/// The kernel takes no less.
const LEAST_QUOTA: u64 = 1000;

/// A group's folder in each hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchies {
    pub(super) memory: PathBuf,
    pub(super) cpu: PathBuf,
    /// The same as `cpu` where both are one hierarchy.
    pub(super) cpuacct: PathBuf,
}

impl Hierarchies {
    pub(super) fn map(&self, change: impl Fn(&PathBuf) -> PathBuf) -> Self {
        Self { memory: change(&self.memory), cpu: change(&self.cpu), cpuacct: change(&self.cpuacct) }
    }

    pub(super) fn all(&self) -> Vec<PathBuf> {
        let mut all = vec![self.memory.clone(), self.cpu.clone()];
        if self.cpuacct != self.cpu {
            all.push(self.cpuacct.clone());
        }
        all
    }
}

/// Makes limits of groups below hold for all that is in them, which old kernels ask for.
pub(super) fn prepare(folders: &Hierarchies) -> io::Result<()> {
    let file = folders.memory.join("memory.use_hierarchy");
    if number(&file) == Some(0) { write(&file, "1") } else { Ok(()) }
}

pub(super) fn limit(folders: &Hierarchies, limits: &Limits) -> io::Result<()> {
    if let Some(memory) = limits.memory {
        write(&folders.memory.join("memory.limit_in_bytes"), &memory.to_string())?;
        // Without accounting of swap there is no such file, or no swap to speak of.
        let _ = write(&folders.memory.join("memory.memsw.limit_in_bytes"), &memory.to_string());
    }
    write(&folders.cpu.join("cpu.shares"), &shares(limits.cpu_request_millis).to_string())?;
    if let Some(millis) = limits.cpu_millis {
        let quota = (millis * PERIOD / 1000).max(LEAST_QUOTA);
        write(&folders.cpu.join("cpu.cfs_period_us"), &PERIOD.to_string())?;
        write(&folders.cpu.join("cpu.cfs_quota_us"), &quota.to_string())?;
    }
    Ok(())
}

pub(super) fn used(folders: &Hierarchies) -> Option<Used> {
    let all = number(&folders.memory.join("memory.usage_in_bytes"))?;
    let stat = std::fs::read_to_string(folders.memory.join("memory.stat")).ok()?;
    let cold = field(&stat, "total_inactive_file").unwrap_or_default();
    let nanos = number(&folders.cpuacct.join("cpuacct.usage"))?;
    Some(Used { cpu: Duration::from_nanos(nanos), memory: all.saturating_sub(cold) })
}
