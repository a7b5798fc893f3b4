//! What the tests of the place share: a place, pods by number, containers of this machine's own userland, and how to wait for them.

use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::image::RootEntry;
use crate::sandbox::{ContainerSpec, Exited, Place, PlaceConfig, PodSandbox, Started};

pub(super) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Nothing here takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place and the ends of its processes.
pub(super) struct Kit {
    pub(super) place: Place,
    pub(super) exits: UnboundedReceiver<Exited>,
}

impl Kit {
    pub(super) fn start() -> Result<Self, Box<dyn std::error::Error>> {
        Self::with(Vec::new())
    }

    pub(super) fn with(binds: Vec<PathBuf>) -> Result<Self, Box<dyn std::error::Error>> {
        let place = Place::start(PlaceConfig { binds })?;
        let exits = place.exits();
        Ok(Self { place, exits })
    }

    /// Makes pod `p<number>` at 10.244.1.<number>.
    pub(super) async fn pod(&self, number: u8) -> Result<String, Box<dyn std::error::Error>> {
        let id = format!("p{number}");
        self.place.create_pod(sandbox(number)).await?;
        Ok(id)
    }

    /// Runs a shell script to its end and returns what it printed and its exit code.
    pub(super) async fn run(&mut self, spec: ContainerSpec) -> Result<(String, i32), Box<dyn std::error::Error>> {
        let id = spec.id.clone();
        let started = self.place.start_container(spec).await?;
        let (output, errors) = output(started).await?;
        let exited = self.exit(&id).await?;
        Ok((output + &errors, exited.code))
    }

    /// Waits for the end of one process, forgetting others.
    pub(super) async fn exit(&mut self, id: &str) -> Result<Exited, Box<dyn std::error::Error>> {
        within(async {
            while let Some(exited) = self.exits.recv().await {
                if exited.id == id {
                    return Ok(exited);
                }
            }
            Err(format!("`{id}` never ended").into())
        })
        .await?
    }
}

pub(super) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 1, number)
}

pub(super) fn sandbox(number: u8) -> PodSandbox {
    PodSandbox {
        id: format!("p{number}"),
        hostname: format!("pod-{number}"),
        address: Some(address(number)),
        share_processes: false,
    }
}

/// A shell script in a container with this machine's userland.
pub(super) fn shell(pod: &str, id: &str, script: &str) -> ContainerSpec {
    ContainerSpec {
        pod: pod.to_owned(),
        id: id.to_owned(),
        layers: None,
        root: userland(),
        mounts: Vec::new(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: Vec::new(),
        cwd: PathBuf::from("/"),
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        read_only_root: false,
        capabilities: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"]
            .map(str::to_owned)
            .to_vec(),
        tty: false,
        stdin: false,
        processes_of: None,
        oom_score: 0,
        doors: Vec::new(),
    }
}

fn userland() -> Vec<RootEntry> {
    let mut entries = vec![RootEntry::Bind { source: "/usr".into(), target: "/usr".into() }];
    for name in ["bin", "sbin", "lib", "lib64"] {
        if Path::new("/").join(name).exists() {
            entries.push(RootEntry::Symlink { to: Path::new("usr").join(name), target: Path::new("/").join(name) });
        }
    }
    for (name, content) in [
        ("passwd", "root:x:0:0::/root:/bin/sh\nspark:x:185:0::/opt/spark:/bin/sh\n"),
        ("hosts", "127.0.0.1 localhost\n"),
    ] {
        entries.push(RootEntry::File { target: Path::new("/etc").join(name), mode: 0o644, content: content.into() });
    }
    entries.push(RootEntry::Directory { target: "/tmp".into(), mode: 0o1777, writable: false });
    entries
}

/// Everything that a process prints, until it closes its streams.
pub(super) async fn output(started: Started) -> Result<(String, String), Box<dyn std::error::Error>> {
    drop(started.stdin);
    let (output, errors) = (text(started.stdout), started.stderr.map(text));
    let errors = match errors {
        Some(errors) => errors.await?,
        None => String::new(),
    };
    Ok((output.await?, errors))
}

/// Reads a stream to its end, on a thread.
pub(super) fn text(stream: OwnedFd) -> tokio::task::JoinHandle<String> {
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        let mut file = File::from(stream);
        // A terminal ends with an error.
        while let Ok(read @ 1..) = file.read(&mut part) {
            bytes.extend_from_slice(&part[..read]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits, but not for ever.
pub(super) async fn within<T>(what: impl Future<Output = T>) -> Result<T, Box<dyn std::error::Error>> {
    Ok(tokio::time::timeout(PATIENCE, what).await?)
}

/// Waits until something has become true, asking again and again.
pub(super) async fn until(what: &str, mut is_true: impl FnMut() -> bool) -> Outcome {
    let asked = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(asked).await.map_err(|_| format!("never: {what}").into())
}
