//! What every provider does, and what it tells. It must not know any one of them.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Error;

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

/// A place that can hold clusters by name.
pub trait Provider {
    /// Brings the cluster up, or finds that it is up. Killed half-way, the next call goes on from there.
    fn up(&self, talk: &Talk) -> impl Future<Output = Result<Up, Error>> + Send;

    /// What there is of the cluster, without changing anything.
    ///
    /// # Errors
    /// When its state cannot be read.
    fn find(&self) -> Result<Found, Error>;

    /// Takes the cluster away, and everything that belongs to it. A second time there is nothing to do.
    fn down(&self) -> impl Future<Output = Result<Down, Error>> + Send;
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
    /// File with the credentials of its administrator.
    pub kubeconfig: PathBuf,
    /// Process of the node, where the cluster is one of ours.
    pub pid: Option<i32>,
}

/// A cluster that is up.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Up {
    /// How it came to be.
    pub arrival: Arrival,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// How long it took.
    pub took: Duration,
    /// What the user should know, as that another port had to be taken.
    pub notes: Vec<String>,
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
