//! The builtin flavour beside a cluster that other programs run, through its API alone: each part with a token of its own account,
//! and only in the process that leads.

use std::path::Path;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config};
use tinderbox_client::{Clock, Contender};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::{self, AccountError};
use crate::{SPARK_OPERATOR, spawn};

/// The lease that says which of several processes works.
const LEASE: &str = "tinderbox-platform";

/// Starts contending for the work on the cluster behind `config`, with the administrator's credentials in it; `identity` is no other
/// process's. Tokens are kept in `dir`. It runs on `tracker` until `token` is cancelled.
///
/// # Errors
/// When the accounts are not there, or no tokens are given for them.
pub async fn beside(
    config: &Config,
    dir: &Path,
    identity: &str,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> Result<(), AccountError> {
    let made = Client::try_from(config.clone());
    let admin = made.map_err(|source| AccountError::Client {
        namespace: SPARK_OPERATOR.namespace,
        name: "administrator",
        source: Box::new(source),
    })?;
    let operator = account::client(config, &admin, SPARK_OPERATOR, dir, tracker, token).await?;
    let leases: Api<Lease> = Api::namespaced(operator.clone(), SPARK_OPERATOR.namespace);
    let contender = Contender::new(leases, LEASE, identity);
    let token = token.clone();
    tracker.spawn(async move {
        let work = |leading: CancellationToken| {
            let operator = operator.clone();
            async move {
                let parts = TaskTracker::new();
                spawn(|_| operator.clone(), Clock::system(), &parts, &leading);
                parts.close();
                parts.wait().await;
            }
        };
        contender.run(&token, work).await;
    });
    Ok(())
}
