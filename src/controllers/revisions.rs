//! The revisions of StatefulSets and DaemonSets: which template was when, as `kubectl rollout` reads and restores them. Pure.
//! Upstream rule: `pkg/controller/history/controller_history.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tinderbox_api::selector::LabelSelector;
use tinderbox_client::plan::encode;
use tinderbox_client::{Plan, Step};

use crate::hash;
use crate::meta::{Claim, claim, controller_reference, is_deleting};
use crate::pods::created;

/// The longest part of an owner's name in the name of a revision.
const STEM: usize = 223;

/// An owner's revisions.
pub(crate) struct History {
    /// Oldest first, the one for the present template included.
    pub(crate) all: Vec<Arc<ControllerRevision>>,
    /// The one for the present template.
    pub(crate) update: Arc<ControllerRevision>,
    /// The writes that make it so.
    pub(crate) steps: Vec<Step>,
    /// Another object has the name that the present template needs; nothing can go on before it has another.
    pub(crate) collides: bool,
}

/// What makes a revision of an owner.
pub(crate) struct Subject<'a, O> {
    pub(crate) owner: &'a O,
    pub(crate) template: &'a PodTemplateSpec,
    pub(crate) selector: &'a LabelSelector,
    pub(crate) collisions: Option<i32>,
    /// The label that revisions carry their hash in.
    pub(crate) hash_label: &'a str,
}

impl<O: Resource<DynamicType = ()>> Subject<'_, O> {
    /// The revisions of the owner, given all of its namespace.
    pub(crate) fn history(&self, everyone: &[Arc<ControllerRevision>]) -> History {
        let Claim { owned: mut all, mut steps } = claim(self.owner, self.selector, everyone);
        all.sort_by_key(|one| (one.revision, created(&**one), one.name_any()));
        let next = all.iter().map(|one| one.revision).max().unwrap_or_default() + 1;
        let data = data(self.template);
        let same = all.iter().rposition(|one| one.data.as_ref().is_some_and(|have| have.0 == data));
        match same {
            Some(at) if at + 1 == all.len() => History { update: all[at].clone(), all, steps, collides: false },
            // An old template is back: its revision becomes the newest.
            Some(at) => {
                let old = all.remove(at);
                let mut new = (*old).clone();
                new.revision = next;
                steps.extend(Step::update(&*old, &new).filter(|_| !is_deleting(self.owner)));
                let update = Arc::new(new);
                all.push(update.clone());
                History { all, update, steps, collides: false }
            }
            None => {
                let new = self.revision(data, next);
                let collides = everyone.iter().any(|one| one.name_any() == new.name_any());
                if !collides && !is_deleting(self.owner) {
                    steps.push(Step::create(&new));
                }
                let update = Arc::new(new);
                all.push(update.clone());
                History { all, update, steps, collides }
            }
        }
    }

    fn revision(&self, data: Value, revision: i64) -> ControllerRevision {
        let hash = hash::of(&data, self.collisions);
        let labels = self.template.metadata.as_ref().and_then(|meta| meta.labels.clone());
        let mut labels = labels.unwrap_or_default();
        labels.insert(self.hash_label.to_owned(), hash.clone());
        let annotations: BTreeMap<_, _> = self.owner.meta().annotations.clone().unwrap_or_default();
        let stem: String = self.owner.name_any().chars().take(STEM).collect();
        ControllerRevision {
            metadata: ObjectMeta {
                name: Some(format!("{stem}-{hash}")),
                namespace: self.owner.meta().namespace.clone(),
                labels: Some(labels),
                annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
                owner_references: Some(vec![controller_reference(self.owner)]),
                ..ObjectMeta::default()
            },
            data: Some(RawExtension(data)),
            revision,
        }
    }
}

impl History {
    /// The revision of that name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<ControllerRevision>> {
        self.all.iter().find(|one| one.name_any() == name).cloned()
    }

    /// Removes the oldest of those that nothing uses, beyond `limit`.
    pub(crate) fn truncate(&self, limit: Option<i32>, in_use: &BTreeSet<String>, plan: &mut Plan) {
        let idle: Vec<_> = self.all.iter().filter(|one| !in_use.contains(&one.name_any())).collect();
        let limit = usize::try_from(limit.unwrap_or(10)).unwrap_or_default();
        for old in idle.iter().take(idle.len().saturating_sub(limit)) {
            plan.push(Step::delete(&***old));
        }
    }
}

/// A template as a patch that puts it back.
fn data(template: &PodTemplateSpec) -> Value {
    let mut template = encode(template);
    template["$patch"] = json!("replace");
    json!({"spec": {"template": template}})
}

/// The template that a revision keeps.
pub(crate) fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.as_ref()?.0.pointer("/spec/template")?.clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}
