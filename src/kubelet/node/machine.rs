//! What the machine has and is. Reads files; changes nothing.

use std::path::Path;

use tinderbox_api::pools::Capacity;

/// Kubernetes' usual number.
const PODS: i64 = 110;

/// All that this machine has; disk is counted where `state_dir` lies.
#[must_use]
pub fn capacity_of_machine(state_dir: &Path) -> Capacity {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<i64>().ok());
    let disk = nix::sys::statvfs::statvfs(state_dir).ok().map(|disk| {
        let bytes = u128::from(disk.blocks()) * u128::from(disk.fragment_size());
        i64::try_from(bytes).unwrap_or(i64::MAX)
    });
    Capacity {
        cpu_millis: i64::try_from(cpus).unwrap_or(1) * 1000,
        memory: kib.unwrap_or(0) * 1024,
        ephemeral_storage: disk.unwrap_or(0),
        pods: PODS,
    }
}

/// Names and versions of the machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    pub(super) architecture: &'static str,
    pub(super) kernel: String,
    pub(super) system: String,
    pub(super) machine_id: String,
    pub(super) boot_id: String,
}

impl Machine {
    pub(super) fn read() -> Self {
        let line = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let release = line("/etc/os-release");
        let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        Self {
            architecture: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            },
            kernel: line("/proc/sys/kernel/osrelease"),
            system: system.unwrap_or("Linux").trim_matches('"').to_owned(),
            machine_id: line("/etc/machine-id"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
        }
    }
}
