//! Leadership by a Lease, as client-go has it: who holds it says so again and again, and who waits takes it when nobody did
//! for its term.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::PostParams;
use kube::core::ObjectMeta;

/// How long a lease is good for without being renewed.
const TERM: Duration = Duration::from_secs(2);
/// How often holders renew, and others try.
const PERIOD: Duration = Duration::from_millis(200);

/// What to write into a lease, if it can be had.
fn claim(lease: Option<&Lease>, me: &str, now: Timestamp) -> Option<LeaseSpec> {
    let old = lease.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let mine = old.holder_identity.as_deref() == Some(me);
    let renewed = old.renew_time.as_ref().map(|time| time.0);
    let free = renewed.is_none_or(|renewed| renewed + TERM < now);
    if !mine && !free {
        return None;
    }
    let taken = old.holder_identity.is_some() && !mine;
    Some(LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
        acquire_time: if mine { old.acquire_time } else { Some(MicroTime(now)) },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(old.lease_transitions.unwrap_or_default() + i32::from(taken)),
        ..LeaseSpec::default()
    })
}

/// One try; whether the lease is held.
async fn hold(leases: &Api<Lease>, name: &str, me: &str) -> bool {
    let Ok(found) = leases.get_opt(name).await else { return false };
    let Some(spec) = claim(found.as_ref(), me, Timestamp::now()) else { return false };
    let params = PostParams::default();
    let written = match found {
        Some(lease) => leases.replace(name, &params, &Lease { spec: Some(spec), ..lease }).await,
        None => {
            let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
            leases.create(&params, &Lease { metadata, spec: Some(spec) }).await
        }
    };
    // A conflict: somebody else was faster.
    written.is_ok()
}

/// Waits for the lead.
pub(super) async fn win(leases: &Api<Lease>, name: &str, me: &str) {
    while !hold(leases, name, me).await {
        tokio::time::sleep(PERIOD).await;
    }
}

/// Keeps the lead; returns when it is lost.
pub(super) async fn keep(leases: &Api<Lease>, name: &str, me: &str) {
    while hold(leases, name, me).await {
        tokio::time::sleep(PERIOD).await;
    }
}
