//! Resource quotas: a namespace has no more than its quotas allow. Nothing is kept: what is used is what the objects in the
//! store use, so that the answer is never behind; the status of a quota is its controller's.
//! Upstream rule: k8s.io/apiserver `pkg/admission/plugin/resourcequota/controller.go`.

use serde_json::Value;
use tinderbox_api::quota::{self, Usage};

use crate::call::Call;
use crate::codec;
use crate::error::ApiError;
use crate::object::meta;

/// The quotas of the namespace that an object is written to.
pub(super) fn of(call: &Call, old: Option<&Value>) -> Vec<Value> {
    let resource = &call.resource;
    let changes = resource.is("", "services") || resource.is("", "persistentvolumeclaims");
    if !resource.namespaced || old.is_some() && !changes || resource.is("", "events") {
        return Vec::new();
    }
    let Some(quotas) = call.api.registry().find("", "v1", "resourcequotas") else {
        return Vec::new();
    };
    let list = call.api.store().list(&quotas.collection, Some(&call.path.namespace), None, 0);
    list.items.iter().map(|stored| codec::decode(stored)).collect()
}

/// Refuses an object that a quota has no room for.
pub(super) fn admit(call: &Call, quotas: &[Value], old: Option<&Value>, object: &Value) -> Result<(), ApiError> {
    let (group, plural) = (&*call.resource.group, &*call.resource.plural);
    let refuse = |text: String| Err(ApiError::forbidden((group, plural), meta(object, "name"), &text));
    let more = growth(group, plural, old, object);
    for one in quotas.iter().filter(|one| quota::is_covered(one, group, plural, object)) {
        let (name, hard) = (meta(one, "name"), &one["spec"]["hard"]);
        if old.is_none()
            && call.resource.is("", "pods")
            && let Some(text) = quota::unsaid(hard, object)
        {
            return refuse(format!("failed quota: {name}: {text}"));
        }
        let limit = |name: &str| hard[name].as_str().and_then(|text| text.parse().ok());
        let limits: Usage = more.keys().filter_map(|name| Some((name.clone(), limit(name)?))).collect();
        if limits.is_empty() {
            continue;
        }
        let used = used(call, one);
        let over: Vec<&String> = limits
            .iter()
            .filter(|(name, limit)| {
                let sum = used.get(*name).map_or(more[*name], |have| have.plus(more[*name]));
                sum > **limit
            })
            .map(|(name, _)| name)
            .collect();
        if !over.is_empty() {
            let (requested, used, limited) = (words(&over, &more), words(&over, &used), words(&over, &limits));
            return refuse(format!("exceeded quota: {name}, requested: {requested}, used: {used}, limited: {limited}"));
        }
    }
    Ok(())
}

/// What an object uses beyond what it used.
fn growth(group: &str, plural: &str, old: Option<&Value>, object: &Value) -> Usage {
    let mut more = quota::usage(group, plural, object);
    if let Some(old) = old {
        for (name, amount) in quota::usage(group, plural, old) {
            if let Some(now) = more.get_mut(&name) {
                *now = now.plus(amount.times(-1));
            }
        }
    }
    more.retain(|_, amount| amount.milli_value() > 0);
    more
}

/// What the objects of this kind use that fall under a quota.
fn used(call: &Call, one: &Value) -> Usage {
    let (group, plural) = (&*call.resource.group, &*call.resource.plural);
    let mut sum = Usage::new();
    for stored in call.api.store().list(&call.resource.collection, Some(&call.path.namespace), None, 0).items {
        let object = codec::decode(&stored);
        if quota::is_covered(one, group, plural, &object) {
            quota::add(&mut sum, &quota::usage(group, plural, &object));
        }
    }
    sum
}

fn words(names: &[&String], amounts: &Usage) -> String {
    let word = |name: &&String| {
        let amount = amounts.get(*name).map_or_else(|| "0".to_owned(), ToString::to_string);
        format!("{name}={amount}")
    };
    names.iter().map(word).collect::<Vec<_>>().join(",")
}
