//! The builtin flavour of the platform: its controllers together, over any client. Each part acts as the service account
//! that its manifests make, with the rights that they give it, wherever it runs.

use kube::Client;
use tinderbox_client::Clock;
pub use tinderbox_spark::run_at;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A service account that a part acts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: &'static str,
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

/// What the Spark operator acts as. See `manifests/platform/spark-operator`.
pub const SPARK_OPERATOR: Account = Account { namespace: "spark-operator", name: "spark-operator" };

/// Starts every part, each with the client that `client` gives for its account; they run on `tracker` until `token` is
/// cancelled. A part whose kinds are not defined yet waits for them.
pub fn spawn(client: impl Fn(Account) -> Client, clock: Clock, tracker: &TaskTracker, token: &CancellationToken) {
    tinderbox_spark::spawn(&client(SPARK_OPERATOR), tinderbox_spark::Config::new(clock), tracker, token);
}
