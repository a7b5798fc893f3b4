//! What other objects have to say about an object that is being written: accounts and priorities of pods, addresses of
//! services, the default class of claims. Upstream these are admission plugins and allocators.

mod accounts;
mod addresses;
mod claims;
mod limits;
mod priorities;
mod quotas;
mod requests;
mod tolerations;

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::call::Call;
use crate::custom;
use crate::error::ApiError;

/// What must not change until the write is done.
pub(crate) type Held = Option<OwnedMutexGuard<()>>;

/// Completes an object from others, or refuses it.
pub(crate) async fn admit(call: &Call, old: Option<&Value>, object: &mut Value) -> Result<Held, ApiError> {
    let resource = &call.resource;
    let quotas = quotas::of(call, old);
    let mut held = None;
    match (&*resource.group, &*resource.plural) {
        ("", "pods") if old.is_none() => {
            accounts::admit(call, object).await?;
            priorities::admit(call, object)?;
            tolerations::admit(object, call.api.config().toleration_seconds);
            limits::admit(call, object)?;
        }
        ("", "services") => {
            held = Some(call.api.allocation().await);
            addresses::admit(call, old, object)?;
        }
        ("", "persistentvolumeclaims") => {
            if old.is_none() {
                claims::admit(call, object);
            }
            // What a claim asked for before a limit came stands.
            if old.is_none_or(|old| old["spec"]["resources"] != object["spec"]["resources"]) {
                limits::admit(call, object)?;
            }
        }
        ("certificates.k8s.io", "certificatesigningrequests") => requests::admit(&call.user, old, object),
        _ if custom::is_definition(resource) => {
            held = Some(call.api.allocation().await);
            call.api.complete_definition(object);
        }
        _ => {}
    }
    if held.is_none() && !quotas.is_empty() {
        held = Some(call.api.allocation().await);
    }
    quotas::admit(call, &quotas, old, object)?;
    Ok(held)
}
