//! What a Deployment wants done next: its new ReplicaSet, the sizes of all, old ones beyond the history limit, its status.
//! Pure. Upstream rule: `pkg/controller/deployment/{deployment_controller,sync}.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use kube::ResourceExt;
use kube::core::ObjectMeta;
use serde_json::json;
use tinderbox_client::cache::controller_uid;
use tinderbox_client::{Error, Note, Plan, Result, Step};

use super::rolling::{self, Bounds, Size};
use super::status::{self, Progress};
use super::template::{self, HASH};
use crate::meta::{Claim, claim, controller_reference, is_deleting, selector};
use crate::pods::{created, is_over};

const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What one Deployment wants done, given the ReplicaSets and pods of its namespace.
pub(super) fn plan(
    deployment: &Deployment,
    sets: &[Arc<ReplicaSet>],
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> Result<Plan> {
    let spec = deployment.spec.as_ref();
    let spec = spec.ok_or_else(|| Error::Invalid(format!("{} has no spec", deployment.name_any())))?;
    let Claim { owned, steps } = claim(deployment, &selector(&spec.selector)?, sets);
    let mut plan = Plan::default();
    steps.into_iter().for_each(|step| plan.push(step));
    let view = View::new(deployment, spec, sets, owned);
    let created = if is_deleting(deployment) { None } else { view.manage(pods, &mut plan) };
    let (mut status, again) = status::status(deployment, view.new.as_deref(), &view.owned, now);
    match created {
        Some(Created::Set(name)) => status::tell(&mut status, Progress::created(&name), now),
        Some(Created::Collision) => status.collision_count = Some(status.collision_count.unwrap_or_default() + 1),
        // The version of the Deployment changes: the rest is planned over it.
        Some(Created::Annotations) => return Ok(plan),
        None => (),
    }
    if let Some(at) = again {
        plan.at(at);
    }
    if let Some(step) = Step::status(deployment, deployment.status.as_ref(), &status) {
        plan.push(step);
    }
    Ok(plan)
}

enum Created {
    Set(String),
    Collision,
    Annotations,
}

struct View<'a> {
    deployment: &'a Deployment,
    spec: &'a DeploymentSpec,
    bounds: Bounds,
    /// All ReplicaSets of the namespace: one of a foreign owner may have our name.
    everyone: &'a [Arc<ReplicaSet>],
    owned: Vec<Arc<ReplicaSet>>,
    new: Option<Arc<ReplicaSet>>,
    /// Oldest first.
    old: Vec<Arc<ReplicaSet>>,
}

impl<'a> View<'a> {
    fn new(
        deployment: &'a Deployment,
        spec: &'a DeploymentSpec,
        everyone: &'a [Arc<ReplicaSet>],
        owned: Vec<Arc<ReplicaSet>>,
    ) -> Self {
        let new = template::current(deployment, &owned);
        let is_new = |set: &Arc<ReplicaSet>| new.as_ref().is_some_and(|new| new.name_any() == set.name_any());
        let mut old: Vec<_> = owned.iter().filter(|set| !is_new(set)).cloned().collect();
        old.sort_by_key(|set| (created(&**set), set.name_any()));
        Self { deployment, spec, bounds: Bounds::of(deployment), everyone, owned, new, old }
    }

    fn manage(&self, pods: &[Arc<Pod>], plan: &mut Plan) -> Option<Created> {
        let paused = self.spec.paused == Some(true);
        if paused || self.is_scaling() {
            self.scale(plan);
            if paused {
                self.clean_up(plan);
            }
            return None;
        }
        let sizes: Vec<Size> = self.old.iter().map(|set| Size::of(set)).collect();
        let Some(new) = &self.new else {
            if self.bounds.recreate && (self.shrink_to(&vec![0; sizes.len()], plan) || self.old_pods_run(pods)) {
                return None;
            }
            return Some(self.create(rolling::grow(self.bounds, 0, &sizes), plan));
        };
        if self.annotate(new, plan) {
            return Some(Created::Annotations);
        }
        if self.bounds.recreate && (self.shrink_to(&vec![0; sizes.len()], plan) || self.old_pods_run(pods)) {
            return None;
        }
        let have = Size::of(new);
        let grown = rolling::grow(self.bounds, have.wanted, &sizes);
        if grown != have.wanted {
            self.resize(new, grown, plan);
            return None;
        }
        if !self.shrink_to(&rolling::shrink(self.bounds, have, &sizes), plan) && self.is_complete() {
            self.clean_up(plan);
        }
        None
    }

    fn is_complete(&self) -> bool {
        let all_old = self.old.iter().all(|set| Size::of(set).wanted == 0);
        let new = self.new.as_ref().map(|set| Size::of(set));
        all_old && new.is_some_and(|new| new.wanted == self.bounds.replicas && new.available == self.bounds.replicas)
    }

    /// The number of pods asked for changed since the sizes were set.
    fn is_scaling(&self) -> bool {
        let active = self.owned.iter().filter(|set| Size::of(set).wanted > 0);
        active
            .filter_map(|set| set.annotations().get(DESIRED)?.parse::<i32>().ok())
            .any(|desired| desired != self.bounds.replicas)
    }

    fn scale(&self, plan: &mut Plan) {
        let active: Vec<_> = self.owned.iter().filter(|set| Size::of(set).wanted > 0).collect();
        let latest = self.new.as_ref().or_else(|| self.old.last());
        match (active.as_slice(), latest) {
            ([], Some(one)) => self.resize(one, self.bounds.replicas, plan),
            ([one], _) => self.resize(one, self.bounds.replicas, plan),
            ([], None) => (),
            (many, _) => {
                let is_full = self.new.as_ref().is_some_and(|set| Size::of(set).available >= self.bounds.replicas);
                if is_full {
                    self.shrink_to(&vec![0; self.old.len()], plan);
                    return;
                }
                if self.bounds.recreate {
                    return;
                }
                let sizes: Vec<i32> = many.iter().map(|set| Size::of(set).wanted).collect();
                let before = many.iter().find_map(|set| set.annotations().get(MOST)?.parse().ok());
                let most = if self.bounds.replicas > 0 { self.bounds.most() } else { 0 };
                let before = before.unwrap_or_else(|| sizes.iter().sum());
                for (set, size) in many.iter().zip(rolling::proportional(most, before, &sizes)) {
                    self.resize(set, size, plan);
                }
            }
        }
    }

    /// Gives the old ReplicaSets new sizes; whether any changed.
    fn shrink_to(&self, sizes: &[i32], plan: &mut Plan) -> bool {
        let mut changed = false;
        for (set, size) in self.old.iter().zip(sizes) {
            if Size::of(set).wanted != *size {
                changed = true;
                self.resize(set, *size, plan);
            }
        }
        changed
    }

    /// Pods of old ReplicaSets that have not ended hold a recreation up.
    fn old_pods_run(&self, pods: &[Arc<Pod>]) -> bool {
        let is_old = |uid: &str| self.old.iter().any(|set| set.uid().as_deref() == Some(uid));
        pods.iter().filter(|pod| !is_over(pod)).any(|pod| controller_uid(&**pod).is_some_and(is_old))
    }

    fn resize(&self, set: &ReplicaSet, size: i32, plan: &mut Plan) {
        let before = Size::of(set).wanted;
        let mut new = set.clone();
        new.annotations_mut().extend(self.size_annotations());
        if let Some(spec) = new.spec.as_mut() {
            spec.replicas = Some(size);
        }
        let Some(step) = Step::update(set, &new) else {
            return;
        };
        plan.push(step);
        if size != before {
            let way = if size > before { "up" } else { "down" };
            let name = set.name_any();
            let text = format!("Scaled {way} replica set {name} from {before} to {size}");
            plan.note(Note::normal(self.deployment, "ScalingReplicaSet", text));
        }
    }

    fn size_annotations(&self) -> [(String, String); 2] {
        [(DESIRED.to_owned(), self.bounds.replicas.to_string()), (MOST.to_owned(), self.bounds.most().to_string())]
    }

    fn next_revision(&self) -> u64 {
        self.old.iter().map(|set| revision(set)).max().unwrap_or_default() + 1
    }

    fn annotations(&self, revision: u64) -> BTreeMap<String, String> {
        let ours = |key: &str| [REVISION, DESIRED, MOST, LAST_APPLIED].contains(&key);
        let inherited = self.deployment.annotations().iter().filter(|(key, _)| !ours(key));
        let mut annotations: BTreeMap<_, _> = inherited.map(|(key, value)| (key.clone(), value.clone())).collect();
        annotations.insert(REVISION.to_owned(), revision.to_string());
        annotations.extend(self.size_annotations());
        annotations
    }

    /// Keeps the annotations of the new ReplicaSet, and the revision on the Deployment; whether any changed.
    fn annotate(&self, set: &ReplicaSet, plan: &mut Plan) -> bool {
        let revision = revision(set).max(self.next_revision());
        let mut new = set.clone();
        new.annotations_mut().extend(self.annotations(revision));
        if let Some(spec) = new.spec.as_mut() {
            spec.min_ready_seconds = self.spec.min_ready_seconds;
        }
        let step = Step::update(set, &new);
        let mut changed = step.is_some();
        step.into_iter().for_each(|step| plan.push(step));
        let revision = revision.to_string();
        if self.deployment.annotations().get(REVISION) != Some(&revision) {
            let body = json!({"metadata": {"annotations": {REVISION: revision}}});
            plan.push(Step::merge(self.deployment, body));
            changed = true;
        }
        changed
    }

    fn create(&self, size: i32, plan: &mut Plan) -> Created {
        let collisions = self.deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = template::hash(&self.spec.template, collisions);
        let name = format!("{}-{hash}", self.deployment.name_any());
        if self.everyone.iter().any(|set| set.name_any() == name) {
            return Created::Collision;
        }
        let revision = self.next_revision();
        let set = self.new_set(&name, &hash, size, revision);
        plan.push(Step::create(&set));
        let text = format!("Scaled up replica set {name} from 0 to {size}");
        plan.note(Note::normal(self.deployment, "ScalingReplicaSet", text));
        Created::Set(name)
    }

    fn new_set(&self, name: &str, hash: &str, size: i32, revision: u64) -> ReplicaSet {
        let template = &self.spec.template;
        let meta = template.metadata.clone().unwrap_or_default();
        let labels = template::with_hash(meta.labels.as_ref(), hash);
        let mut selector = self.spec.selector.clone();
        selector.match_labels.get_or_insert_default().insert(HASH.to_owned(), hash.to_owned());
        ReplicaSet {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: self.deployment.namespace(),
                labels: Some(labels.clone()),
                annotations: Some(self.annotations(revision)),
                owner_references: Some(vec![controller_reference(self.deployment)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(size),
                min_ready_seconds: self.spec.min_ready_seconds,
                selector,
                template: Some(PodTemplateSpec {
                    metadata: Some(ObjectMeta { labels: Some(labels), ..meta }),
                    spec: template.spec.clone(),
                }),
            }),
            status: None,
        }
    }

    /// Deletes the oldest ReplicaSets without pods beyond the history limit.
    fn clean_up(&self, plan: &mut Plan) {
        let limit = self.spec.revision_history_limit.unwrap_or(10);
        let limit = usize::try_from(limit).unwrap_or_default();
        let is_empty = |set: &&Arc<ReplicaSet>| {
            let pods = set.status.as_ref().map_or(0, |status| status.replicas);
            let seen = set.status.as_ref().and_then(|status| status.observed_generation);
            Size::of(set).wanted == 0 && pods == 0 && seen >= set.metadata.generation && !is_deleting(&***set)
        };
        let mut empty: Vec<_> = self.old.iter().filter(is_empty).collect();
        empty.sort_by_key(|set| revision(set));
        for set in empty.iter().take(self.old.len().saturating_sub(limit)) {
            plan.push(Step::delete(&***set));
        }
    }
}

fn revision(set: &ReplicaSet) -> u64 {
    let revision = set.annotations().get(REVISION);
    revision.and_then(|revision| revision.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
