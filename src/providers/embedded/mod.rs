//! The embedded place: a small Kubernetes in one detached process of this machine. This side brings that process up and takes
//! it away; `node` is what runs inside it.

mod console;
mod handshake;
pub mod images;
mod kubeconfig;
pub mod machine;
pub mod node;
mod port;
pub mod process;
pub mod snapshot;
mod spawn;
mod state;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::folder::{Folder, Held, absolute};
use crate::place::context;
use crate::{Abilities, Arrival, Down, Endpoint, Error, Found, Plan, Provider, ProviderName, Settling, Talk, Up};
pub use port::holder;
use process::Identity;
pub(crate) use spawn::tail;
pub use state::{Settings, State};
pub use tinderbox_kubelet::image::NativeImage;

/// How long a node process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to end it when it is killed.
const KILL: Duration = Duration::from_secs(10);

/// One cluster of the embedded place.
#[derive(Debug, Clone)]
pub struct Embedded {
    folder: Folder,
    settings: Settings,
}

impl Embedded {
    /// The cluster `name` whose folder lies in `home`; nothing is done yet.
    ///
    /// # Errors
    /// When the name cannot be a cluster's.
    pub fn new(home: &Path, name: &str, settings: Settings) -> Result<Self, Error> {
        // The node is recognised by this path in its command line: it must not depend on where a command is called from.
        let home = absolute(home)?;
        Ok(Self { folder: Folder::new(&home, name)?, settings })
    }

    fn endpoint(&self, port: u16, ingress_port: Option<u16>, pid: Option<i32>) -> Endpoint {
        let name = self.folder.name();
        Endpoint {
            server: format!("https://127.0.0.1:{port}"),
            ingress: ingress_port.map(|port| format!("http://{name}.localhost:{port}")),
            console: console::Door::link(&self.folder),
            kubeconfig: self.folder.kubeconfig(),
            context: context(name),
            pid,
        }
    }

    /// Ends the node process and keeps the cluster's state: the next `up` continues with every object.
    ///
    /// # Errors
    /// When the process cannot be ended.
    pub async fn stop(&self) -> Result<Stopped, Error> {
        let mut stopped = Stopped::default();
        for node in self.nodes() {
            let fail = |source| Error::Kill { pid: node.pid, source };
            let Some(handle) = node.open().map_err(fail)? else {
                continue;
            };
            stopped.any = true;
            handle.signal(Signal::SIGTERM).map_err(fail)?;
            if handle.ended(GRACE).await.map_err(fail)? {
                continue;
            }
            stopped.killed = true;
            handle.signal(Signal::SIGKILL).map_err(fail)?;
            if !handle.ended(KILL).await.map_err(fail)? {
                return Err(fail(std::io::Error::from(std::io::ErrorKind::TimedOut)));
            }
        }
        Ok(stopped)
    }

    /// The node's processes: the one that the state file names, and those whose command line names the folder, whatever became of
    /// its files.
    fn nodes(&self) -> Vec<Identity> {
        let noted = State::load(&self.folder).ok().flatten().and_then(|state| state.node).filter(Identity::is_alive);
        let mut nodes = process::nodes_of(self.folder.path()).unwrap_or_default();
        if let Some(noted) = noted.filter(|noted| !nodes.contains(noted)) {
            nodes.push(noted);
        }
        nodes
    }
}

/// What ending the node process came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopped {
    /// There was one.
    pub any: bool,
    /// It had to be killed.
    pub killed: bool,
}

impl Provider for Embedded {
    fn name(&self) -> ProviderName {
        ProviderName::Embedded
    }

    fn abilities(&self) -> Abilities {
        Abilities { platform: true, node_power: true }
    }

    fn folder(&self) -> &Folder {
        &self.folder
    }

    async fn plan(&self) -> Result<Plan, Error> {
        let found = self.find().await?;
        let folder = self.folder.path().display();
        let steps = match &found {
            Found::Nothing => {
                vec![format!("make {folder} with keys and an empty store"), "start the node process".to_owned()]
            }
            Found::Stopped => vec![format!("start the node process on what is in {folder}")],
            Found::Starting => vec!["wait for the other command that is starting it".to_owned()],
            Found::Running(_) => Vec::new(),
        };
        Ok(Plan { found, steps })
    }

    fn made_by(&self) -> Result<Option<String>, Error> {
        Ok(State::load(&self.folder)?.map(|state| state.settings.started_by))
    }

    fn logs(&self) -> Vec<PathBuf> {
        vec![self.folder.log()]
    }

    async fn up(&self, talk: &Talk) -> Result<Up, Error> {
        let start = Instant::now();
        let program = program()?;
        let held = Held::take(&self.folder, talk).await?;
        let earlier = State::load(&self.folder)?;
        if let Some(state) = &earlier
            && let (Some(node), Some(port), true) = (&state.node, state.port, state.ready)
            && node.is_alive()
        {
            return Ok(Up {
                arrival: Arrival::Already,
                endpoint: self.endpoint(port, state.ingress_port, Some(node.pid)),
                took: start.elapsed(),
                notes: Vec::new(),
                settling: Settling::default(),
            });
        }
        // A node that lives but never became ready while the lock is free has lost its way.
        self.stop().await?;
        let arrival = if earlier.is_some() { Arrival::Continued } else { Arrival::New };
        let mut state = earlier.unwrap_or_else(|| State::new(self.settings.clone()));
        state.settings = self.settings.clone();
        state.node = None;
        state.ready = false;
        state.save(&self.folder)?;
        let newborn = spawn::Newborn::new(&program, &self.folder, held)?;
        let ready = newborn.ready(talk).await?;
        Ok(Up {
            arrival,
            endpoint: self.endpoint(ready.port, Some(ready.ingress_port), Some(ready.pid)),
            took: start.elapsed(),
            notes: ready.notes,
            settling: Settling::default(),
        })
    }

    async fn find(&self) -> Result<Found, Error> {
        if !self.folder.exists() {
            return Ok(Found::Nothing);
        }
        let state = State::load(&self.folder)?;
        let alive = state.as_ref().and_then(|state| state.node.as_ref()).is_some_and(Identity::is_alive);
        Ok(match state {
            Some(State { ready: true, port: Some(port), ingress_port, node: Some(node), .. }) if alive => {
                Found::Running(self.endpoint(port, ingress_port, Some(node.pid)))
            }
            _ if alive || self.folder.is_locked() => Found::Starting,
            _ => Found::Stopped,
        })
    }

    async fn down(&self) -> Result<Down, Error> {
        let start = Instant::now();
        let existed = self.folder.exists();
        // A node may run whose folder somebody removed.
        let stopped = self.stop().await?;
        let folder = self.folder.path().to_owned();
        // What stays is found again by the next start.
        let _ = tokio::task::spawn_blocking(move || tinderbox_kubelet::cgroups::clear(&folder)).await;
        self.folder.remove()?;
        Ok(Down {
            existed: existed || stopped.any,
            stopped: stopped.any,
            killed: stopped.killed,
            took: start.elapsed(),
        })
    }
}

fn compose_error(
    act: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    hint: Option<&str>,
    class: crate::Class,
) -> Error {
    Error::Compose { act: act.to_owned(), source: source.into(), hint: hint.map(str::to_owned), class }
}

/// The program whose verb `node` runs a node: this one, the one beside it, or the one named in `TINDERBOX_PROGRAM`.
pub(crate) fn program() -> Result<PathBuf, Error> {
    if let Some(named) = std::env::var_os("TINDERBOX_PROGRAM") {
        return Ok(PathBuf::from(named));
    }
    let own = std::env::current_exe().map_err(|source| Error::File {
        act: "find the program of",
        path: "/proc/self".into(),
        source,
    })?;
    if own.file_stem().is_some_and(|stem| stem == "xtask") {
        return Ok(own);
    }
    // A test binary lies one folder below the programs.
    let looked: Vec<PathBuf> = own.ancestors().skip(1).take(2).map(|dir| dir.join("xtask")).collect();
    if let Some(found) = looked.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    which::which("xtask").map_err(|_| Error::Program { looked })
}
