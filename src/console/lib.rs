//! The console: one page that shows the whole platform, live, and does what the commands do with the rights of the client that it
//! was given. It knows a Kubernetes client, and nothing of who answers it or what else the process does.

mod act;
mod assets;
mod board;
mod dashboards;
mod feed;
mod gate;
mod hub;
mod kinds;
mod logs;
mod proxy;
mod row;
mod serve;
mod spark;
mod tree;

use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use kube::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use gate::Token;

/// Who can tell why something waits or failed.
pub trait Explain: Send + Sync + 'static {
    /// Causes in the cluster behind `client`: of one object, as `KIND/NAME`, or of all that is not well; in one namespace or all.
    fn explain(
        &self,
        client: Client,
        what: Option<String>,
        namespace: Option<String>,
    ) -> BoxFuture<'static, Result<Value, String>>;
}

/// What a console is told about its cluster.
#[derive(Clone)]
pub struct Config {
    /// The cluster's name.
    pub cluster: String,
    /// Where it is, in a word.
    pub place: String,
    /// What lets a browser in.
    pub token: Token,
    /// The only namespace that is looked at, for those who have no rights beyond it.
    pub namespace: Option<String>,
    /// The port of this machine under which Ingresses are reached, where there is one.
    pub ingress: Option<u16>,
    /// Who explains.
    pub explain: Arc<dyn Explain>,
}

/// The link that opens the console behind a port of this machine.
#[must_use]
pub fn link(port: u16, token: &Token) -> String {
    format!("http://127.0.0.1:{port}/{}/", token.as_str())
}

/// Serves the console on a listener, with the rights of `client`, on `tracker` until `token` is cancelled. It watches nothing while
/// nobody looks.
///
/// # Errors
/// When the listener has no port.
pub fn spawn(
    listener: TcpListener,
    client: Client,
    config: Config,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    let console = serve::Console::new(port, client, config, tracker.clone(), token.clone());
    tracker.spawn(serve::run(listener, Arc::new(console), token.clone()));
    Ok(())
}
