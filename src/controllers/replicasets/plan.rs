//! How many pods to make or delete, and which, for one ReplicaSet or ReplicationController; and its status. Pure.
//! Upstream rule: `pkg/controller/replicaset/replica_set.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tinderbox_client::events::reference;
use tinderbox_client::{Plan, Result, Step};

use super::keeper::{Keeper, Wish};
use crate::meta::{Claim, claim, controller_reference, is_deleting, selector};
use crate::pods::{self, available_at, is_active, is_ready, sort_for_deletion};

/// At most so many pods are made or deleted at a time.
const BURST: usize = 500;
const FAILURE: &str = "ReplicaFailure";

/// What one of them wants done, given all pods of its namespace.
pub(super) fn plan<K: Keeper>(set: &K, pods: &[Arc<Pod>], now: Timestamp) -> Result<Plan> {
    let wish = set.wish()?;
    let active: Vec<Arc<Pod>> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
    let Claim { owned, steps } = claim(set, &selector(&wish.selector)?, &active);
    let mut plan = Plan::default();
    let wanted = usize::try_from(wish.replicas).unwrap_or_default();
    let mut status = status(set, &wish, &owned, now);
    if owned.len() == wanted
        && let Some(conditions) = status.conditions.as_mut()
    {
        conditions.retain(|condition| condition.type_ != FAILURE);
    }
    if status.conditions.as_ref().is_some_and(Vec::is_empty) {
        status.conditions = None;
    }
    steps.into_iter().for_each(|step| plan.push(step));
    if let Some(step) = Step::status(set, set.status().as_ref(), &status) {
        plan.push(step);
    }
    plan.then();
    if !is_deleting(set) {
        manage(set, wish.template, owned.clone(), wanted, &mut plan);
    }
    let waiting = owned.iter().filter_map(|pod| available_at(pod, wish.min_ready)).filter(|at| *at > now);
    waiting.for_each(|at| plan.at(at));
    plan.stages.retain(|stage| !stage.is_empty());
    Ok(plan)
}

fn manage<K: Keeper>(
    set: &K,
    template: Option<&PodTemplateSpec>,
    mut owned: Vec<Arc<Pod>>,
    wanted: usize,
    plan: &mut Plan,
) {
    let about = reference(set);
    if owned.len() > wanted {
        sort_for_deletion(&mut owned);
        for pod in owned.iter().take((owned.len() - wanted).min(BURST)) {
            plan.push(Step::delete(&**pod).done(&about, "SuccessfulDelete", "Deleted pod: ").failed(
                &about,
                "FailedDelete",
                "Error deleting: ",
            ));
        }
        return;
    }
    let Some(template) = template else {
        return;
    };
    let pod = pods::from_template(template, set.namespace(), &set.name_any(), controller_reference(set));
    let step = Step::create(&pod).done(&about, "SuccessfulCreate", "Created pod: ").failed(
        &about,
        "FailedCreate",
        "Error creating: ",
    );
    for _ in 0..(wanted - owned.len()).min(BURST) {
        plan.push(step.clone());
    }
}

fn status<K: Keeper>(set: &K, wish: &Wish<'_>, owned: &[Arc<Pod>], now: Timestamp) -> ReplicaSetStatus {
    let none = BTreeMap::new();
    let meta = wish.template.and_then(|template| template.metadata.as_ref());
    let labels = meta.and_then(|meta| meta.labels.as_ref()).unwrap_or(&none);
    let count = |fits: &dyn Fn(&Pod) -> bool| {
        let number = owned.iter().filter(|pod| fits(pod)).count();
        i32::try_from(number).unwrap_or(i32::MAX)
    };
    let labelled = |pod: &Pod| {
        let have = pod.labels();
        labels.iter().all(|(key, value)| have.get(key) == Some(value))
    };
    let available = |pod: &Pod| available_at(pod, wish.min_ready).is_some_and(|at| at <= now);
    let some = |number: i32| Some(number).filter(|number| *number > 0);
    ReplicaSetStatus {
        replicas: count(&|_| true),
        fully_labeled_replicas: some(count(&labelled)),
        ready_replicas: some(count(&is_ready)),
        available_replicas: some(count(&available)),
        observed_generation: set.meta().generation,
        conditions: set.status().and_then(|status| status.conditions),
        terminating_replicas: None,
    }
}

/// Tells in the status that a pod could not be made.
pub(super) fn failed<K: Keeper>(set: &K, message: &str, now: Timestamp) -> Option<Step> {
    let old = set.status().unwrap_or_default();
    let mut new = old.clone();
    let conditions = new.conditions.get_or_insert_default();
    let known =
        conditions.iter().any(|condition| condition.type_ == FAILURE && condition.message.as_deref() == Some(message));
    if known {
        return None;
    }
    conditions.retain(|condition| condition.type_ != FAILURE);
    conditions.push(ReplicaSetCondition {
        type_: FAILURE.to_owned(),
        status: "True".to_owned(),
        reason: Some("FailedCreate".to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(now)),
    });
    Step::status(set, Some(&old), &new)
}

#[cfg(test)]
mod tests;
