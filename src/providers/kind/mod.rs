//! Clusters in a container engine, made by the `kind` command: real Kubernetes on this machine. Everything of such a cluster in the
//! engine carries its name, which tells whose it is; another's is never touched.

mod command;
mod config;
mod homes;
pub mod images;
mod kubeconfig;
mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tinderbox_api::pools::Nodes;
use tinderbox_kubelet::image::{Images, NativeImage, Quiet, cache_dir};

pub use config::{KindConfig, Mount, PortMapping};
pub use images::Loaded;

use crate::engine::{Container, Engine};
use crate::folder::{Folder, Held, absolute, owner};
use crate::{
    Abilities, Arrival, Class, Down, Endpoint, Error, Found, Plan, Provider, ProviderName, Settling, Talk, Up, context,
};
use command::{KindCommand, Making};
use state::State;

/// The label by which kind knows the containers of a cluster.
const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// How long a node that was started again may take to answer.
const READY: Duration = Duration::from_secs(120);
/// How long the API may take to say whether it is there.
const ANSWER: Duration = Duration::from_secs(2);
/// How often it is asked while it starts.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// What the user decided about such clusters.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The section `kind` of the configuration.
    pub config: KindConfig,
    /// The pools.
    pub nodes: Nodes,
    /// Port of the API; 0 lets kind choose.
    pub port: u16,
    /// The verb that makes the cluster.
    pub started_by: String,
}

/// One cluster in a container engine.
#[derive(Debug, Clone)]
pub struct Kind {
    folder: Folder,
    settings: Settings,
    kind_name: String,
}

impl Kind {
    /// The cluster `name` whose folder lies in `home`; nothing is done yet.
    ///
    /// # Errors
    /// When the name cannot be a cluster's.
    pub fn new(home: &Path, name: &str, settings: Settings) -> Result<Self, Error> {
        let home = absolute(home)?;
        let kind_name = format!("tinderbox-{name}-{}", owner(&home));
        Ok(Self { folder: Folder::new(&home, name)?, settings, kind_name })
    }

    /// The containers of this cluster.
    async fn containers(&self, engine: &Engine) -> Result<Vec<Container>, Error> {
        engine.containers(&format!("{CLUSTER}={}", self.kind_name)).await
    }

    /// The engine, and the names of the nodes in it.
    async fn nodes(&self) -> Result<(Engine, Vec<String>), Error> {
        let engine = Engine::connect().await?;
        let nodes = self.containers(&engine).await?.into_iter().map(|one| one.name).collect();
        Ok((engine, nodes))
    }

    fn endpoint(&self) -> Result<Endpoint, Error> {
        let path = self.folder.kubeconfig();
        let server = kubeconfig::server(&path)?;
        Ok(Endpoint {
            server,
            ingress: None,
            console: None,
            context: context(self.folder.name()),
            kubeconfig: path,
            pid: None,
        })
    }

    /// Whether the API answers.
    async fn answers(&self) -> bool {
        let asked = async {
            let client = client(&self.folder.kubeconfig()).await?;
            client.apiserver_version().await.ok()
        };
        matches!(tokio::time::timeout(ANSWER, asked).await, Ok(Some(_)))
    }

    /// Brings images into the nodes: those of the engine as they are, described ones as a thin layer upon one of the engine's. What the
    /// engine does not have the nodes must pull: those are given back.
    ///
    /// # Errors
    /// When the engine or a node refuses, or a described image cannot be made.
    pub async fn load_images(
        &self,
        names: &[String],
        described: &[NativeImage],
        talk: &Talk,
    ) -> Result<(Vec<Loaded>, Vec<String>), Error> {
        let (engine, nodes) = self.nodes().await?;
        let (mut loaded, mut absent) = (Vec::new(), Vec::new());
        let images = Images::new(cache_dir(), described.to_vec(), Arc::new(Quiet));
        for name in names {
            let done = match images::load(&engine, &nodes, name, talk).await? {
                None if images.is_described(name) => images::load_thin(&engine, &nodes, described, name, talk).await?,
                done => done,
            };
            match done {
                Some(done) => loaded.push(done),
                None => absent.push(name.clone()),
            }
        }
        Ok((loaded, absent))
    }

    /// Brings the images of an archive into the nodes.
    ///
    /// # Errors
    /// When the file cannot be read, or a node refuses.
    pub async fn load_archive(&self, file: &Path) -> Result<Loaded, Error> {
        let (engine, nodes) = self.nodes().await?;
        images::load_archive(&engine, &nodes, file).await
    }

    /// Makes it, until its API answers.
    async fn make(&self, engine: &Engine, talk: &Talk) -> Result<Making, Error> {
        let kind = KindCommand::find().await?;
        let config = &self.settings.config;
        let image = config.node_image();
        engine.image(&image, talk).await?;
        let text = config.render(&self.settings.nodes, self.settings.port).map_err(|error| Error::Compose {
            act: "write the configuration for kind".to_owned(),
            source: error.into(),
            hint: None,
            class: Class::Failed,
        })?;
        let making = kind.create(engine, &self.folder, &self.kind_name, &image, &text, talk).await?;
        let credentials = kind.kubeconfig(engine, &self.kind_name).await?;
        kubeconfig::write(&self.folder.kubeconfig(), &credentials, &context(self.folder.name()))?;
        Ok(making)
    }

    /// Removes what was made in vain; kind does so itself where it is not killed. What cannot be removed is told by `down`.
    async fn undo(&self, engine: &Engine, fresh: bool) {
        if let Ok(left) = self.containers(engine).await {
            let _ = try_join_all(left.iter().map(|one| engine.remove(&one.name))).await;
        }
        if fresh {
            let _ = self.folder.remove();
        }
    }

    /// Starts what has stopped, as after the engine or the machine was started again, and waits until the API answers.
    async fn start(&self, engine: &Engine, containers: &[Container], talk: &Talk) -> Result<(), Error> {
        let stopped: Vec<&Container> = containers.iter().filter(|one| !one.running).collect();
        if !stopped.is_empty() {
            talk.say("starting the cluster's containers again");
            try_join_all(stopped.iter().map(|one| engine.start(&one.name))).await?;
        }
        let began = Instant::now();
        while !self.answers().await {
            if began.elapsed() > READY {
                let states = self.containers(engine).await?;
                let states: Vec<String> = states.iter().map(|one| format!("{}: {}", one.name, one.status)).collect();
                return Err(Error::Compose {
                    act: format!("reach the API of cluster {}", self.folder.name()),
                    source: format!("it did not answer within {} s; {}", READY.as_secs(), states.join("; ")).into(),
                    hint: Some(format!(
                        "`docker logs {}-control-plane` shows what the node does; `cargo xtask down --name {}` and `up` make it anew",
                        self.kind_name,
                        self.folder.name()
                    )),
                    class: Class::Failed,
                });
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }
}

/// Version of the `kind` command of this machine.
///
/// # Errors
/// When there is none, or it is too old.
pub async fn command_version() -> Result<String, Error> {
    Ok(KindCommand::find().await?.version)
}

/// Containers of clusters that have no folder any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Those of one home, whose clusters' folders somebody has removed.
    pub own: Vec<String>,
    /// Those of other homes that are gone as a whole; they may come back, as with a disk that is not mounted.
    pub others: Vec<String>,
}

/// What is left in the engine of clusters of this home, and of homes that are gone.
///
/// # Errors
/// When the engine does not answer.
pub async fn orphans(home: &Path) -> Result<Orphans, Error> {
    let home = absolute(home)?;
    let own = owner(&home);
    let mut orphans = Orphans::default();
    for container in Engine::connect().await?.containers(CLUSTER).await? {
        let Some((name, whose)) = container.label.strip_prefix("tinderbox-").and_then(|rest| rest.rsplit_once('-'))
        else {
            continue;
        };
        if whose == own {
            if Folder::new(&home, name).is_ok_and(|folder| !folder.state().exists()) {
                orphans.own.push(container.name);
            }
        } else if homes::behind(whose).is_some_and(|other| !other.exists()) {
            orphans.others.push(container.name);
        }
    }
    Ok(orphans)
}

/// Removes what is left of clusters of this home; gives the names of the containers.
///
/// # Errors
/// When the engine refuses.
pub async fn remove_orphans(home: &Path) -> Result<Vec<String>, Error> {
    let names = orphans(home).await?.own;
    let engine = Engine::connect().await?;
    try_join_all(names.iter().map(|name| engine.remove(name))).await?;
    Ok(names)
}

async fn client(path: &Path) -> Option<Client> {
    let read = Kubeconfig::read_from(path).ok()?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.ok()?;
    Client::try_from(config).ok()
}

impl Provider for Kind {
    fn name(&self) -> ProviderName {
        ProviderName::Kind
    }

    fn abilities(&self) -> Abilities {
        Abilities { platform: false, node_power: false }
    }

    fn folder(&self) -> &Folder {
        &self.folder
    }

    async fn plan(&self) -> Result<Plan, Error> {
        let found = self.find().await?;
        let mut steps = Vec::new();
        match &found {
            Found::Nothing => {
                let image = self.settings.config.node_image();
                steps.push(format!("make {} for the kubeconfig", self.folder.path().display()));
                steps.push(format!("pull the image {image}, where the engine does not have it"));
                steps.push(format!("make the cluster {} of {image} by `kind create cluster`", self.kind_name));
            }
            Found::Stopped => {
                steps.push(format!("start the containers of {} again, or make what is not there", self.kind_name))
            }
            Found::Starting => steps.push("wait for the other command that is starting it".to_owned()),
            Found::Running(_) => {}
        }
        Ok(Plan { found, steps })
    }

    async fn up(&self, talk: &Talk) -> Result<Up, Error> {
        let start = Instant::now();
        let (engine, description) = Engine::described().await?;
        let mut held = Held::take(&self.folder, talk).await?;
        let earlier = State::load(&self.folder)?;
        let containers = self.containers(&engine).await?;
        let mut settling = Settling::default();
        let arrival = match &earlier {
            Some(state) if state.made && !containers.is_empty() => {
                let already = containers.iter().all(|one| one.running) && self.answers().await;
                if !already {
                    self.start(&engine, &containers, talk).await?;
                }
                held.keep();
                if already { Arrival::Already } else { Arrival::Continued }
            }
            // What is there was cut off half-way: nobody has used it.
            _ => {
                description.judge()?;
                try_join_all(containers.iter().map(|one| engine.remove(&one.name))).await?;
                homes::enter(self.folder.home())?;
                let mut state = State::new(&self.settings.started_by, &self.kind_name, &self.settings.config);
                state.save(&self.folder)?;
                // Cut off from here on, there may be something in the engine, which the state leads to.
                held.keep();
                let fresh = earlier.is_none();
                let making = match self.make(&engine, talk).await {
                    Ok(making) => making,
                    Err(error) => {
                        self.undo(&engine, fresh).await;
                        return Err(error);
                    }
                };
                let (kind, talk) = (self.clone(), talk.clone());
                settling = Settling::new(async move {
                    let _held = held;
                    if let Err(error) = making.done(&talk).await {
                        kind.undo(&engine, fresh).await;
                        return Err(error);
                    }
                    state.made = true;
                    state.save(&kind.folder)
                });
                Arrival::New
            }
        };
        Ok(Up { arrival, endpoint: self.endpoint()?, took: start.elapsed(), notes: Vec::new(), settling })
    }

    async fn find(&self) -> Result<Found, Error> {
        let Some(state) = State::load(&self.folder)? else {
            return Ok(if self.folder.is_locked() { Found::Starting } else { Found::Nothing });
        };
        if self.folder.is_locked() {
            return Ok(Found::Starting);
        }
        let containers = self.containers(&Engine::connect().await?).await?;
        if state.made && !containers.is_empty() && containers.iter().all(|one| one.running) {
            return Ok(Found::Running(self.endpoint()?));
        }
        Ok(Found::Stopped)
    }

    fn made_by(&self) -> Result<Option<String>, Error> {
        Ok(State::load(&self.folder)?.map(|state| state.started_by))
    }

    fn logs(&self) -> Vec<PathBuf> {
        vec![command::log(&self.folder)]
    }

    async fn down(&self) -> Result<Down, Error> {
        let start = Instant::now();
        let existed = self.folder.exists();
        let (mut stopped, mut any) = (false, false);
        // Without a state nothing was ever made in the engine, which then does not have to be there.
        if self.folder.state().exists() {
            let engine = Engine::connect().await?;
            let containers = self.containers(&engine).await?;
            any = !containers.is_empty();
            stopped = containers.iter().any(|one| one.running);
            try_join_all(containers.iter().map(|one| engine.remove(&one.name))).await?;
        }
        self.folder.remove()?;
        homes::leave(self.folder.home());
        Ok(Down { existed: existed || any, stopped, killed: false, took: start.elapsed() })
    }
}
