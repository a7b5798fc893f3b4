//! `console`: the link to the page of a cluster, and the page itself where the cluster does not serve it. What the page shows is the
//! console's affair; here it is told why something waits.

use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::future::BoxFuture;
use kube::Client;
use serde::Serialize;
use serde_json::Value;
use tinderbox_console::{Config, Explain, Token};
use tinderbox_providers::{Found, Provider as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::inquire;
use crate::project::Project;

/// Answers the console's questions as `explain` does.
#[derive(Debug, Clone, Copy)]
pub struct Explainer;

impl Explain for Explainer {
    fn explain(
        &self,
        client: Client,
        what: Option<String>,
        namespace: Option<String>,
    ) -> BoxFuture<'static, Result<Value, String>> {
        Box::pin(async move {
            let cluster = Cluster::with("", client);
            let told = inquire::inquire_of(&cluster, what.as_deref(), namespace.as_deref()).await;
            let told = told.map_err(|error| error.to_string())?;
            serde_json::to_value(told.subjects).map_err(|error| error.to_string())
        })
    }
}

/// Where the console is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsoleReport {
    /// Name of the cluster.
    pub cluster: String,
    /// The link that opens it; whoever has it may do what its server may.
    pub console: String,
    /// It is served by this command, until it ends.
    pub here: bool,
}

/// Tells where the console of the cluster is; where the cluster serves none, serves it until `stop` ends, with the rights of the
/// kubeconfig in use.
///
/// # Errors
/// When the cluster is not up, or no port can be had.
pub async fn console(
    project: &Project,
    stop: impl Future<Output = ()>,
    tell: impl FnOnce(&ConsoleReport),
) -> Result<(), Error> {
    let place = project.provider("console")?;
    let cluster = project.cluster.clone();
    let Found::Running(endpoint) = place.find().await? else {
        return Err(Error::NotUp { name: cluster });
    };
    if let Some(console) = endpoint.console {
        tell(&ConsoleReport { cluster, console, here: false });
        return Ok(());
    }
    let connected = Cluster::connect(&cluster, &endpoint.kubeconfig).await?;
    let served = Served::start(&connected, place.name().to_string(), place.scope()?.namespace).await?;
    tell(&ConsoleReport { cluster, console: served.link.clone(), here: true });
    stop.await;
    served.end().await;
    Ok(())
}

/// The console of a cluster, served by this process.
pub(crate) struct Served {
    /// The link that opens it.
    pub(crate) link: String,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Served {
    /// Serves the console of a cluster of a place, at a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub(crate) async fn start(cluster: &Cluster, place: String, namespace: Option<String>) -> Result<Self, Error> {
        let failed = |act: &'static str| Error::file(act, "127.0.0.1");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed("listen on a port of"))?;
        let port = listener.local_addr().map_err(failed("listen on a port of"))?.port();
        let secret = Token::new().map_err(failed("make a token for"))?;
        let link = tinderbox_console::link(port, &secret);
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let config = Config {
            cluster: cluster.name.clone(),
            place,
            token: secret,
            namespace,
            ingress: None,
            explain: Arc::new(Explainer),
        };
        tinderbox_console::spawn(listener, cluster.client.clone(), config, &tracker, &token)
            .map_err(failed("serve the console on"))?;
        Ok(Self { link, tracker, token })
    }

    /// Serves it no longer; returns when nothing of it is left.
    pub(crate) async fn end(self) {
        self.token.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
