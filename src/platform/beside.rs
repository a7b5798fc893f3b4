//! The builtin flavour beside a cluster that other programs run, through its API alone: each part with a token of its own account,
//! and only in the process that leads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config};
use tinderbox_client::{Clock, Contender};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::{self, Account, AccountError};
use crate::{ACCOUNTS, APPLICATION_CONTROLLER, JobNamespaces, Metrics, SPARK_OPERATOR, gitops, spawn};

/// The lease that says which of several processes works.
const LEASE: &str = "tinderbox-platform";
/// How soon an account that is not there yet is asked for again.
const ACCOUNT_PAUSE: Duration = Duration::from_millis(200);

/// What the parts work on.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// The whole cluster, which gets what the working tree around this folder says by its own controller of applications: accounts of
    /// other parts come with them.
    Tree {
        /// The folder of the project.
        project: &'a Path,
        /// Where repositories elsewhere are fetched to.
        downloads: &'a Path,
    },
    /// The whole cluster, as it is.
    Cluster,
    /// One namespace: the accounts are in it, and nothing beyond it is looked at.
    Namespace(&'a str),
}

/// Starts contending for the work on the cluster behind `config`, with the administrator's credentials in it; `identity` is no other
/// process's. Of what it sees the Spark operator serves `jobs`. Tokens are kept in `dir`. It runs on `tracker` until `token` is cancelled.
///
/// # Errors
/// When an account is not there that should be, or no token is given for it.
pub async fn beside(
    config: &Config,
    dir: &Path,
    identity: &str,
    work: Work<'_>,
    jobs: JobNamespaces,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> Result<(), AccountError> {
    let made = Client::try_from(config.clone());
    let namespace = if let Work::Namespace(namespace) = work { Some(namespace) } else { None };
    let here = |account: Account| match namespace {
        Some(namespace) => Account { namespace: namespace.to_owned().into(), ..account },
        None => account,
    };
    let first = here(if matches!(work, Work::Tree { .. }) { APPLICATION_CONTROLLER } else { SPARK_OPERATOR });
    let admin = made.map_err(|source| AccountError::Client {
        namespace: first.namespace.to_string(),
        name: "administrator",
        source: Box::new(source),
    })?;
    let leader = account::client(config, &admin, first.clone(), dir, tracker, token).await?;
    let leases: Api<Lease> = Api::namespaced(leader.clone(), &first.namespace);
    let mut clients = Clients { config: config.clone(), admin, dir: dir.to_owned(), known: BTreeMap::new() };
    let accounts: Vec<Account> = ACCOUNTS.into_iter().map(here).collect();
    if !matches!(work, Work::Tree { .. }) {
        clients.get(&accounts, tracker, token).await?;
    }
    let namespaces: Vec<String> = namespace.map(str::to_owned).into_iter().collect();
    let tree = match work {
        Work::Tree { project, downloads } => Some((project.to_owned(), downloads.to_owned())),
        Work::Cluster | Work::Namespace(_) => None,
    };
    let contender = Contender::new(leases, LEASE, identity);
    let (token, spawned) = (token.clone(), tracker.clone());
    tracker.spawn(async move {
        let work = |leading: CancellationToken| {
            let (mut clients, accounts, namespaces) = (clients.clone(), accounts.clone(), namespaces.clone());
            let (leader, tree, spawned, whole) = (leader.clone(), tree.clone(), spawned.clone(), token.clone());
            let jobs = jobs.clone();
            async move {
                let (parts, metrics) = (TaskTracker::new(), Metrics::default());
                if let Some((project, downloads)) = tree {
                    gitops(&leader, Clock::system(), &project, &downloads, &metrics.gitops, &parts, &leading);
                }
                let rest = async {
                    clients.wait(&accounts, &spawned, &whole).await;
                    let known = clients.known;
                    let client = |account: Account| known[account.name].clone();
                    spawn(client, Clock::system(), &namespaces, &jobs, &metrics, &parts, &leading);
                };
                tokio::select! {
                    () = rest => (),
                    () = leading.cancelled() => (),
                }
                parts.close();
                parts.wait().await;
            }
        };
        contender.run(&token, work).await;
    });
    Ok(())
}

/// Clients of accounts, made once.
#[derive(Clone)]
struct Clients {
    config: Config,
    admin: Client,
    dir: PathBuf,
    known: BTreeMap<&'static str, Client>,
}

impl Clients {
    /// Makes those that are missing.
    async fn get(
        &mut self,
        accounts: &[Account],
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> Result<(), AccountError> {
        for one in accounts {
            if !self.known.contains_key(one.name) {
                let client = account::client(&self.config, &self.admin, one.clone(), &self.dir, tracker, token).await?;
                self.known.insert(one.name, client);
            }
        }
        Ok(())
    }

    /// Makes those that are missing, however long their accounts take to come.
    async fn wait(&mut self, accounts: &[Account], tracker: &TaskTracker, token: &CancellationToken) {
        while let Err(error) = self.get(accounts, tracker, token).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "an account is not there yet");
            tokio::time::sleep(ACCOUNT_PAUSE).await;
        }
    }
}
