//! Validating admission policies: expressions in CEL that requests are held to, and the bindings that say where. They are
//! compiled when they are first needed and kept while they stay as they are.
//! Upstream rules: k8s.io/apiserver `pkg/admission/plugin/policy`.

mod compile;
mod evaluate;
mod matching;
mod params;
mod review;
mod source;
mod typing;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admission::Asked;
use crate::boot::INTERNAL_USER;
use crate::error::ApiError;
use crate::object::{self, meta};
use crate::resource::Resource;
use crate::{codec, convert};

pub(crate) use compile::{Declared, Expression, Policy, Scope};
pub(crate) use source::Policies;
pub(crate) use typing::complete;

use evaluate::{Decision, Input};
use matching::Request;
use source::{Binding, Hook};

/// The group whose objects no policy is asked about.
const GROUP: &str = "admissionregistration.k8s.io";

/// Whether any policy may have something to say about a request.
pub(crate) fn intercepts(asked: &Asked<'_>) -> bool {
    !hooks(asked).is_empty()
}

fn hooks(asked: &Asked<'_>) -> Arc<Vec<Hook>> {
    let call = asked.call;
    if call.user.name == INTERNAL_USER || &*call.resource.group == GROUP {
        return Arc::default();
    }
    call.api.policies().hooks()
}

/// Lets a request pass or refuses it; what is only to be told becomes a warning. The objects are as they are served.
pub(crate) async fn admit(asked: &Asked<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
    let hooks = hooks(asked);
    if hooks.is_empty() {
        return Ok(());
    }
    let review = Review { asked, request: Request::of(asked, object.cloned(), old.cloned()) };
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    for hook in hooks.iter() {
        review.hook(hook, &mut refusals, &mut warnings).await?;
    }
    asked.call.warn(warnings);
    match refusals.into_iter().next() {
        Some(refusal) => Err(review.refused(&refusal)),
        None => Ok(()),
    }
}

/// Whether the match conditions of a webhook hold for a request that it gets as one for `matched`, with the objects in that
/// version; the error says why that cannot be found out, where this refuses.
pub(crate) fn conditions_hold(
    asked: &Asked<'_>,
    webhook: &Value,
    matched: &Resource,
    (object, old): (Option<&Value>, Option<&Value>),
) -> Result<bool, String> {
    let review = Review { asked, request: Request::of(asked, object.cloned(), old.cloned()) };
    let namespace = review.namespace();
    let objects = (object.cloned().unwrap_or_default(), old.cloned().unwrap_or_default());
    let seen = review::input(asked, &review.request, matched, objects, &namespace);
    evaluate::applies(&Policy::new(webhook), &seen.borrowed())
}

/// Why a change is refused.
struct Refusal {
    message: String,
    reason: String,
}

/// A request before the policies.
struct Review<'c> {
    asked: &'c Asked<'c>,
    request: Request,
}

impl Review<'_> {
    async fn hook(&self, hook: &Hook, refusals: &mut Vec<Refusal>, warnings: &mut Vec<String>) -> Result<(), ApiError> {
        let registry = self.asked.call.api.registry().snapshot();
        let matched =
            matching::find(&hook.spec["matchConstraints"], &self.request, &registry, &|name| self.labels(name));
        let Some(matched) = matched else {
            return Ok(());
        };
        let policy = hook.policy();
        let misconfigured = |refusals: &mut Vec<Refusal>, binding: Option<&Binding>, why: &str| {
            if policy.fails {
                let what = if binding.is_some() { "binding" } else { "policy" };
                let told = format!("failed to configure {what}: {why}");
                refusals.push(Refusal { message: denied(&hook.name, binding, &told), reason: String::new() });
            }
        };
        let kind = match params::kind(&hook.spec["paramKind"], &registry) {
            Ok(kind) => kind,
            Err(why) => {
                misconfigured(refusals, None, &why);
                return Ok(());
            }
        };
        let (object, old) = self.versioned(&matched).await?;
        let namespace = self.namespace();
        let seen = review::input(self.asked, &self.request, &matched, (object, old), &namespace);
        for binding in &hook.bindings {
            let place = &binding.spec["matchResources"];
            let here =
                place.is_null() || matching::find(place, &self.request, &registry, &|name| self.labels(name)).is_some();
            if !here {
                continue;
            }
            let found =
                params::collect(self.asked.call, kind.as_ref(), &binding.spec["paramRef"], &self.request.namespace)
                    .await;
            let found = match found {
                Ok(found) => found,
                Err(why) => {
                    misconfigured(refusals, Some(binding), &why);
                    continue;
                }
            };
            for param in found {
                let input = Input { params: &param, ..seen.borrowed() };
                self.decide(policy, hook, binding, &input, refusals, warnings);
            }
        }
        Ok(())
    }

    fn decide(
        &self,
        policy: &Policy,
        hook: &Hook,
        binding: &Binding,
        input: &Input<'_>,
        refusals: &mut Vec<Refusal>,
        warnings: &mut Vec<String>,
    ) {
        let actions: Vec<&str> =
            binding.spec["validationActions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let evaluated = evaluate::evaluate(policy, input);
        for Decision { message, reason } in evaluated.denials {
            if actions.contains(&"Deny") {
                refusals.push(Refusal { message: denied(&hook.name, Some(binding), &message), reason });
            } else if actions.contains(&"Warn") {
                warnings.push(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {message}",
                    hook.name, binding.name
                ));
            }
        }
        // There is no audit log that annotations could go to; one that cannot be made still counts as a failure.
        for message in evaluated.annotation_errors {
            refusals.push(Refusal { message: denied(&hook.name, Some(binding), &message), reason: String::new() });
        }
    }

    /// The objects in the version in which a policy wants to see them; null for none.
    async fn versioned(&self, matched: &Resource) -> Result<(Value, Value), ApiError> {
        let call = self.asked.call;
        let mut both = [Value::Null, Value::Null];
        for (slot, object) in both.iter_mut().zip([&self.request.new, &self.request.old]) {
            if let Some(object) = object {
                *slot = convert::between(call, &call.resource, matched, object.clone()).await?;
            }
        }
        let [object, old] = both;
        Ok((object, old))
    }

    /// The labels of a namespace.
    fn labels(&self, name: &str) -> Value {
        let own = self.request.group.is_empty()
            && self.request.resource == "namespaces"
            && self.request.subresource.is_empty();
        match (&self.request.new, own) {
            (Some(namespace), true) => namespace["metadata"]["labels"].clone(),
            _ => self.stored_namespace(name)["metadata"]["labels"].clone(),
        }
    }

    fn stored_namespace(&self, name: &str) -> Value {
        let Some(resource) = self.asked.call.api.registry().find("", "v1", "namespaces") else {
            return Value::Null;
        };
        let key =
            tinderbox_store::Key { collection: resource.collection.clone(), namespace: "".into(), name: name.into() };
        self.asked.call.api.store().get(&key).map_or(Value::Null, |stored| codec::decode(&stored))
    }

    /// `namespaceObject`: the namespace of what is changed.
    fn namespace(&self) -> Value {
        let of_namespace = self.request.group.is_empty() && self.request.resource == "namespaces";
        if self.request.namespace.is_empty() || of_namespace {
            return Value::Null;
        }
        let mut namespace = self.stored_namespace(&self.request.namespace);
        object::remove_meta(&mut namespace, "managedFields");
        namespace
    }

    fn refused(&self, refusal: &Refusal) -> ApiError {
        let (reason, code) = match refusal.reason.as_str() {
            "Unauthorized" => ("Unauthorized", 401),
            "Forbidden" => ("Forbidden", 403),
            "RequestEntityTooLarge" => ("RequestEntityTooLarge", 413),
            _ => ("Invalid", 422),
        };
        let object = self.request.new.as_ref().unwrap_or(&Value::Null);
        let names = [self.request.name.as_str(), meta(object, "generateName"), "Unknown"];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let mut error = ApiError::forbidden((&self.request.group, &self.request.resource), name, &refusal.message);
        error.details["causes"] = json!([{"message": refusal.message}]);
        ApiError { code, reason: reason.into(), ..error }
    }
}

fn denied(policy: &str, binding: Option<&Binding>, message: &str) -> String {
    match binding {
        Some(binding) => {
            format!("ValidatingAdmissionPolicy '{policy}' with binding '{}' denied request: {message}", binding.name)
        }
        None => format!("ValidatingAdmissionPolicy '{policy}' denied request: {message}"),
    }
}
