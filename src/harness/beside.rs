//! The builtin platform beside a cluster that does not have it inside: one detached process per cluster. Here it is started, found
//! and ended; `serve` is what that process does.

use std::io;
use std::time::Duration;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tinderbox_platform as platform;
pub use tinderbox_platform::{JobNamespaces, Work};
use tinderbox_providers::aside::Aside;
use tinderbox_providers::embedded::process::Identity;
use tinderbox_providers::{Folder, Provider};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::Error;

/// The verb of the process.
pub const PART: &str = "platform";
/// How often the process looks whether its cluster is still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The process of a cluster in this place; none where the platform is inside.
#[must_use]
pub(crate) fn of(place: &impl Provider) -> Option<Aside> {
    (!place.abilities().platform).then(|| Aside::new(place.folder(), PART))
}

/// Whose applications the Spark operator serves, as the verb takes it.
pub(crate) fn say(jobs: &JobNamespaces) -> [String; 2] {
    ["--jobs".to_owned(), serde_json::to_string(jobs).unwrap_or_default()]
}

/// Becomes that process, until it is told to end or its cluster is gone.
///
/// # Errors
/// When the cluster's kubeconfig cannot be used, or its accounts are not there.
pub async fn serve(folder: &Folder, work: platform::Work<'_>, jobs: JobNamespaces) -> Result<(), Error> {
    let aside = Aside::new(folder, PART);
    aside.enter()?;
    let path = folder.kubeconfig();
    let unusable = |message: String| Error::Document { place: path.display().to_string(), message };
    let read = Kubeconfig::read_from(&path).map_err(|error| unusable(error.to_string()))?;
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(error.to_string()))?;
    // Watches may be silent for long.
    config.read_timeout = None;
    let listen = |kind| signal(kind).map_err(Error::file("listen to signals of", "/proc/self"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    let identity = identity().map_err(Error::file("read", "/proc/self"))?;
    platform::beside(&config, folder.path(), &identity, work, jobs, &tracker, &token).await?;
    aside.ready();
    tracing::info!(identity, "ready");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {
                if !aside.still() {
                    tracing::info!("the cluster is gone");
                    break;
                }
            }
        }
    }
    token.cancel();
    tracker.close();
    tracker.wait().await;
    Ok(())
}

/// A name that no other contender has.
fn identity() -> io::Result<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let own = Identity::own()?;
    Ok(format!("{}_{}_{}", host.trim(), own.pid, own.start))
}
