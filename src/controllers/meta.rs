//! Owner references, finalizers and claims: what controllers do alike to the objects they own. Pure.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector as Selector, OwnerReference};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use tinderbox_api::selector::LabelSelector;
use tinderbox_client::cache::{Cached, controller_uid};
use tinderbox_client::{Cache, Error, ObjectKey, Result, Step};

/// The reference by which an object controls another.
pub(crate) fn controller_reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The reference to the controller of an object.
pub(crate) fn controller_of<K: Resource>(object: &K) -> Option<&OwnerReference> {
    let owners = object.meta().owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// The owners among `owners` that a change of `object` may concern: the one that controls it, or, where nobody does, all in its
/// namespace that want it.
pub(crate) fn owners_of<K, O>(object: &K, owners: &Cache<O>, wants: impl Fn(&O) -> bool) -> Vec<ObjectKey>
where
    K: Resource,
    O: Cached + Resource<DynamicType = ()>,
{
    let namespace = object.meta().namespace.clone().unwrap_or_default();
    match controller_of(object) {
        Some(owner) if owner.kind == O::kind(&()) => vec![ObjectKey::new(namespace, &owner.name)],
        Some(_) => Vec::new(),
        None => {
            let owners = owners.in_namespace(&namespace);
            owners.iter().filter(|owner| wants(owner)).map(|owner| ObjectKey::of(&**owner)).collect()
        }
    }
}

/// Whether an object is on its way out.
pub(crate) fn is_deleting<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Whether an object carries a finalizer.
pub(crate) fn has_finalizer<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.finalizers().iter().any(|have| have == finalizer)
}

/// Puts a finalizer on an object.
pub(crate) fn add_finalizer<K>(object: &K, finalizer: &str) -> Option<Step>
where
    K: Resource<DynamicType = ()> + Clone + Serialize,
{
    if has_finalizer(object, finalizer) {
        return None;
    }
    let mut new = object.clone();
    new.finalizers_mut().push(finalizer.to_owned());
    Step::update(object, &new)
}

/// Takes a finalizer from an object.
pub(crate) fn remove_finalizer<K>(object: &K, finalizer: &str) -> Option<Step>
where
    K: Resource<DynamicType = ()> + Clone + Serialize,
{
    let mut new = object.clone();
    let finalizers = new.meta_mut().finalizers.as_mut()?;
    finalizers.retain(|have| have != finalizer);
    if finalizers.is_empty() {
        new.meta_mut().finalizers = None;
    }
    Step::update(object, &new)
}

/// A typed selector, ready to match.
pub(crate) fn selector(selector: &Selector) -> Result<LabelSelector> {
    LabelSelector::from_typed(selector).map_err(|error| Error::Invalid(error.to_string()))
}

/// The objects that an owner has after claiming, and the writes by which it claims and lets go.
pub(crate) struct Claim<K> {
    pub(crate) owned: Vec<Arc<K>>,
    pub(crate) steps: Vec<Step>,
}

/// Adopts orphans that the selector wants and releases what it wants no more.
/// Upstream rule: `pkg/controller/controller_ref_manager.go`.
pub(crate) fn claim<O, K>(owner: &O, selector: &LabelSelector, objects: &[Arc<K>]) -> Claim<K>
where
    O: Resource<DynamicType = ()>,
    K: Resource<DynamicType = ()> + Clone + Serialize,
{
    let uid = owner.uid().unwrap_or_default();
    let mut claim = Claim { owned: Vec::new(), steps: Vec::new() };
    for object in objects {
        let wanted = selector.matches_map(object.meta().labels.as_ref());
        match (controller_uid(&**object), wanted) {
            (Some(have), true) if have == uid => claim.owned.push(object.clone()),
            (Some(have), false) if have == uid => {
                let mut new = (**object).clone();
                new.owner_references_mut().retain(|one| one.uid != uid);
                if new.owner_references().is_empty() {
                    new.meta_mut().owner_references = None;
                }
                if !is_deleting(owner) {
                    claim.steps.extend(Step::update(&**object, &new));
                }
            }
            (None, true) if !is_deleting(owner) && !is_deleting(&**object) => {
                let mut new = (**object).clone();
                new.owner_references_mut().push(controller_reference(owner));
                claim.steps.extend(Step::update(&**object, &new));
                claim.owned.push(object.clone());
            }
            _ => (),
        }
    }
    claim
}
