//! The service accounts that parts of the platform act as, and clients with their rights beside a cluster: by tokens that the API
//! gives for an account, and that are asked for again before they expire.

use std::borrow::Cow;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a token lives.
const LIFE: i64 = 3600;
/// How long after it was given it is asked for again.
const RENEW: Duration = Duration::from_secs(20 * 60);
/// How soon it is asked for again when that failed.
const AGAIN: Duration = Duration::from_secs(10);

/// A service account that a part acts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: Cow<'static, str>,
    /// Its name.
    pub name: &'static str,
}

impl Account {
    /// Its name as a user of the API.
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// The groups of that user.
    #[must_use]
    pub fn groups(&self) -> [String; 2] {
        ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{}", self.namespace)]
    }
}

/// Why a part has no client.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The API gives no token for the account.
    #[error("cannot get a token for the service account {namespace}/{name}")]
    Token {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: &'static str,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// The token could not be kept.
    #[error("cannot write the token {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A client could not be made.
    #[error("cannot make a client for the service account {namespace}/{name}")]
    Client {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: &'static str,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

/// A client with the rights of an account, its token kept in `dir` and renewed until `token` is cancelled. `admin` is asked for it.
///
/// # Errors
/// When there is no such account, or the administrator may not ask.
pub(crate) async fn client(
    config: &Config,
    admin: &Client,
    account: Account,
    dir: &Path,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> Result<Client, AccountError> {
    let (namespace, name) = (account.namespace.to_string(), account.name);
    let path = dir.join(format!("{namespace}-{name}.token"));
    renew(admin, &account, &path).await?;
    let mut own = config.clone();
    own.auth_info =
        kube::config::AuthInfo { token_file: Some(path.display().to_string()), ..kube::config::AuthInfo::default() };
    let client =
        Client::try_from(own).map_err(|source| AccountError::Client { namespace, name, source: Box::new(source) })?;
    let (admin, token) = (admin.clone(), token.clone());
    tracker.spawn(async move {
        let mut wait = RENEW;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = token.cancelled() => return,
            }
            wait = match renew(&admin, &account, &path).await {
                Ok(()) => RENEW,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the token is not renewed");
                    AGAIN
                }
            };
        }
    });
    Ok(client)
}

async fn renew(admin: &Client, account: &Account, path: &Path) -> Result<(), AccountError> {
    let (namespace, name) = (account.namespace.to_string(), account.name);
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), &namespace);
    let request = TokenRequest {
        metadata: ObjectMeta::default(),
        spec: TokenRequestSpec { audiences: Vec::new(), expiration_seconds: Some(LIFE), bound_object_ref: None },
        status: None,
    };
    let made: TokenRequest = accounts
        .create_subresource("token", name, &PostParams::default(), &request)
        .await
        .map_err(|source| AccountError::Token { namespace, name, source: Box::new(source) })?;
    let text = made.status.map(|status| status.token).unwrap_or_default();
    write(path, text.as_bytes()).map_err(|source| AccountError::File { path: path.to_owned(), source })
}

/// Replaces a file of mode 0600 whole.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let fresh = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    std::fs::rename(&fresh, path)
}
