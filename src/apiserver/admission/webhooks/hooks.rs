//! Which webhooks a request concerns: rules, scopes, equivalent resources, selectors. It calls nobody.
//! Upstream rule: k8s.io/apiserver `pkg/admission/plugin/webhook/generic` and `predicates`.

use std::sync::Arc;

use serde_json::Value;
use tinderbox_api::selector::LabelSelector;
use tinderbox_store::{Collection, Key};

use super::Objects;
use crate::admission::asked::{Asked, kind};
use crate::error::ApiError;
use crate::resource::Resource;
use crate::{codec, policies};

/// A webhook that a request goes to.
pub(crate) struct Invocation {
    /// What tells it from others.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// The webhook as configured.
    pub(super) raw: Value,
    /// The resource in the version that it wants.
    pub(super) resource: Arc<Resource>,
}

impl Invocation {
    /// Whether a failure of the call stops the request.
    pub(super) fn fails_closed(&self) -> bool {
        self.raw["failurePolicy"] != "Ignore"
    }

    /// Group, version and kind of what it gets.
    pub(super) fn kind(&self, subresource: &str) -> [String; 3] {
        kind(&self.resource, subresource)
    }
}

/// The webhooks of a sort whose rules name the request, by the names of their configurations.
pub(super) fn named(asked: &Asked<'_>, plural: &str) -> Vec<Invocation> {
    let collection = Collection { group: "admissionregistration.k8s.io".into(), resource: plural.into() };
    let configurations = asked.call.api.store().list(&collection, None, None, 0).items;
    let mut found = Vec::new();
    for stored in configurations {
        let mut configuration = codec::decode(&stored);
        let Value::Array(webhooks) = configuration["webhooks"].take() else {
            continue;
        };
        for (index, raw) in webhooks.into_iter().enumerate() {
            if let Some(resource) = wanted(asked, &raw) {
                let name = raw["name"].as_str().unwrap_or_default().to_owned();
                found.push(Invocation { id: format!("{}/{index}", stored.key.name), name, raw, resource });
            }
        }
    }
    found
}

/// The resource as the webhook wants it, if any of its rules names it.
fn wanted(asked: &Asked<'_>, raw: &Value) -> Option<Arc<Resource>> {
    let rules = || raw["rules"].as_array().into_iter().flatten();
    let own = &asked.call.resource;
    if rules().any(|rule| names(asked, rule, own)) {
        return Some(Arc::clone(own));
    }
    if raw["matchPolicy"] == "Exact" {
        return None;
    }
    let snapshot = asked.call.api.registry().snapshot();
    let equivalent = |one: &&Arc<Resource>| one.collection == own.collection && one.api_version() != own.api_version();
    rules().find_map(|rule| snapshot.all().filter(equivalent).find(|one| names(asked, rule, one)).cloned())
}

fn names(asked: &Asked<'_>, rule: &Value, resource: &Resource) -> bool {
    let has = |field: &str, wanted: &str| texts(&rule[field]).any(|one| one == "*" || one == wanted);
    let subresource = asked.call.path.subresource.as_str();
    let of_resource = texts(&rule["resources"]).any(|one| {
        let (name, sub) = one.split_once('/').unwrap_or((one, ""));
        (name == "*" || *name == *resource.plural) && (sub == "*" || sub == subresource)
    });
    let namespaced = resource.namespaced && !asked.call.path.namespace.is_empty();
    let in_scope = match rule["scope"].as_str() {
        Some("Namespaced") => namespaced,
        Some("Cluster") => !namespaced,
        _ => true,
    };
    of_resource
        && in_scope
        && has("operations", asked.operation.as_str())
        && has("apiGroups", &resource.group)
        && has("apiVersions", &resource.version)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether the selectors and conditions of a webhook mean these objects.
pub(super) fn means(asked: &Asked<'_>, hook: &Invocation, objects: Objects<'_>) -> Result<bool, ApiError> {
    Ok(in_namespace(asked, hook, objects)? && selected(hook, objects)? && conditions(asked, hook, objects)?)
}

fn conditions(asked: &Asked<'_>, hook: &Invocation, objects: Objects<'_>) -> Result<bool, ApiError> {
    if hook.raw["matchConditions"].as_array().is_none_or(Vec::is_empty) {
        return Ok(true);
    }
    let Objects { object, old } = objects;
    policies::conditions_hold(asked, &hook.raw, &hook.resource, (object, old)).map_err(|why| {
        let resource = &asked.call.resource;
        ApiError::forbidden((&resource.group, &resource.plural), &asked.name, &why)
    })
}

fn selector(value: &Value) -> Result<Option<LabelSelector>, ApiError> {
    if value.is_null() {
        return Ok(None);
    }
    let read = LabelSelector::from_object(value).map_err(ApiError::internal)?;
    Ok(Some(read).filter(|one| !one.is_empty()))
}

fn in_namespace(asked: &Asked<'_>, hook: &Invocation, objects: Objects<'_>) -> Result<bool, ApiError> {
    let Some(selector) = selector(&hook.raw["namespaceSelector"])? else {
        return Ok(true);
    };
    let call = asked.call;
    if call.resource.is("", "namespaces") && call.path.subresource.is_empty() {
        return Ok(objects.object.or(objects.old).is_some_and(|one| selector.matches_object(one)));
    }
    if !call.resource.namespaced {
        return Ok(true);
    }
    let key = Key {
        collection: Collection { group: "".into(), resource: "namespaces".into() },
        namespace: "".into(),
        name: call.path.namespace.as_str().into(),
    };
    let namespace = call.api.store().get(&key);
    let namespace = namespace.ok_or_else(|| ApiError::not_found("", "namespaces", &call.path.namespace))?;
    Ok(selector.matches_object(&codec::decode(&namespace)))
}

fn selected(hook: &Invocation, objects: Objects<'_>) -> Result<bool, ApiError> {
    let Some(selector) = selector(&hook.raw["objectSelector"])? else {
        return Ok(true);
    };
    let labelled = |one: &&Value| one["metadata"].is_object() && selector.matches_object(one);
    Ok([objects.object, objects.old].into_iter().flatten().any(|one| labelled(&one)))
}
