//! The builtin flavour beside a cluster that other programs run, through its API alone: each part with a token of its own account,
//! and only in the process that leads.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config};
use tinderbox_client::{Clock, Contender};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::{self, Account, AccountError};
use crate::{ACCOUNTS, SPARK_OPERATOR, spawn};

/// The lease that says which of several processes works.
const LEASE: &str = "tinderbox-platform";

/// Starts contending for the work on the cluster behind `config`, with the administrator's credentials in it; `identity` is no other
/// process's. Where a namespace is named, the accounts are in it, and nothing beyond it is looked at. Tokens are kept in `dir`. It runs on `tracker` until `token` is cancelled.
///
/// # Errors
/// When the accounts are not there, or no tokens are given for them.
pub async fn beside(
    config: &Config,
    dir: &Path,
    identity: &str,
    namespace: Option<&str>,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> Result<(), AccountError> {
    let made = Client::try_from(config.clone());
    let here = |account: Account| match namespace {
        Some(namespace) => Account { namespace: namespace.to_owned().into(), ..account },
        None => account,
    };
    let account = here(SPARK_OPERATOR);
    let admin = made.map_err(|source| AccountError::Client {
        namespace: account.namespace.to_string(),
        name: "administrator",
        source: Box::new(source),
    })?;
    let mut clients = BTreeMap::new();
    for part in ACCOUNTS {
        let client = account::client(config, &admin, here(part.clone()), dir, tracker, token).await?;
        clients.insert(part.name, client);
    }
    let operator = clients[SPARK_OPERATOR.name].clone();
    let leases: Api<Lease> = Api::namespaced(operator, &account.namespace);
    let namespaces: Vec<String> = namespace.map(str::to_owned).into_iter().collect();
    let contender = Contender::new(leases, LEASE, identity);
    let token = token.clone();
    tracker.spawn(async move {
        let work = |leading: CancellationToken| {
            let (clients, namespaces) = (clients.clone(), namespaces.clone());
            async move {
                let parts = TaskTracker::new();
                spawn(|account| clients[account.name].clone(), Clock::system(), &namespaces, &parts, &leading);
                parts.close();
                parts.wait().await;
            }
        };
        contender.run(&token, work).await;
    });
    Ok(())
}
