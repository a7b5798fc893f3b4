//! Leader election by a Lease of coordination.k8s.io/v1, with the times and the rules of client-go's leaderelection: of several
//! processes with the same work one does it, and another takes over when that one falls silent. What the work is, it must not know.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long others wait after the last sign of a leader before one of them takes over.
const LEASE: Duration = Duration::from_secs(15);
/// How long a leader goes on without a renewal that succeeded.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a leader renews, and the others look.
const RETRY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A contender.
#[derive(Debug, Clone)]
pub struct Contender {
    leases: Api<Lease>,
    lease: String,
    identity: String,
}

/// The lease as it was last seen to change, by our own clock: those of other machines need not be right.
#[derive(Debug, Default)]
struct Seen {
    spec: Option<LeaseSpec>,
    at: Option<Instant>,
}

impl Contender {
    /// One that will hold the lease of this name as `identity`, which no other may have.
    #[must_use]
    pub fn new(leases: Api<Lease>, lease: &str, identity: &str) -> Self {
        Self { leases, lease: lease.to_owned(), identity: identity.to_owned() }
    }

    /// Contends until `token` is cancelled. Each time it leads, `work` is called with a token that is cancelled when it leads no
    /// more; it is awaited before the lease is let go or contended for again.
    pub async fn run<W: Future<Output = ()>>(&self, token: &CancellationToken, work: impl Fn(CancellationToken) -> W) {
        let mut seen = Seen::default();
        loop {
            let held = tokio::select! {
                held = self.acquire(&mut seen) => held,
                () = token.cancelled() => return,
            };
            tracing::info!(lease = self.lease, identity = self.identity, "leads");
            let own = token.child_token();
            let working = async {
                work(own.clone()).await;
                // Work that ended by itself is not begun again.
                own.cancelled().await;
            };
            let keeping = async {
                self.keep(&mut seen, held, token).await;
                own.cancel();
            };
            tokio::join!(working, keeping);
            if token.is_cancelled() {
                self.release().await;
                return;
            }
            tracing::warn!(lease = self.lease, identity = self.identity, "leads no more");
        }
    }

    /// Returns when the lease is held, with the moment from which on it is.
    async fn acquire(&self, seen: &mut Seen) -> Instant {
        loop {
            let asked = Instant::now();
            match self.attempt(seen).await {
                Ok(true) => return asked,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, lease = self.lease, "cannot look at the lease"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Renews until it is told to end, or the lease is lost. A renewal counts from the moment at which it was asked for: others may
    /// have seen it long before its answer came.
    async fn keep(&self, seen: &mut Seen, mut held: Instant, token: &CancellationToken) {
        loop {
            let end = held + DEADLINE;
            tokio::select! {
                () = tokio::time::sleep_until(end.min(Instant::now() + RETRY)) => {}
                () = token.cancelled() => return,
            }
            let asked = Instant::now();
            match tokio::time::timeout_at(end, self.attempt(seen)).await {
                Ok(Ok(true)) => held = asked,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => tracing::debug!(%error, lease = self.lease, "cannot renew the lease"),
            }
        }
    }

    /// Takes or renews the lease, where it is ours, free, or its holder has been silent for as long as it said.
    async fn attempt(&self, seen: &mut Seen) -> kube::Result<bool> {
        let asked = async {
            let Some(mut lease) = self.leases.get_opt(&self.lease).await? else {
                let spec = self.spec(None);
                let metadata = ObjectMeta { name: Some(self.lease.clone()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(spec) };
                return match self.leases.create(&PostParams::default(), &lease).await {
                    Ok(_) => Ok(true),
                    Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                    Err(error) => Err(error),
                };
            };
            if seen.spec != lease.spec {
                seen.spec.clone_from(&lease.spec);
                seen.at = Some(Instant::now());
            }
            let spec = lease.spec.clone().unwrap_or_default();
            let holder = spec.holder_identity.as_deref().unwrap_or_default();
            let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
            let silent = seen.at.is_none_or(|at| at.elapsed() >= Duration::from_secs(duration));
            if !holder.is_empty() && holder != self.identity && !silent {
                return Ok(false);
            }
            lease.spec = Some(self.spec(Some(&spec)));
            match self.leases.replace(&self.lease, &PostParams::default(), &lease).await {
                Ok(written) => {
                    seen.spec = written.spec;
                    seen.at = Some(Instant::now());
                    Ok(true)
                }
                // Somebody else was quicker. One who leads looks again whose it is now.
                Err(kube::Error::Api(status)) if status.code == 409 && holder != self.identity => Ok(false),
                Err(error) => Err(error),
            }
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: ours.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(before.is_some() && ours.is_none())),
            ..LeaseSpec::default()
        }
    }

    /// Lets the lease go, so that another need not wait for our silence.
    async fn release(&self) {
        let released = async {
            let Some(mut lease) = self.leases.get_opt(&self.lease).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            self.leases.replace(&self.lease, &PostParams::default(), &lease).await.map(|_| ())
        };
        match tokio::time::timeout(ANSWER, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, lease = self.lease, "cannot let the lease go"),
            Err(_) => tracing::debug!(lease = self.lease, "cannot let the lease go in time"),
        }
    }
}

#[cfg(test)]
mod tests;
