//! How many pods a metric asks for. Pure.
//! Upstream rule: k8s.io/kubernetes `pkg/controller/podautoscaler/replica_calculator.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use tinderbox_api::quantity::Quantity;
use tinderbox_client::clock::after;

use super::usage::PodUsage;
use crate::meta::is_deleting;
use crate::pods::{condition, phase};

/// `--horizontal-pod-autoscaler-cpu-initialization-period`.
const INITIALISATION: Duration = Duration::from_secs(300);
/// `--horizontal-pod-autoscaler-initial-readiness-delay`.
const READINESS: Duration = Duration::from_secs(30);
/// `--horizontal-pod-autoscaler-tolerance`.
const TOLERANCE: f64 = 0.1;

/// What a metric is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric<'a> {
    /// `cpu` or `memory`.
    pub(super) resource: &'a str,
    /// One container of each pod, or all.
    pub(super) container: Option<&'a str>,
}

/// What is wanted of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// Per cent of what was asked for.
    Utilization(i32),
    /// Thousandths per pod.
    Average(i64),
}

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) replicas: i32,
    /// Per cent of what was asked for, where that was the goal.
    pub(super) utilization: Option<i32>,
    /// Thousandths per pod.
    pub(super) average: i64,
}

/// Pods of a target by what they can tell.
#[derive(Debug, Default)]
struct Groups {
    ready: usize,
    unready: Vec<String>,
    missing: Vec<String>,
    values: BTreeMap<String, i64>,
}

/// How many pods there should be.
pub(super) fn propose(
    current: i32,
    metric: Metric<'_>,
    goal: Goal,
    pods: &[Arc<Pod>],
    usage: &[PodUsage],
    now: Timestamp,
) -> Result<Proposal, String> {
    let known = usage.iter().any(|one| one.of(metric.resource, metric.container).is_some());
    if !known {
        let why = "no metrics returned from resource metrics API";
        return Err(format!("unable to get metrics for resource {}: {why}", metric.resource));
    }
    if pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let Groups { ready, unready, missing, mut values } = group(pods, metric, usage, now);
    if values.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
    }
    let requests = match goal {
        Goal::Utilization(_) => pods.iter().map(|pod| requested(pod, metric)).collect::<Result<_, _>>()?,
        Goal::Average(_) => BTreeMap::new(),
    };
    let (ratio, utilization, average) = ratio(&values, &requests, goal)?;
    let proposal = |replicas| Proposal { replicas, utilization, average };
    let within = |ratio: f64| (1.0 - TOLERANCE..=1.0 + TOLERANCE).contains(&ratio);
    let grows_with_unready = !unready.is_empty() && ratio > 1.0;
    if !grows_with_unready && missing.is_empty() {
        return Ok(proposal(if within(ratio) { current } else { up(ratio * ready as f64) }));
    }
    for name in &missing {
        let assumed = match goal {
            _ if ratio > 1.0 => 0,
            Goal::Utilization(target) => {
                requests.get(name).copied().unwrap_or_default() * i64::from(target.max(100)) / 100
            }
            Goal::Average(target) => target,
        };
        if ratio != 1.0 {
            values.insert(name.clone(), assumed);
        }
    }
    if grows_with_unready {
        values.extend(unready.into_iter().map(|name| (name, 0)));
    }
    let (again, ..) = self::ratio(&values, &requests, goal)?;
    let turned = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
    let replicas = up(again * values.len() as f64);
    let against = (again < 1.0 && replicas > current) || (again > 1.0 && replicas < current);
    Ok(proposal(if within(again) || turned || against { current } else { replicas }))
}

fn up(number: f64) -> i32 {
    number.ceil() as i32
}

fn group(pods: &[Arc<Pod>], metric: Metric<'_>, usage: &[PodUsage], now: Timestamp) -> Groups {
    let mut groups = Groups::default();
    for pod in pods.iter().filter(|pod| !is_deleting(&***pod) && phase(pod) != "Failed") {
        let name = pod.name_any();
        if phase(pod) == "Pending" {
            groups.unready.push(name);
            continue;
        }
        let told = usage.iter().find(|one| one.pod == name);
        let Some((told, value)) = told.and_then(|one| Some((one, one.of(metric.resource, metric.container)?))) else {
            groups.missing.push(name);
            continue;
        };
        if metric.resource == "cpu" && is_unready(pod, told, now) {
            groups.unready.push(name);
        } else {
            groups.values.insert(name, value);
            groups.ready += 1;
        }
    }
    groups
}

/// Whether what a pod uses of the processor says nothing yet.
fn is_unready(pod: &Pod, told: &PodUsage, now: Timestamp) -> bool {
    let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
    let (Some(ready), Some(started)) = (condition(pod, "Ready"), started) else { return true };
    let since = ready.last_transition_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let down = ready.status == "False";
    if after(started, INITIALISATION) > now {
        down || told.at < after(since, told.window)
    } else {
        down && after(started, READINESS) > since
    }
}

/// What a pod asked for, by its name.
fn requested(pod: &Arc<Pod>, metric: Metric<'_>) -> Result<(String, i64), String> {
    let spec = pod.spec.as_ref();
    let stays = |one: &&Container| one.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten()).filter(stays);
    let containers = spec.into_iter().flat_map(|spec| &spec.containers).chain(sidecars);
    let mut sum = 0_i64;
    for container in containers.filter(|one| metric.container.is_none_or(|name| name == one.name)) {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let amount = requests.and_then(|requests| requests.get(metric.resource)?.0.parse::<Quantity>().ok());
        let amount = amount.ok_or_else(|| {
            let (resource, name) = (metric.resource, &container.name);
            format!("missing request for {resource} in container {name} of Pod {}", pod.name_any())
        })?;
        sum = sum.saturating_add(amount.milli_value());
    }
    Ok((pod.name_any(), sum))
}

fn ratio(
    values: &BTreeMap<String, i64>,
    requests: &BTreeMap<String, i64>,
    goal: Goal,
) -> Result<(f64, Option<i32>, i64), String> {
    let count = i64::try_from(values.len()).unwrap_or(i64::MAX).max(1);
    let total: i64 = values.values().sum();
    match goal {
        Goal::Average(target) => Ok(((total / count) as f64 / target.max(1) as f64, None, total / count)),
        Goal::Utilization(target) => {
            let asked: i64 = values.keys().filter_map(|name| requests.get(name)).sum();
            if asked == 0 {
                return Err("no metrics returned matched known pods".to_owned());
            }
            let current = i32::try_from(total.saturating_mul(100) / asked).unwrap_or(i32::MAX);
            Ok((f64::from(current) / f64::from(target.max(1)), Some(current), total / count))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const CPU: Metric<'_> = Metric { resource: "cpu", container: None };

    fn now() -> Timestamp {
        "2026-01-01T01:00:00Z".parse().unwrap()
    }

    fn pod(name: &str, phase: &str, ready: &str) -> Arc<Pod> {
        let main = json!({"name": "main", "resources": {"requests": {"cpu": "200m", "memory": "100Mi"}}});
        let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:10Z"});
        let status = json!({"phase": phase, "startTime": "2026-01-01T00:00:00Z", "conditions": [condition]});
        let pod = json!({"metadata": {"name": name}, "spec": {"containers": [main]}, "status": status});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn usage(name: &str, used: Value) -> PodUsage {
        let containers = json!([{"name": "main", "usage": used}]);
        let object = json!({"metadata": {"name": name}, "timestamp": "2026-01-01T01:00:00Z", "window": "15s", "containers": containers});
        PodUsage::read(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn replicas(current: i32, goal: Goal, pods: &[Arc<Pod>], used: &[(&str, &str)]) -> Result<i32, String> {
        let usage: Vec<_> = used.iter().map(|(name, cpu)| usage(name, json!({"cpu": cpu}))).collect();
        propose(current, CPU, goal, pods, &usage, now()).map(|proposal| proposal.replicas)
    }

    #[test]
    fn follows_what_is_used() {
        let pods: Vec<_> = ["a", "b", "c"].map(|name| pod(name, "Running", "True")).into();
        let half = Goal::Utilization(50);
        for (used, goal, wanted) in [
            ([("a", "100m"), ("b", "100m"), ("c", "100m")], half, 3),
            ([("a", "105m"), ("b", "105m"), ("c", "105m")], half, 3),
            ([("a", "200m"), ("b", "200m"), ("c", "200m")], half, 6),
            ([("a", "10m"), ("b", "10m"), ("c", "10m")], half, 1),
            ([("a", "0"), ("b", "0"), ("c", "0")], half, 0),
            ([("a", "300m"), ("b", "200m"), ("c", "100m")], Goal::Average(100), 6),
        ] {
            assert_eq!(replicas(3, goal, &pods, &used), Ok(wanted), "{used:?}");
        }
    }

    #[test]
    fn pods_that_say_nothing_do_not_exaggerate() {
        let half = Goal::Utilization(50);
        let three = |last: Arc<Pod>| vec![pod("a", "Running", "True"), pod("b", "Running", "True"), last];
        // On the way up, a pod that is not ready and one that is missing use nothing.
        let used = [("a", "200m"), ("b", "200m")];
        assert_eq!(replicas(3, half, &three(pod("c", "Pending", "False")), &used), Ok(4));
        assert_eq!(replicas(3, half, &three(pod("c", "Running", "True")), &used), Ok(4));
        // On the way down, a missing one uses all that it asked for, and a pod that is not ready does not count.
        let used = [("a", "20m"), ("b", "20m")];
        assert_eq!(replicas(3, half, &three(pod("c", "Running", "True")), &used), Ok(3));
        assert_eq!(replicas(3, half, &three(pod("c", "Pending", "False")), &used), Ok(1));
    }

    #[test]
    fn errors_are_kubernetes_own() {
        let one = [pod("a", "Running", "True")];
        let half = Goal::Utilization(50);
        assert_eq!(
            replicas(1, half, &one, &[]).unwrap_err(),
            "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
        );
        assert_eq!(
            replicas(1, half, &[], &[("a", "1")]).unwrap_err(),
            "no pods returned by selector while calculating replica count"
        );
        assert_eq!(
            replicas(1, half, &[pod("a", "Pending", "False")], &[("a", "1")]).unwrap_err(),
            "did not receive metrics for targeted pods (pods might be unready)"
        );
        let mut bare = (*one[0]).clone();
        bare.spec.as_mut().unwrap().containers[0].resources = None;
        assert_eq!(
            replicas(1, half, &[Arc::new(bare)], &[("a", "1")]).unwrap_err(),
            "missing request for cpu in container main of Pod a"
        );
    }

    #[test]
    fn memory_counts_in_bytes_and_one_container_alone() {
        let pods = [pod("a", "Running", "True")];
        let used = [usage("a", json!({"cpu": "1", "memory": "150Mi"}))];
        let memory = Metric { resource: "memory", container: Some("main") };
        let proposal = propose(1, memory, Goal::Utilization(50), &pods, &used, now()).unwrap();
        assert_eq!((proposal.replicas, proposal.utilization, proposal.average), (3, Some(150), (150 << 20) * 1000));
    }
}
