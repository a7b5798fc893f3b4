//! Admission webhooks: servers that may change what is written, or refuse it, in the order and with the words of Kubernetes.
//! What the server writes by itself does not come here, so that it starts whatever webhooks there are.
//! Upstream rule: k8s.io/apiserver `pkg/admission/plugin/webhook`.

mod call;
mod hooks;
mod review;

use std::collections::HashSet;

use serde_json::Value;

use super::asked::Asked;
use crate::boot::INTERNAL_USER;
use crate::convert;
use crate::error::ApiError;
use call::Outcome;
pub(super) use hooks::Invocation;

/// Where mutating webhooks are configured.
const MUTATING: &str = "mutatingwebhookconfigurations";
/// Where validating webhooks are configured.
const VALIDATING: &str = "validatingwebhookconfigurations";
/// What is never intercepted, so that nobody is locked out.
const EXEMPT: [&str; 6] = [
    MUTATING,
    VALIDATING,
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
];

/// The mutating webhooks whose rules name a request.
pub(super) fn mutating(asked: &Asked<'_>) -> Vec<Invocation> {
    invocations(asked, MUTATING)
}

/// The validating webhooks whose rules name a request.
pub(super) fn validating(asked: &Asked<'_>) -> Vec<Invocation> {
    invocations(asked, VALIDATING)
}

fn invocations(asked: &Asked<'_>, plural: &str) -> Vec<Invocation> {
    let resource = &asked.call.resource;
    let exempt = *resource.group == *"admissionregistration.k8s.io" && EXEMPT.contains(&&*resource.plural);
    if exempt || asked.call.user.name == INTERNAL_USER {
        return Vec::new();
    }
    hooks::named(asked, plural)
}

/// What a request is about: the object that is written, unless there is none, and what was there before.
#[derive(Clone, Copy)]
pub(super) struct Objects<'a> {
    pub(super) object: Option<&'a Value>,
    pub(super) old: Option<&'a Value>,
}

/// Lets mutating webhooks change an object, one after the other. `between` is what stands between their rounds: it completes
/// the object again, and `shape` what brings a changed object into form. Says whether anything changed.
pub(super) async fn mutate<F>(
    asked: &Asked<'_>,
    hooks: &[Invocation],
    object: Option<&mut Value>,
    old: Option<&Value>,
    shape: impl Fn(&mut Value) -> Result<(), ApiError>,
    between: F,
) -> Result<bool, ApiError>
where
    F: AsyncFnOnce(&mut Value) -> Result<(), ApiError>,
{
    let mut round = Round::default();
    let Some(object) = object else {
        for hook in hooks {
            call_one(asked, hook, None, old).await?;
        }
        return Ok(false);
    };
    for hook in hooks {
        round.run(asked, hook, object, old, &shape).await?;
    }
    if !round.changed {
        return Ok(false);
    }
    let before = object.clone();
    between(object).await?;
    if *object != before {
        round.require_all();
    }
    let again = std::mem::take(&mut round.again);
    for hook in hooks.iter().filter(|hook| again.contains(&hook.id)) {
        round.run(asked, hook, object, old, &shape).await?;
    }
    Ok(true)
}

/// Which webhooks were called, and which want to be called again because of what others changed after them.
#[derive(Default)]
struct Round {
    changed: bool,
    called: HashSet<String>,
    again: HashSet<String>,
}

impl Round {
    fn require_all(&mut self) {
        self.again.extend(self.called.drain());
    }

    async fn run(
        &mut self,
        asked: &Asked<'_>,
        hook: &Invocation,
        object: &mut Value,
        old: Option<&Value>,
        shape: &impl Fn(&mut Value) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let Some(outcome) = call_one(asked, hook, Some(object), old).await? else {
            return Ok(());
        };
        if let Some(mut changed) = outcome.object {
            shape(&mut changed)?;
            if changed != *object {
                *object = changed;
                self.changed = true;
                self.require_all();
            }
        }
        if hook.raw["reinvocationPolicy"] == "IfNeeded" {
            self.called.insert(hook.id.clone());
        }
        Ok(())
    }
}

/// Calls a mutating webhook, if its selectors and conditions mean the objects.
async fn call_one(
    asked: &Asked<'_>,
    hook: &Invocation,
    object: Option<&Value>,
    old: Option<&Value>,
) -> Result<Option<Outcome>, ApiError> {
    let (object, old) = versioned(asked, hook, object, old).await?;
    let objects = Objects { object: object.as_ref(), old: old.as_ref() };
    if !hooks::means(asked, hook, objects)? {
        return Ok(None);
    }
    let mut outcome = call::mutating(asked, hook, objects).await?;
    if let Some(changed) = outcome.object.take() {
        outcome.object = Some(convert::between(asked.call, &hook.resource, &asked.call.resource, changed).await?);
    }
    Ok(Some(outcome))
}

/// The objects in the version that a webhook gets.
async fn versioned(
    asked: &Asked<'_>,
    hook: &Invocation,
    object: Option<&Value>,
    old: Option<&Value>,
) -> Result<(Option<Value>, Option<Value>), ApiError> {
    let mut both = [None, None];
    for (slot, value) in both.iter_mut().zip([object, old]) {
        if let Some(value) = value {
            *slot = Some(convert::between(asked.call, &asked.call.resource, &hook.resource, value.clone()).await?);
        }
    }
    let [object, old] = both;
    Ok((object, old))
}

/// Asks validating webhooks, all at once; the first refusal in their order counts.
pub(super) async fn validate(
    asked: &Asked<'_>,
    hooks: &[Invocation],
    object: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let calls = hooks.iter().map(|hook| async move {
        let (object, old) = versioned(asked, hook, object, old).await?;
        let objects = Objects { object: object.as_ref(), old: old.as_ref() };
        if hooks::means(asked, hook, objects)? { call::validating(asked, hook, objects).await } else { Ok(()) }
    });
    futures::future::join_all(calls).await.into_iter().collect()
}
