//! What other objects, and webhooks, have to say about an object that is being written: accounts and priorities of pods,
//! addresses of services, the default class of claims. Upstream these are admission plugins and allocators.

mod accounts;
mod addresses;
mod asked;
mod claims;
mod limits;
mod priorities;
mod quotas;
mod requests;
mod tolerations;
mod webhooks;

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::call::Call;
use crate::error::{ApiError, FieldError};
use crate::object::meta;
use crate::{custom, policies, view};

pub(crate) use asked::{Asked, Operation};

/// What must not change until the write is done.
pub(crate) type Held = Option<OwnedMutexGuard<()>>;

/// Brings an object that a webhook has changed, as it is served, back into the form that writes work on; the findings are
/// what is wrong with it.
pub(crate) type Reform<'a> = &'a (dyn Fn(&mut Value) -> Result<Vec<FieldError>, ApiError> + Send + Sync);

/// Completes an object from others, lets webhooks change it, or refuses it. `errors` are what is wrong with its form so far.
pub(crate) async fn admit(
    call: &Call,
    asked: Option<&Asked<'_>>,
    (old, object): (Option<&Value>, &mut Value),
    errors: &mut Vec<FieldError>,
    reform: Reform<'_>,
) -> Result<Held, ApiError> {
    complete(call, old, object).await?;
    if let Some(asked) = asked {
        let hooks = webhooks::mutating(asked);
        if !hooks.is_empty() {
            mutate(asked, &hooks, (old, object), errors, reform).await?;
        }
    }
    settle(call, old, object).await
}

async fn mutate(
    asked: &Asked<'_>,
    hooks: &[webhooks::Invocation],
    (old, object): (Option<&Value>, &mut Value),
    errors: &mut Vec<FieldError>,
    reform: Reform<'_>,
) -> Result<(), ApiError> {
    let resource = &asked.call.resource;
    let (mut served, old_served) = (as_served(asked, object), old.map(|old| as_served(asked, old)));
    if asked.operation == Operation::Create {
        // Upstream gives them out later.
        for field in ["uid", "creationTimestamp"] {
            crate::object::remove_meta(&mut served, field);
        }
    }
    let shape = |served: &mut Value| {
        reform(served)?;
        view::outward(resource, served);
        Ok(())
    };
    let between = async |served: &mut Value| {
        reform(served)?;
        complete(asked.call, old, served).await?;
        view::outward(resource, served);
        Ok(())
    };
    if webhooks::mutate(asked, hooks, Some(&mut served), old_served.as_ref(), shape, between).await? {
        *errors = reform(&mut served)?;
        *object = served;
    }
    Ok(())
}

fn as_served(asked: &Asked<'_>, object: &Value) -> Value {
    let mut served = object.clone();
    view::outward(&asked.call.resource, &mut served);
    served
}

/// Asks who may only refuse an object that is otherwise ready. `held` is let go of while they are asked.
pub(crate) async fn validate(
    asked: Option<&Asked<'_>>,
    (old, object): (Option<&Value>, &mut Value),
    held: Held,
) -> Result<Held, ApiError> {
    let Some(asked) = asked else {
        return Ok(held);
    };
    let hooks = webhooks::validating(asked);
    if hooks.is_empty() && !policies::intercepts(asked) {
        return Ok(held);
    }
    let (served, old_served) = (as_served(asked, object), old.map(|old| as_served(asked, old)));
    policies::admit(asked, Some(&served), old_served.as_ref()).await?;
    if hooks.is_empty() {
        return Ok(held);
    }
    drop(held);
    webhooks::validate(asked, &hooks, Some(&served), old_served.as_ref()).await?;
    settle(asked.call, old, object).await
}

/// Whether anybody wants to be asked by [`review`].
pub(crate) fn intercepts(asked: &Asked<'_>) -> bool {
    policies::intercepts(asked) || !webhooks::mutating(asked).is_empty() || !webhooks::validating(asked).is_empty()
}

/// Asks about what is no object to be stored: something created below an object, a stream, a delete. Says whether it was
/// changed.
pub(crate) async fn review(
    asked: &Asked<'_>,
    mut object: Option<&mut Value>,
    old: Option<&Value>,
) -> Result<bool, ApiError> {
    let hooks = webhooks::mutating(asked);
    let mut changed = false;
    if !hooks.is_empty() {
        let kept = async |_: &mut Value| Ok(());
        changed = webhooks::mutate(asked, &hooks, object.as_deref_mut(), old, |_| Ok(()), kept).await?;
    }
    policies::admit(asked, object.as_deref(), old).await?;
    let hooks = webhooks::validating(asked);
    if !hooks.is_empty() {
        webhooks::validate(asked, &hooks, object.as_deref(), old).await?;
    }
    Ok(changed)
}

/// What an object is given by others; doing it again changes nothing.
async fn complete(call: &Call, old: Option<&Value>, object: &mut Value) -> Result<(), ApiError> {
    match (&*call.resource.group, &*call.resource.plural) {
        ("", "pods") if old.is_none() => {
            accounts::admit(call, object).await?;
            priorities::admit(call, object)?;
            tolerations::admit(object, call.api.config().toleration_seconds);
            limits::admit(call, object)?;
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
        ("certificates.k8s.io", "certificatesigningrequests") => requests::admit(call, old, object)?,
        _ => {}
    }
    Ok(())
}

/// Gives an object what no two may have, and holds it until the write is done; doing it again changes nothing.
async fn settle(call: &Call, old: Option<&Value>, object: &mut Value) -> Result<Held, ApiError> {
    let resource = &call.resource;
    let quotas = quotas::of(call, old);
    let mut held = None;
    if resource.is("", "services") {
        held = Some(call.api.allocation().await);
        addresses::admit(call, old, object)?;
    } else if custom::is_definition(resource) {
        held = Some(call.api.allocation().await);
        call.api.complete_definition(object);
    } else if resource.is("admissionregistration.k8s.io", "validatingadmissionpolicies") {
        policies::complete(object, old, &call.api.registry().snapshot());
    } else if !quotas.is_empty() {
        held = Some(call.api.allocation().await);
    }
    quotas::admit(call, &quotas, old, object)?;
    Ok(held)
}

/// The name that a write is asked about: none while the server has yet to draw it.
pub(crate) fn asked_name(object: &Value, generated: bool) -> &str {
    if generated { "" } else { meta(object, "name") }
}
