//! The claims of a StatefulSet's pods: made before their pod, kept or collected with it as the set's retention policy says.
//! Pure. Upstream rule: `pkg/controller/statefulset/stateful_set_utils.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use tinderbox_client::Step;
use tinderbox_client::events::reference;

use super::identity::{self, range};
use crate::meta::{controller_of, controller_reference, is_deleting};

/// The claims of one namespace.
pub(super) struct Claims<'a> {
    set: &'a StatefulSet,
    by_name: BTreeMap<String, &'a Arc<PersistentVolumeClaim>>,
}

/// The name of the claim that a template makes for a pod.
pub(super) fn name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}", template.name_any(), identity::name(set, ordinal))
}

impl<'a> Claims<'a> {
    pub(super) fn new(set: &'a StatefulSet, all: &'a [Arc<PersistentVolumeClaim>]) -> Self {
        Self { set, by_name: all.iter().map(|claim| (claim.name_any(), claim)).collect() }
    }

    fn templates(&self) -> &'a [PersistentVolumeClaim] {
        let spec = self.set.spec.as_ref();
        spec.and_then(|spec| spec.volume_claim_templates.as_deref()).unwrap_or_default()
    }

    fn known(&self, ordinal: i32) -> impl Iterator<Item = &'a Arc<PersistentVolumeClaim>> {
        let names = self.templates().iter().map(move |template| name(self.set, template, ordinal));
        names.filter_map(|name| self.by_name.get(&name).copied())
    }

    /// Makes the claims that a pod lacks.
    pub(super) fn missing(&self, ordinal: i32) -> Vec<Step> {
        let (set, pod) = (self.set.name_any(), identity::name(self.set, ordinal));
        let about = reference(self.set);
        let lacking = self.templates().iter().filter(|one| !self.by_name.contains_key(&name(self.set, one, ordinal)));
        let step = |template: &PersistentVolumeClaim| {
            let claim = self.make(template, ordinal);
            let name = claim.name_any();
            let done = format!("create Claim {name} Pod {pod} in StatefulSet {set} success");
            let failed = format!("create Claim {name} for Pod {pod} in StatefulSet {set} failed error: ");
            Step::create(&claim).told(&about, "SuccessfulCreate", done).failed(&about, "FailedCreate", failed)
        };
        lacking.map(step).collect()
    }

    fn make(&self, template: &PersistentVolumeClaim, ordinal: i32) -> PersistentVolumeClaim {
        let mut claim = template.clone();
        claim.status = None;
        claim.metadata.name = Some(name(self.set, template, ordinal));
        claim.metadata.namespace = self.set.namespace();
        let selector = self.set.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone());
        claim.labels_mut().extend(selector.unwrap_or_default());
        let owners = wanted_owners(self.set, ordinal, None);
        claim.metadata.owner_references = Some(owners).filter(|owners| !owners.is_empty());
        claim
    }

    /// Whether a claim still belongs to an earlier pod of that name: the pod waits until it is collected.
    pub(super) fn is_stale(&self, ordinal: i32) -> bool {
        let name = identity::name(self.set, ordinal);
        self.known(ordinal).any(|claim| {
            let mut owners = claim.owner_references().iter();
            is_deleting(&**claim) || owners.any(|owner| owner.kind == "Pod" && owner.name == name)
        })
    }

    /// Gives the claims of a pod the owners that the retention policy says.
    pub(super) fn retain(&self, ordinal: i32, pod: &Pod) -> Vec<Step> {
        let set_uid = self.set.uid().unwrap_or_default();
        let pod_uid = pod.uid().unwrap_or_default();
        let ours = |owner: &OwnerReference| owner.uid == set_uid || owner.uid == pod_uid;
        let steps = self.known(ordinal).filter_map(|claim| {
            if controller_of(&**claim).is_some_and(|owner| !ours(owner)) {
                return None;
            }
            let wanted = wanted_owners(self.set, ordinal, Some(pod));
            let same = |one: &OwnerReference| wanted.iter().any(|owner| owner.uid == one.uid);
            let have = claim.owner_references();
            if have.iter().filter(|one| ours(one)).all(same)
                && wanted.iter().all(|one| have.iter().any(|owner| owner.uid == one.uid))
            {
                return None;
            }
            let mut new = (**claim).clone();
            let mut owners: Vec<_> = have.iter().filter(|one| !ours(one)).cloned().collect();
            owners.extend(wanted);
            new.meta_mut().owner_references = Some(owners).filter(|owners| !owners.is_empty());
            Step::update(&**claim, &new)
        });
        steps.collect()
    }
}

/// Who takes a claim along when it goes: the set when it is deleted, a pod that is scaled away, or nobody.
fn wanted_owners(set: &StatefulSet, ordinal: i32, pod: Option<&Pod>) -> Vec<OwnerReference> {
    let Some(spec) = &set.spec else {
        return Vec::new();
    };
    let policy = spec.persistent_volume_claim_retention_policy.as_ref();
    let deletes = |word: Option<&String>| word.is_some_and(|word| word == "Delete");
    let with_set = deletes(policy.and_then(|policy| policy.when_deleted.as_ref()));
    let with_pod = deletes(policy.and_then(|policy| policy.when_scaled.as_ref()));
    let condemned = !range(spec).contains(&ordinal);
    match (condemned && with_pod, pod) {
        (true, Some(pod)) => vec![controller_reference(pod)],
        (true, None) => Vec::new(),
        (false, _) if with_set => vec![controller_reference(set)],
        (false, _) => Vec::new(),
    }
}
