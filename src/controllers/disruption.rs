//! The status of pod disruption budgets: how many pods may be evicted now. Evicting is the API server's.
//! Upstream rule: `pkg/controller/disruption/disruption.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use tinderbox_client::clock::after;
use tinderbox_client::{ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::deployments::rolling::share;
use crate::meta::{controller_of, is_deleting, selector};
use crate::pods::{is_over, is_ready};

/// An eviction that has not become a deletion by then is forgotten.
const DISRUPTION: Duration = Duration::from_secs(120);

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let budgets = context.caches.get::<PodDisruptionBudget>();
        let pods = context.caches.get::<Pod>();
        let sets = context.caches.get::<ReplicaSet>();
        let queue = Queue::new(context.clock.clone());
        budgets.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        pods.subscribe({
            let (queue, budgets) = (queue.clone(), budgets.clone());
            move |change| {
                for budget in budgets.in_namespace(&change.key().namespace) {
                    queue.add(ObjectKey::of(&*budget));
                }
            }
        });
        budgets.synced().await?;
        pods.synced().await?;
        sets.synced().await?;
        let applier = context.applier("kube-controller-manager", "controllermanager");
        let clock = context.clock.clone();
        let runner = Runner { name: "disruption", queue, concurrency: 2, token: context.token.clone() };
        runner
            .run(move |key: ObjectKey| {
                let (budgets, pods, sets) = (budgets.clone(), pods.clone(), sets.clone());
                let (applier, now) = (applier.clone(), clock.now());
                async move {
                    let Some(budget) = budgets.get(&key) else {
                        return Ok(Action::Done);
                    };
                    let sets = sets.in_namespace(&key.namespace);
                    let plan = plan(&budget, &pods.in_namespace(&key.namespace), &sets, now)?;
                    Ok(applier.apply(plan).await?.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// Brings the status of a budget up to date, given the pods and ReplicaSets of its namespace. Pure.
fn plan(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], sets: &[Arc<ReplicaSet>], now: Timestamp) -> Result<Plan> {
    let mut plan = Plan::default();
    let Some(spec) = &budget.spec else {
        return Ok(plan);
    };
    let Some(wanted) = &spec.selector else {
        return Ok(plan);
    };
    let wanted = selector(wanted)?;
    let selected: Vec<&Arc<Pod>> =
        pods.iter().filter(|pod| !is_over(pod) && wanted.matches_map(pod.metadata.labels.as_ref())).collect();
    let old = budget.status.clone().unwrap_or_default();
    let disrupted = disrupted(&old, &selected, now);
    if let Some(first) = disrupted.values().map(|time| time.0).min() {
        plan.at(after(first, DISRUPTION));
    }
    let (expected, desired) = match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let expected = expected(&selected, sets);
            (expected, (expected - share(Some(most), expected, true)).max(0))
        }
        (None, Some(IntOrString::Int(least))) => (number(selected.len()), *least),
        (None, Some(percent)) => {
            let expected = expected(&selected, sets);
            (expected, share(Some(percent), expected, true))
        }
        (None, None) => (number(selected.len()), 1),
    };
    let healthy = selected
        .iter()
        .filter(|pod| is_ready(pod) && !is_deleting(&****pod) && !disrupted.contains_key(&pod.name_any()));
    let healthy = number(healthy.count());
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let new = PodDisruptionBudgetStatus {
        conditions: Some(vec![condition(budget, &old, allowed, now)]),
        current_healthy: healthy,
        desired_healthy: desired,
        disrupted_pods: Some(disrupted).filter(|pods| !pods.is_empty()),
        disruptions_allowed: allowed,
        expected_pods: expected,
        observed_generation: budget.metadata.generation,
    };
    Step::status(budget, Some(&old), &new).into_iter().for_each(|step| plan.push(step));
    Ok(plan)
}

/// Evictions that have not become deletions yet.
fn disrupted(old: &PodDisruptionBudgetStatus, pods: &[&Arc<Pod>], now: Timestamp) -> BTreeMap<String, Time> {
    let stays = |name: &str| pods.iter().any(|pod| pod.name_any() == name && !is_deleting(&***pod));
    let recorded = old.disrupted_pods.iter().flatten();
    let current = recorded.filter(|(name, at)| stays(name) && after(at.0, DISRUPTION) > now);
    current.map(|(name, at)| (name.clone(), at.clone())).collect()
}

/// How many pods the controllers of these pods were asked to have.
fn expected(pods: &[&Arc<Pod>], sets: &[Arc<ReplicaSet>]) -> i32 {
    let mut seen = BTreeSet::new();
    let mut sum = 0;
    for pod in pods {
        match controller_of(&***pod) {
            None => sum += 1,
            Some(owner) => {
                let set = sets.iter().find(|set| set.uid().as_ref() == Some(&owner.uid));
                match set.and_then(|set| set.spec.as_ref()?.replicas) {
                    Some(_) if !seen.insert(owner.uid.clone()) => (),
                    Some(replicas) => sum += replicas,
                    None => sum += 1,
                }
            }
        }
    }
    sum
}

fn condition(budget: &PodDisruptionBudget, old: &PodDisruptionBudgetStatus, allowed: i32, now: Timestamp) -> Condition {
    let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let have = old.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionAllowed");
    let since = have.filter(|have| have.status == status).map(|have| have.last_transition_time.clone());
    Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: budget.metadata.generation,
        last_transition_time: since.unwrap_or(Time(now)),
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pods(ready: &[bool]) -> Vec<Arc<Pod>> {
        let pod = |(number, ready): (usize, &bool)| {
            let word = if *ready { "True" } else { "False" };
            let pod = json!({
                "metadata": {"name": format!("p{number}"), "labels": {"app": "a"}},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": word}]},
            });
            Arc::new(serde_json::from_value(pod).unwrap_or_default())
        };
        ready.iter().enumerate().map(pod).collect()
    }

    fn allowed(spec: Value, ready: &[bool]) -> Value {
        let mut spec = spec;
        spec["selector"] = json!({"matchLabels": {"app": "a"}});
        let budget = json!({"metadata": {"name": "b", "namespace": "n"}, "spec": spec});
        let budget: PodDisruptionBudget = serde_json::from_value(budget).unwrap_or_default();
        let plan = plan(&budget, &pods(ready), &[], Timestamp::UNIX_EPOCH).unwrap_or_default();
        let status = plan.steps().next().map(|step| step.body()["status"].clone()).unwrap_or_default();
        let number = |name: &str| status.get(name).cloned().unwrap_or_else(|| json!(0));
        json!([number("currentHealthy"), number("desiredHealthy"), number("disruptionsAllowed")])
    }

    #[test]
    fn counts_what_may_go() {
        assert_eq!(allowed(json!({"minAvailable": 1}), &[true, true]), json!([2, 1, 1]));
        assert_eq!(allowed(json!({"minAvailable": 2}), &[true, false]), json!([1, 2, 0]));
        assert_eq!(allowed(json!({"minAvailable": "50%"}), &[true, true, true]), json!([3, 2, 1]));
        assert_eq!(allowed(json!({"maxUnavailable": 1}), &[true, true, true]), json!([3, 2, 1]));
    }
}
