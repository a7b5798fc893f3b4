//! What every provider does, and what it tells. It must not know any one of them.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::Error;
use crate::folder::Folder;

/// Where a provider says what it is about to do.
#[derive(Clone)]
pub struct Talk(Arc<dyn Fn(&str) + Send + Sync>);

impl Talk {
    /// Hands every line to `say`.
    pub fn new(say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    /// Nobody listens.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Says one line.
    pub fn say(&self, line: &str) {
        (self.0)(line);
    }
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Talk")
    }
}

/// One cluster in the place that holds it.
pub trait Provider {
    /// The place.
    fn name(&self) -> ProviderName;

    /// What the place can do beyond being a Kubernetes.
    fn abilities(&self) -> Abilities;

    /// The folder of the cluster's state.
    fn folder(&self) -> &Folder;

    /// What of the cluster is ours to use.
    ///
    /// # Errors
    /// When its state cannot be read.
    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::default())
    }

    /// What [`up`](Self::up) would do, without changing anything.
    fn plan(&self) -> impl Future<Output = Result<Plan, Error>> + Send;

    /// Brings the cluster up until its API answers, or finds that it is up; what is left then is in [`Up::settling`]. Killed half-way,
    /// the next call goes on from there.
    fn up(&self, talk: &Talk) -> impl Future<Output = Result<Up, Error>> + Send;

    /// What there is of the cluster, without changing anything.
    fn find(&self) -> impl Future<Output = Result<Found, Error>> + Send;

    /// The verb that made the cluster; `None` when there is none.
    ///
    /// # Errors
    /// When its state cannot be read.
    fn made_by(&self) -> Result<Option<String>, Error>;

    /// The files in which the cluster's own processes write what they do, the most telling one first.
    fn logs(&self) -> Vec<PathBuf>;

    /// Takes the cluster away, and everything that belongs to it. A second time there is nothing to do.
    fn down(&self) -> impl Future<Output = Result<Down, Error>> + Send;
}

/// A place that holds clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderName {
    /// A small Kubernetes in one process of this machine.
    #[default]
    Embedded,
    /// Kubernetes in a container engine of this machine, by the `kind` command.
    Kind,
    /// A cluster that somebody else has made, by a context of the user's kubeconfig.
    Existing,
}

impl ProviderName {
    /// Every place, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Kind, Self::Existing];

    /// As it is written on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Kind => "kind",
            Self::Existing => "existing",
        }
    }
}

impl std::fmt::Display for ProviderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for ProviderName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| format!("there is no such place; places: {known}"))
    }
}

/// What a place can do beyond being a Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Abilities {
    /// The controllers of the builtin platform run inside the cluster.
    pub platform: bool,
    /// Single nodes can be killed and started again.
    pub node_power: bool,
}

/// What of a cluster is ours to use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The cluster is somebody else's: whatever we bring into it carries this value of the label [`OWNER`].
    pub owner: Option<String>,
    /// There are rights in this namespace alone.
    pub namespace: Option<String>,
}

/// The label that says who brought an object into a cluster.
pub const OWNER: &str = "tinderbox.dev/owner";

/// What bringing a cluster up would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What there is of the cluster now.
    pub found: Found,
    /// What would be done, in order, each as an order in words.
    pub steps: Vec<String>,
}

/// The name of cluster, user and context in the kubeconfig of a cluster of ours.
#[must_use]
pub fn context(cluster: &str) -> String {
    format!("tinderbox-{cluster}")
}

/// How a cluster came to be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// There was nothing of this name before.
    New,
    /// There was its state, but nothing ran.
    Continued,
    /// It was up already.
    Already,
}

/// Where a running cluster answers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// URL of the API on this machine.
    pub server: String,
    /// URL under which Ingresses are reached from this machine, where the place serves them.
    pub ingress: Option<String>,
    /// The link that opens the console, where the place serves one.
    pub console: Option<String>,
    /// File with the credentials of its administrator.
    pub kubeconfig: PathBuf,
    /// The context in that file.
    pub context: String,
    /// Process of the node, where the cluster is one of ours.
    pub pid: Option<i32>,
}

/// A cluster whose API answers.
#[derive(Debug)]
pub struct Up {
    /// How it came to be.
    pub arrival: Arrival,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// How long that took.
    pub took: Duration,
    /// What the user should know, as that another port had to be taken.
    pub notes: Vec<String>,
    /// What is still to be done before pods can run. Objects may be applied meanwhile.
    pub settling: Settling,
}

/// The rest of bringing a cluster up, when its API answers already. Dropped, it is left half-way, as after a kill.
#[derive(Default)]
pub struct Settling(Option<BoxFuture<'static, Result<(), Error>>>);

impl Settling {
    pub(crate) fn new(rest: impl Future<Output = Result<(), Error>> + Send + 'static) -> Self {
        Self(Some(Box::pin(rest)))
    }

    /// Waits until the nodes are ready.
    ///
    /// # Errors
    /// When they do not come to be; the cluster that was new is gone then.
    pub async fn done(self) -> Result<(), Error> {
        match self.0 {
            Some(rest) => rest.await,
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Settling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settling")
    }
}

/// What there is of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Its state lies there, and nothing runs.
    Stopped,
    /// It is starting, or being started by somebody else.
    Starting,
    /// It answers.
    Running(Endpoint),
}

impl Found {
    /// In one word: `nothing`, `stopped`, `starting` or `running`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running(_) => "running",
        }
    }
}

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Down {
    /// There was something.
    pub existed: bool,
    /// A process ran, and was ended.
    pub stopped: bool,
    /// It did not end when asked, and was killed.
    pub killed: bool,
    /// How long it took.
    pub took: Duration,
}
