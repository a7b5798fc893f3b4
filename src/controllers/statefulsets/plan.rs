//! What a StatefulSet wants done next: pods in order, each with its claims; the last ones away when there are too many; old
//! ones replaced from the last to the first. Pure.
//! Upstream rule: `updateStatefulSet` in `pkg/controller/statefulset/stateful_set_control.go`.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use kube::ResourceExt;
use tinderbox_client::events::reference;
use tinderbox_client::{Error, Plan, Result, Step};

use super::claims::Claims;
use super::identity::{self, range, revision, start};
use super::status::status;
use crate::meta::{Claim, claim, is_deleting, selector};
use crate::pods::{available_at, is_over, is_ready, phase};
use crate::revisions::{Subject, template};

/// The label of a revision that carries its hash.
const HASH: &str = "controller.kubernetes.io/hash";

/// What one StatefulSet sees of its namespace.
pub(super) struct Seen<'a> {
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) claims: &'a [Arc<PersistentVolumeClaim>],
    pub(super) revisions: &'a [Arc<ControllerRevision>],
}

/// What one StatefulSet wants done.
pub(super) fn plan(set: &StatefulSet, seen: &Seen<'_>, now: Timestamp) -> Result<Plan> {
    let spec = set.spec.as_ref();
    let spec = spec.ok_or_else(|| Error::Invalid(format!("{} has no spec", set.name_any())))?;
    let selector = selector(&spec.selector)?;
    let members: Vec<Arc<Pod>> =
        seen.pods.iter().filter(|pod| identity::ordinal(set, pod).is_some()).cloned().collect();
    let Claim { owned: pods, steps } = claim(set, &selector, &members);
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    let subject = Subject { owner: set, template: &spec.template, selector: &selector, collisions, hash_label: HASH };
    let history = subject.history(seen.revisions);
    let mut plan = Plan::default();
    steps.into_iter().chain(history.steps.clone()).for_each(|step| plan.push(step));
    if history.collides {
        let mut status = set.status.clone().unwrap_or_default();
        status.collision_count = Some(collisions.unwrap_or_default() + 1);
        Step::status(set, set.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
        return Ok(plan);
    }
    let known = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
    let current = known.and_then(|name| history.named(name)).unwrap_or_else(|| history.update.clone());
    let (current_name, update_name) = (current.name_any(), history.update.name_any());
    let status = status(set, spec, &pods, (&current_name, &update_name), now);
    Step::status(set, set.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
    if is_deleting(set) {
        return Ok(plan);
    }
    plan.then();
    let mut in_use: BTreeSet<String> = pods.iter().map(|pod| revision(pod).to_owned()).collect();
    in_use.extend([current_name.clone(), update_name.clone()]);
    history.truncate(spec.revision_history_limit, &in_use, &mut plan);
    let roll = Roll {
        set,
        spec,
        current: (current_name, template(&current).unwrap_or_else(|| spec.template.clone())),
        update: update_name,
        claims: Claims::new(set, seen.claims),
        min_ready: spec.min_ready_seconds.unwrap_or_default(),
        now,
    };
    roll.go(&pods, &mut plan);
    let waiting = pods.iter().filter_map(|pod| available_at(pod, roll.min_ready)).filter(|at| *at > now);
    waiting.for_each(|at| plan.at(at));
    plan.stages.retain(|stage| !stage.is_empty());
    Ok(plan)
}

/// Whether a pod runs and is ready.
pub(super) fn is_running_and_ready(pod: &Pod) -> bool {
    phase(pod) == "Running" && is_ready(pod)
}

/// Whether a pod has been ready for long enough.
pub(super) fn is_available(pod: &Pod, min_ready: i32, now: Timestamp) -> bool {
    is_running_and_ready(pod) && available_at(pod, min_ready).is_some_and(|at| at <= now)
}

/// Steps that wait for each other: claims, then pods.
#[derive(Default)]
struct Acts {
    claims: Vec<Step>,
    pods: Vec<Step>,
}

struct Roll<'a> {
    set: &'a StatefulSet,
    spec: &'a StatefulSetSpec,
    /// Name and template of the revision that is being left.
    current: (String, PodTemplateSpec),
    /// Name of the revision to come; its template is the set's.
    update: String,
    claims: Claims<'a>,
    min_ready: i32,
    now: Timestamp,
}

impl Roll<'_> {
    fn go(&self, pods: &[Arc<Pod>], plan: &mut Plan) {
        let at = |ordinal: i32| pods.iter().find(|pod| identity::ordinal(self.set, pod) == Some(ordinal)).cloned();
        let replicas: Vec<(i32, Option<Arc<Pod>>)> = range(self.spec).map(|ordinal| (ordinal, at(ordinal))).collect();
        let mut condemned: Vec<(i32, &Arc<Pod>)> =
            pods.iter().filter_map(|pod| Some((identity::ordinal(self.set, pod)?, pod))).collect();
        condemned.retain(|(ordinal, _)| !range(self.spec).contains(ordinal));
        condemned.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        let mut acts = Acts::default();
        if self.keep(&replicas, &mut acts) && self.shrink(&replicas, &condemned, &mut acts) {
            self.replace(&replicas, &mut acts);
        }
        acts.claims.into_iter().for_each(|step| plan.push(step));
        plan.then();
        acts.pods.into_iter().for_each(|step| plan.push(step));
    }

    fn is_ordered(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel")
    }

    /// Makes and mends the pods that there should be; whether the rest may go on.
    fn keep(&self, replicas: &[(i32, Option<Arc<Pod>>)], acts: &mut Acts) -> bool {
        replicas.iter().all(|(ordinal, pod)| {
            let goes_on = match pod {
                Some(pod) => self.mend(*ordinal, pod, acts),
                None => self.make(*ordinal, acts),
            };
            goes_on || !self.is_ordered()
        })
    }

    fn mend(&self, ordinal: i32, pod: &Arc<Pod>, acts: &mut Acts) -> bool {
        if is_over(pod) {
            if !is_deleting(&**pod) {
                acts.pods.push(self.delete(pod));
            }
            return false;
        }
        if phase(pod) == "Pending" && !is_deleting(&**pod) {
            acts.claims.extend(self.claims.missing(ordinal));
        }
        if self.is_ordered() && (is_deleting(&**pod) || !is_available(pod, self.min_ready, self.now)) {
            return false;
        }
        let mut new = (**pod).clone();
        identity::identify(&mut new, &pod.name_any(), ordinal);
        if let Some(step) = Step::update(&**pod, &new) {
            acts.pods.push(self.tell(step, "update", &pod.name_any()));
        }
        acts.claims.extend(self.claims.retain(ordinal, pod));
        true
    }

    fn make(&self, ordinal: i32, acts: &mut Acts) -> bool {
        if self.claims.is_stale(ordinal) {
            return false;
        }
        acts.claims.extend(self.claims.missing(ordinal));
        let (revision, template) = if self.wants_current(ordinal) {
            (&self.current.0, &self.current.1)
        } else {
            (&self.update, &self.spec.template)
        };
        let pod = identity::pod(self.set, template, ordinal, revision);
        acts.pods.push(self.tell(Step::create(&pod), "create", &pod.name_any()));
        false
    }

    /// Pods before the partition come back as they were.
    fn wants_current(&self, ordinal: i32) -> bool {
        let strategy = self.spec.update_strategy.as_ref();
        if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
            return false;
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let before = match rolling {
            Some(rolling) => rolling.partition.unwrap_or_default(),
            None => self.set.status.as_ref().and_then(|status| status.current_replicas).unwrap_or_default(),
        };
        ordinal - start(self.spec) < before
    }

    /// Removes pods that there should not be; whether the rest may go on.
    fn shrink(&self, replicas: &[(i32, Option<Arc<Pod>>)], condemned: &[(i32, &Arc<Pod>)], acts: &mut Acts) -> bool {
        for (ordinal, pod) in condemned {
            acts.claims.extend(self.claims.retain(*ordinal, pod));
        }
        let missing = replicas.iter().any(|(_, pod)| self.is_unavailable(pod.as_ref()));
        let sick = condemned.iter().rev().find(|(_, pod)| self.is_unavailable(Some(pod)));
        let first_sick = sick.filter(|_| !missing).map(|(ordinal, _)| *ordinal);
        condemned.iter().all(|(ordinal, pod)| {
            if is_deleting(&***pod) {
                return !self.is_ordered();
            }
            let blocked = !is_available(pod, self.min_ready, self.now) && first_sick != Some(*ordinal);
            if !(self.is_ordered() && blocked) {
                acts.pods.push(self.delete(pod));
            }
            !self.is_ordered()
        })
    }

    fn is_unavailable(&self, pod: Option<&Arc<Pod>>) -> bool {
        pod.is_none_or(|pod| is_deleting(&**pod) || !is_available(pod, self.min_ready, self.now))
    }

    /// Removes pods of old revisions, from the last one on.
    fn replace(&self, replicas: &[(i32, Option<Arc<Pod>>)], acts: &mut Acts) {
        let strategy = self.spec.update_strategy.as_ref();
        if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
            return;
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or_default();
        let partition = usize::try_from(partition).unwrap_or_default();
        let open = replicas.iter().skip(partition).rev();
        let is_old = |pod: &Pod| revision(pod) != self.update && !is_deleting(pod);
        // `maxUnavailable` is behind a gate that is closed in this version.
        for (_, pod) in open {
            if let Some(pod) = pod.as_ref().filter(|pod| is_old(pod)) {
                acts.pods.push(self.delete(pod));
                return;
            }
            if self.is_unavailable(pod.as_ref()) {
                return;
            }
        }
    }

    fn delete(&self, pod: &Pod) -> Step {
        self.tell(Step::delete(pod), "delete", &pod.name_any())
    }

    fn tell(&self, step: Step, verb: &str, pod: &str) -> Step {
        let about = reference(self.set);
        let set = self.set.name_any();
        let noun = match verb {
            "create" => "Create",
            "delete" => "Delete",
            _ => "Update",
        };
        let text = format!("{verb} Pod {pod} in StatefulSet {set}");
        step.told(&about, &format!("Successful{noun}"), format!("{text} successful")).failed(
            &about,
            &format!("Failed{noun}"),
            format!("{text} failed error: "),
        )
    }
}

#[cfg(test)]
mod tests;
