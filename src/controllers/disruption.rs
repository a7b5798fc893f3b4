//! The status of pod disruption budgets: how many pods may be evicted now. Evicting is the API server's.
//! Upstream rule: `pkg/controller/disruption/disruption.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use tinderbox_client::cache::Cached;
use tinderbox_client::clock::after;
use tinderbox_client::{Cache, Note, ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::deployments::rolling::share;
use crate::meta::{controller_of, is_deleting, selector};
use crate::pods::{is_over, is_ready};

/// An eviction that has not become a deletion by then is forgotten.
const DISRUPTION: Duration = Duration::from_secs(120);

/// What one budget sees of its namespace.
struct Seen {
    pods: Vec<Arc<Pod>>,
    /// Who asked for pods, with how many, by uid: ReplicaSets stand for their Deployments.
    scales: BTreeMap<String, (String, i32)>,
}

#[derive(Clone)]
struct World {
    budgets: Cache<PodDisruptionBudget>,
    pods: Cache<Pod>,
    sets: Cache<ReplicaSet>,
    deployments: Cache<Deployment>,
    stateful: Cache<StatefulSet>,
}

impl World {
    fn seen(&self, namespace: &str) -> Seen {
        let deployments = self.deployments.in_namespace(namespace);
        let uid = |meta: &ObjectMeta| meta.uid.clone().unwrap_or_default();
        let mut scales = BTreeMap::new();
        for set in self.sets.in_namespace(namespace) {
            let above = controller_of(&*set)
                .and_then(|owner| deployments.iter().find(|one| one.metadata.uid.as_ref() == Some(&owner.uid)));
            let own = set.spec.as_ref().and_then(|spec| spec.replicas);
            let (owner, replicas) = match above {
                Some(above) => (uid(&above.metadata), above.spec.as_ref().and_then(|spec| spec.replicas)),
                None => (uid(&set.metadata), own),
            };
            scales.insert(uid(&set.metadata), (owner, replicas.unwrap_or(1)));
        }
        for set in self.stateful.in_namespace(namespace) {
            let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            scales.insert(uid(&set.metadata), (uid(&set.metadata), replicas));
        }
        Seen { pods: self.pods.in_namespace(namespace), scales }
    }
}

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let caches = &context.caches;
        let world = World {
            budgets: caches.get(),
            pods: caches.get(),
            sets: caches.get(),
            deployments: caches.get(),
            stateful: caches.get(),
        };
        let queue = Queue::new(context.clock.clone());
        world.budgets.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        follow(&world.pods, &world.budgets, &queue);
        follow(&world.sets, &world.budgets, &queue);
        follow(&world.deployments, &world.budgets, &queue);
        follow(&world.stateful, &world.budgets, &queue);
        world.budgets.synced().await?;
        world.pods.synced().await?;
        world.sets.synced().await?;
        world.deployments.synced().await?;
        world.stateful.synced().await?;
        let applier = context.applier("kube-controller-manager", "controllermanager");
        let clock = context.clock.clone();
        let runner = Runner { name: "disruption", queue, concurrency: 2, token: context.token.clone() };
        runner
            .run(move |key: ObjectKey| {
                let (world, applier, now) = (world.clone(), applier.clone(), clock.now());
                async move {
                    let Some(budget) = world.budgets.get(&key) else {
                        return Ok(Action::Done);
                    };
                    Ok(applier.apply(plan(&budget, &world.seen(&key.namespace), now)?).await?.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// Looks at all budgets of a namespace when something in it changes.
fn follow<K: Cached>(cache: &Cache<K>, budgets: &Cache<PodDisruptionBudget>, queue: &Queue<ObjectKey>) {
    let (queue, budgets) = (queue.clone(), budgets.clone());
    cache.subscribe(move |change| {
        for budget in budgets.in_namespace(&change.key().namespace) {
            queue.add(ObjectKey::of(&*budget));
        }
    });
}

/// Brings the status of a budget up to date. Pure.
fn plan(budget: &PodDisruptionBudget, seen: &Seen, now: Timestamp) -> Result<Plan> {
    let mut plan = Plan::default();
    let Some(spec) = &budget.spec else {
        return Ok(plan);
    };
    let Some(wanted) = &spec.selector else {
        return Ok(plan);
    };
    let wanted = selector(wanted)?;
    let selected: Vec<&Arc<Pod>> =
        seen.pods.iter().filter(|pod| !is_over(pod) && wanted.matches_map(pod.metadata.labels.as_ref())).collect();
    if selected.is_empty() {
        plan.note(Note::normal(budget, "NoPods", "No matching pods found"));
    }
    let old = budget.status.clone().unwrap_or_default();
    let disrupted = disrupted(&old, &selected, now);
    if let Some(first) = disrupted.values().map(|time| time.0).min() {
        plan.at(after(first, DISRUPTION));
    }
    let (expected, desired, trouble) = match expected(spec, &selected, seen, budget, &mut plan) {
        Ok((expected, desired)) => (expected, desired, None),
        Err(trouble) => {
            let text = format!("Failed to calculate the number of expected pods: {trouble}");
            plan.note(Note::warning(budget, "CalculateExpectedPodCountFailed", text));
            (old.expected_pods, old.desired_healthy, Some(trouble))
        }
    };
    let healthy = selected
        .iter()
        .filter(|pod| is_ready(pod) && !is_deleting(&****pod) && !disrupted.contains_key(&pod.name_any()));
    let healthy = number(healthy.count());
    let allowed = if expected > 0 && trouble.is_none() { (healthy - desired).max(0) } else { 0 };
    let new = PodDisruptionBudgetStatus {
        conditions: Some(vec![condition(budget, &old, allowed, trouble, now)]),
        current_healthy: healthy,
        desired_healthy: desired,
        disrupted_pods: Some(disrupted).filter(|pods| !pods.is_empty()),
        disruptions_allowed: allowed,
        expected_pods: expected,
        observed_generation: budget.metadata.generation,
    };
    match Step::status(budget, Some(&old), &new) {
        Some(step) => plan.push(step),
        // What was told with the status that stands need not be told again.
        None => plan.notes.clear(),
    }
    Ok(plan)
}

/// Evictions that have not become deletions yet.
fn disrupted(old: &PodDisruptionBudgetStatus, pods: &[&Arc<Pod>], now: Timestamp) -> BTreeMap<String, Time> {
    let stays = |name: &str| pods.iter().any(|pod| pod.name_any() == name && !is_deleting(&***pod));
    let recorded = old.disrupted_pods.iter().flatten();
    let current = recorded.filter(|(name, at)| stays(name) && after(at.0, DISRUPTION) > now);
    current.map(|(name, at)| (name.clone(), at.clone())).collect()
}

/// How many pods there should be, and how many of them must be healthy.
fn expected(
    spec: &PodDisruptionBudgetSpec,
    pods: &[&Arc<Pod>],
    seen: &Seen,
    budget: &PodDisruptionBudget,
    plan: &mut Plan,
) -> std::result::Result<(i32, i32), String> {
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let expected = scale(pods, seen, budget, plan)?;
            Ok((expected, (expected - share(Some(most), expected, true)).max(0)))
        }
        (None, Some(IntOrString::Int(least))) => Ok((number(pods.len()), *least)),
        (None, Some(percent)) => {
            let expected = scale(pods, seen, budget, plan)?;
            Ok((expected, share(Some(percent), expected, true)))
        }
        (None, None) => Ok((number(pods.len()), 1)),
    }
}

/// How many pods the controllers of these pods were asked to have.
fn scale(
    pods: &[&Arc<Pod>],
    seen: &Seen,
    budget: &PodDisruptionBudget,
    plan: &mut Plan,
) -> std::result::Result<i32, String> {
    let mut owners: BTreeMap<&str, i32> = BTreeMap::new();
    let mut unmanaged = Vec::new();
    for pod in pods {
        let Some(owner) = controller_of(&***pod) else {
            unmanaged.push(pod.name_any());
            continue;
        };
        let Some((owner, replicas)) = seen.scales.get(&owner.uid) else {
            let kind = format!("{}s", owner.kind.to_lowercase());
            let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
            let dot = if group.is_empty() { "" } else { "." };
            return Err(format!("{kind}{dot}{group} does not implement the scale subresource"));
        };
        owners.insert(owner, *replicas);
    }
    if !unmanaged.is_empty() {
        let advice = "To account for these pods please set \".spec.minAvailable\" field to an integer";
        let text = format!(
            "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. {advice} value that includes these pods.",
            selector(budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()).unwrap_or(&LabelSelector::default()))
                .map(|selector| selector.to_string())
                .unwrap_or_default()
        );
        plan.note(Note::warning(budget, "UnmanagedPods", text));
    }
    Ok(owners.values().fold(0, |sum, replicas| sum.saturating_add(*replicas)))
}

fn condition(
    budget: &PodDisruptionBudget,
    old: &PodDisruptionBudgetStatus,
    allowed: i32,
    trouble: Option<String>,
    now: Timestamp,
) -> Condition {
    let (status, reason) = match (&trouble, allowed > 0) {
        (Some(_), _) => ("False", "SyncFailed"),
        (None, true) => ("True", "SufficientPods"),
        (None, false) => ("False", "InsufficientPods"),
    };
    let have = old.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionAllowed");
    let since = have.filter(|have| have.status == status).map(|have| have.last_transition_time.clone());
    Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: trouble.unwrap_or_default(),
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

    fn pods(ready: &[bool], owner: &str) -> Vec<Arc<Pod>> {
        let pod = |(number, ready): (usize, &bool)| {
            let word = if *ready { "True" } else { "False" };
            let owner =
                json!({"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": owner, "controller": true});
            let pod = json!({
                "metadata": {"name": format!("p{number}"), "labels": {"app": "a"}, "ownerReferences": [owner]},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": word}]},
            });
            Arc::new(serde_json::from_value(pod).unwrap_or_default())
        };
        ready.iter().enumerate().map(pod).collect()
    }

    fn status(spec: Value, pods: Vec<Arc<Pod>>) -> Value {
        let mut spec = spec;
        spec["selector"] = json!({"matchLabels": {"app": "a"}});
        let budget = json!({"metadata": {"name": "b", "namespace": "n"}, "spec": spec});
        let budget: PodDisruptionBudget = serde_json::from_value(budget).unwrap_or_default();
        let scales =
            BTreeMap::from([("set".to_owned(), ("web".to_owned(), 3)), ("old".to_owned(), ("web".to_owned(), 3))]);
        let plan = plan(&budget, &Seen { pods, scales }, Timestamp::UNIX_EPOCH).unwrap_or_default();
        plan.steps().next().map(|step| step.body()["status"].clone()).unwrap_or_default()
    }

    fn allowed(spec: Value, pods: Vec<Arc<Pod>>) -> Value {
        let status = status(spec, pods);
        let number = |name: &str| status.get(name).cloned().unwrap_or_else(|| json!(0));
        json!([number("currentHealthy"), number("desiredHealthy"), number("disruptionsAllowed")])
    }

    #[test]
    fn counts_what_may_go() {
        let of_set = |ready: &[bool]| pods(ready, "set");
        assert_eq!(allowed(json!({"minAvailable": 1}), of_set(&[true, true])), json!([2, 1, 1]));
        assert_eq!(allowed(json!({"minAvailable": 2}), of_set(&[true, false])), json!([1, 2, 0]));
        assert_eq!(allowed(json!({"minAvailable": "50%"}), of_set(&[true, true, true])), json!([3, 2, 1]));
        assert_eq!(allowed(json!({"maxUnavailable": 1}), of_set(&[true, true, true])), json!([3, 2, 1]));
        assert_eq!(allowed(json!({"maxUnavailable": 1}), of_set(&[true, true])), json!([2, 2, 0]));
        let rolling = [of_set(&[true, true]), pods(&[true], "old")].concat();
        assert_eq!(allowed(json!({"maxUnavailable": 1}), rolling), json!([3, 2, 1]));
    }

    #[test]
    fn what_cannot_be_counted_allows_nothing() {
        let found = status(json!({"maxUnavailable": 1}), pods(&[true], "job"));
        let condition = &found["conditions"][0];
        assert_eq!(
            (&condition["reason"], &condition["message"]),
            (&json!("SyncFailed"), &json!("jobs.batch does not implement the scale subresource"))
        );
        assert_eq!(allowed(json!({"minAvailable": 0}), pods(&[true], "job")), json!([1, 0, 1]));
    }
}
