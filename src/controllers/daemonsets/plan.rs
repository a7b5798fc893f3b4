//! What a DaemonSet wants done next: one pod on each node that fits, old ones replaced, its status. Pure.
//! Upstream rule: `pkg/controller/daemon/daemon_controller.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, DaemonSetSpec, DaemonSetStatus};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use tinderbox_client::events::reference;
use tinderbox_client::{Error, Plan, Result, Step};

use super::manage::{Acts, OnNodes, by_node, manage};
use super::{pod, rolling};
use crate::deployments::rolling::share;
use crate::meta::{Claim, claim, is_deleting, selector};
use crate::pods::{available_at, is_ready};
use crate::revisions::Subject;

/// At most so many pods are made or deleted at a time.
const BURST: usize = 250;

/// What one DaemonSet sees of the cluster.
pub(super) struct Seen<'a> {
    /// The pods of its namespace.
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) nodes: &'a [Arc<Node>],
    /// The revisions of its namespace.
    pub(super) revisions: &'a [Arc<ControllerRevision>],
    /// Nodes whose failed pod is not replaced before this time.
    pub(super) held: &'a BTreeMap<String, Timestamp>,
}

/// What one DaemonSet wants done, and the nodes whose failed pod is replaced.
pub(super) struct Wish {
    pub(super) plan: Plan,
    pub(super) failed: Vec<String>,
}

/// A DaemonSet among its nodes.
pub(super) struct View<'a> {
    pub(super) set: &'a DaemonSet,
    pub(super) nodes: &'a [Arc<Node>],
    pub(super) held: &'a BTreeMap<String, Timestamp>,
    /// A pod of the present template.
    pub(super) template: Pod,
    pub(super) hash: String,
    /// Nodes that may have a second pod during a roll.
    pub(super) surge: usize,
    /// Nodes that may have none during a roll.
    pub(super) unavailable: usize,
    min_ready: i32,
    now: Timestamp,
}

impl View<'_> {
    /// Whether a pod has been ready for long enough.
    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        available_at(pod, self.min_ready).is_some_and(|at| at <= self.now)
    }
}

/// What one DaemonSet wants done.
pub(super) fn plan(set: &DaemonSet, seen: &Seen<'_>, now: Timestamp) -> Result<Wish> {
    let spec = set.spec.as_ref();
    let spec = spec.ok_or_else(|| Error::Invalid(format!("{} has no spec", set.name_any())))?;
    let selector = selector(&spec.selector)?;
    let Claim { owned, steps } = claim(set, &selector, seen.pods);
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    let subject =
        Subject { owner: set, template: &spec.template, selector: &selector, collisions, hash_label: pod::HASH };
    let history = subject.history(seen.revisions);
    let mut plan = Plan::default();
    if is_deleting(set) {
        return Ok(Wish { plan, failed: Vec::new() });
    }
    steps.into_iter().chain(history.steps.clone()).for_each(|step| plan.push(step));
    if history.collides {
        let mut status = set.status.clone().unwrap_or_default();
        status.collision_count = Some(collisions.unwrap_or_default() + 1);
        Step::status(set, set.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
        return Ok(Wish { plan, failed: Vec::new() });
    }
    let template = pod::template(set, spec);
    let desired = seen.nodes.iter().filter(|node| pod::fits(&template, node).0).count();
    let (surge, unavailable) = bounds(spec, desired);
    let hash = history.update.labels().get(pod::HASH).cloned().unwrap_or_default();
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    let (nodes, held) = (seen.nodes, seen.held);
    let view = View { set, nodes, held, template, hash, surge, unavailable, min_ready, now };
    let pods = by_node(&owned);
    let status = status(&view, &pods);
    Step::status(set, set.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
    plan.then();
    let acts = acts(&view, spec, pods);
    let failed = acts.failed.clone();
    carry_out(&view, acts, &mut plan);
    let mut in_use: BTreeSet<String> = BTreeSet::from([history.update.name_any()]);
    let hashes: BTreeSet<_> = owned.iter().filter_map(|pod| pod.labels().get(pod::HASH)).collect();
    let used = history.all.iter().filter(|one| one.labels().get(pod::HASH).is_some_and(|hash| hashes.contains(hash)));
    in_use.extend(used.map(|one| one.name_any()));
    history.truncate(spec.revision_history_limit, &in_use, &mut plan);
    let waiting = owned.iter().filter_map(|pod| available_at(pod, min_ready)).chain(held.values().copied());
    waiting.filter(|at| *at > now).for_each(|at| plan.at(at));
    plan.stages.retain(|stage| !stage.is_empty());
    Ok(Wish { plan, failed })
}

/// A roll goes on when every node has what it should have.
fn acts(view: &View<'_>, spec: &DaemonSetSpec, mut pods: OnNodes) -> Acts {
    let acts = manage(view, &pods);
    let quiet = acts.create.is_empty() && acts.delete.is_empty();
    let on_delete = spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete");
    if !quiet || on_delete {
        return acts;
    }
    for node in view.nodes.iter().filter(|node| pod::fits(&view.template, node).0) {
        pods.entry(node.name_any()).or_default();
    }
    rolling::roll(view, &pods)
}

fn bounds(spec: &DaemonSetSpec, desired: usize) -> (usize, usize) {
    let desired = i32::try_from(desired).unwrap_or(i32::MAX);
    let rolling = spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let of = |value: i32| usize::try_from(value).unwrap_or_default();
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
    let surge = surge.map_or(0, |value| of(share(Some(value), desired, true)));
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let unavailable = unavailable.map_or(1, |value| of(share(Some(value), desired, true)));
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn carry_out(view: &View<'_>, acts: Acts, plan: &mut Plan) {
    let about = reference(view.set);
    for node in acts.create.iter().take(BURST) {
        let pod = pod::on(view.set, &view.template, &view.hash, node);
        plan.push(Step::create(&pod).done(&about, "SuccessfulCreate", "Created pod: ").failed(
            &about,
            "FailedCreate",
            "Error creating: ",
        ));
    }
    for pod in acts.delete.iter().take(BURST) {
        plan.push(Step::delete(&**pod).done(&about, "SuccessfulDelete", "Deleted pod: ").failed(
            &about,
            "FailedDelete",
            "Error deleting: ",
        ));
    }
    plan.notes.extend(acts.notes);
}

fn status(view: &View<'_>, pods: &OnNodes) -> DaemonSetStatus {
    let old = view.set.status.clone().unwrap_or_default();
    let mut status = DaemonSetStatus {
        observed_generation: view.set.metadata.generation,
        collision_count: old.collision_count,
        conditions: old.conditions,
        ..DaemonSetStatus::default()
    };
    let (mut updated, mut available) = (0, 0);
    for node in view.nodes {
        let first = pods.get(&node.name_any()).and_then(|pods| pods.first());
        if !pod::fits(&view.template, node).0 {
            status.number_misscheduled += i32::from(first.is_some());
            continue;
        }
        status.desired_number_scheduled += 1;
        let Some(pod) = first else {
            continue;
        };
        status.current_number_scheduled += 1;
        status.number_ready += i32::from(is_ready(pod));
        available += i32::from(view.is_available(pod));
        updated += i32::from(pod::is_updated(pod, &view.hash));
    }
    let some = |number: i32| Some(number).filter(|number| *number > 0);
    status.updated_number_scheduled = some(updated);
    status.number_available = some(available);
    status.number_unavailable = some(status.desired_number_scheduled - available);
    status
}

#[cfg(test)]
mod tests;
