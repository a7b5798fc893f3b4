//! What an engine says of itself, and whether a cluster can be had in it. It must not talk with the engine.

use bollard::models::SystemInfo;

use crate::Error;

/// The oldest API that has all that is asked: that of Docker 20.10.
const OLDEST: (u64, u64) = (1, 41);
/// Memory that a cluster with one Spark job in it takes.
const MEMORY: i64 = 2 << 30;
/// Disk that it takes, with the image of Spark in its node.
const DISK: u64 = 3 << 30;

/// What the engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// What it is, as `Docker Engine - Community` or `Podman Engine`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of its API.
    pub api: String,
    /// It runs without root.
    pub rootless: bool,
    /// Version of control groups that it uses.
    pub cgroups: String,
    /// Who writes control groups: `systemd` or `cgroupfs`.
    pub cgroup_driver: String,
    /// Bytes of memory that it may use.
    pub memory: i64,
    /// Its processors.
    pub processors: i64,
    /// How it stores layers.
    pub storage: String,
    /// Bytes that are free where it stores them; unknown where this machine does not see that folder.
    pub disk: Option<u64>,
}

impl Description {
    /// Of what the engine says, without its version.
    pub(super) fn of(info: &SystemInfo) -> Self {
        let free = |root: &String| {
            let room = rustix::fs::statvfs(root.as_str()).ok()?;
            Some(room.f_bavail * room.f_frsize)
        };
        Self {
            rootless: info.security_options.iter().flatten().any(|option| option.contains("rootless")),
            cgroups: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            cgroup_driver: info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
            memory: info.mem_total.unwrap_or_default(),
            processors: info.ncpu.unwrap_or_default(),
            storage: info.driver.clone().unwrap_or_default(),
            disk: info.docker_root_dir.as_ref().and_then(free),
            ..Self::default()
        }
    }

    /// Whether a cluster can be had in it.
    ///
    /// # Errors
    /// When it is too old, cannot limit what containers use, or has too little memory or disk.
    pub fn judge(&self) -> Result<(), Error> {
        let mut parts = self.api.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
        let api = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let lack = |message: String, hint: &str| Err(Error::Lack { message, hint: Some(hint.to_owned()) });
        if api < OLDEST {
            let (major, minor) = OLDEST;
            let Self { name, version, api, .. } = self;
            return lack(
                format!("{name} {version} is too old: its API is {api}, and {major}.{minor} is the oldest that does"),
                "install Docker 20.10 or newer",
            );
        }
        if self.rootless && self.cgroups == "1" {
            return lack(
                format!(
                    "{} runs without root on control groups of version 1, where it cannot limit containers",
                    self.name
                ),
                "start the machine with systemd.unified_cgroup_hierarchy=1 on the kernel's command line, or use an engine of root",
            );
        }
        if self.memory > 0 && self.memory < MEMORY {
            return lack(
                format!(
                    "{} may use {} MiB of memory, and a cluster with a Spark job takes {}",
                    self.name,
                    self.memory >> 20,
                    MEMORY >> 20
                ),
                "give the engine's machine more memory",
            );
        }
        match self.disk {
            Some(disk) if disk < DISK => lack(
                format!(
                    "{} has {} MiB of disk left, and a cluster with a Spark job takes {}",
                    self.name,
                    disk >> 20,
                    DISK >> 20
                ),
                "make room: `docker system df` says what takes it",
            ),
            _ => Ok(()),
        }
    }
}
