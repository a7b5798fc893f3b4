//! What an autoscaler does next, with Kubernetes' conditions and events. Pure, given what it remembers.
//! Upstream rule: `reconcileAutoscaler` in k8s.io/kubernetes `pkg/controller/podautoscaler/horizontal.go`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus, ResourceMetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_api::quantity::Quantity;
use tinderbox_client::Severity;

use super::behavior::{Bounds, History};
use super::replicas::{Goal, Metric, Proposal, propose};
use super::usage::PodUsage;

/// How many pods a target is to have, and which they are.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) replicas: i32,
    pub(super) selector: String,
}

/// What an autoscaler sees.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) target: Result<Target, String>,
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) usage: Result<Vec<PodUsage>, String>,
}

/// An event: severity, reason, message.
pub(super) type Event = (Severity, &'static str, String);

/// A change of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rescale {
    pub(super) from: i32,
    pub(super) to: i32,
    reason: String,
}

/// What to do.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) status: HorizontalPodAutoscalerStatus,
    pub(super) rescale: Option<Rescale>,
    pub(super) notes: Vec<Event>,
}

impl Decision {
    fn warn(&mut self, reason: &'static str, message: impl Into<String>) {
        self.notes.push((Severity::Warning, reason, message.into()));
    }
}

/// Decides.
pub(super) fn decide(
    autoscaler: &HorizontalPodAutoscaler,
    seen: &Seen,
    history: &mut History,
    now: Timestamp,
) -> Decision {
    let spec = autoscaler.spec.clone().unwrap_or_default();
    let mut decision =
        Decision { status: autoscaler.status.clone().unwrap_or_default(), rescale: None, notes: Vec::new() };
    decision.status.observed_generation = autoscaler.metadata.generation;
    let target = match &seen.target {
        Ok(target) => target,
        Err(error) => {
            decision.warn("FailedGetScale", error.clone());
            let text = format!("the HPA controller was unable to get the target's current scale: {error}");
            set(&mut decision.status, "AbleToScale", (false, "FailedGetScale", &text), now);
            return decision;
        }
    };
    let text = "the HPA controller was able to get the target's current scale";
    set(&mut decision.status, "AbleToScale", (true, "SucceededGetScale", text), now);
    let current = target.replicas;
    history.begin(current, now);
    decision.status.current_replicas = Some(current);
    decision.status.desired_replicas = current;
    let (least, most) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    let bounds = Bounds { current, least, most };
    let (wanted, reason) = if current == 0 && least != 0 {
        let text = "scaling is disabled since the replica count of the target is zero";
        set(&mut decision.status, "ScalingActive", (false, "ScalingDisabled", text), now);
        (current, String::new())
    } else if current > most {
        (most, "Current number of replicas above Spec.MaxReplicas".to_owned())
    } else if current < least {
        (least, "Current number of replicas below Spec.MinReplicas".to_owned())
    } else {
        let Some((proposed, name)) = by_metrics(&spec.metrics.unwrap_or_default(), target, seen, &mut decision, now)
        else {
            return decision;
        };
        let outcome = history.judge(proposed, bounds, spec.behavior.as_ref(), now);
        for (type_, word) in [("AbleToScale", outcome.able), ("ScalingLimited", outcome.limited)] {
            set(&mut decision.status, type_, word, now);
        }
        let reason =
            if proposed > current { format!("{name} above target") } else { "All metrics below target".to_owned() };
        (outcome.replicas, reason)
    };
    if wanted != current {
        decision.status.desired_replicas = wanted;
        decision.rescale = Some(Rescale { from: current, to: wanted, reason });
    }
    decision
}

/// What came of a change.
pub(super) fn conclude(
    autoscaler: &HorizontalPodAutoscaler,
    status: &mut HorizontalPodAutoscalerStatus,
    notes: &mut Vec<Event>,
    history: &mut History,
    rescale: &Rescale,
    done: Result<(), String>,
    now: Timestamp,
) {
    let Rescale { from, to, reason } = rescale;
    match done {
        Ok(()) => {
            let text = format!("the HPA controller was able to update the target scale to {to}");
            set(status, "AbleToScale", (true, "SucceededRescale", &text), now);
            notes.push((Severity::Normal, "SuccessfulRescale", format!("New size: {to}; reason: {reason}")));
            if autoscaler.spec.as_ref().is_some_and(|spec| spec.behavior.is_some()) {
                history.rescaled(*from, *to, now);
            }
            status.last_scale_time = Some(Time(now));
        }
        Err(error) => {
            let text = format!("the HPA controller was unable to update the target scale: {error}");
            set(status, "AbleToScale", (false, "FailedUpdateScale", &text), now);
            let text = format!("New size: {to}; reason: {reason}; error: {error}");
            notes.push((Severity::Warning, "FailedRescale", text));
            status.desired_replicas = *from;
        }
    }
}

/// The most that any metric asks for, and which; nothing, where that cannot be told.
fn by_metrics(
    metrics: &[MetricSpec],
    target: &Target,
    seen: &Seen,
    decision: &mut Decision,
    now: Timestamp,
) -> Option<(i32, String)> {
    if target.selector.is_empty() {
        decision.warn("SelectorRequired", "selector is required");
        let text = "the HPA target's scale is missing a selector";
        set(&mut decision.status, "ScalingActive", (false, "InvalidSelector", text), now);
        decision.warn("FailedComputeMetricsReplicas", "selector is required");
        return None;
    }
    let mut best: Option<(i32, String)> = None;
    let mut first_error: Option<(&'static str, String, String)> = None;
    let (mut statuses, mut invalid) = (Vec::new(), 0);
    for metric in metrics {
        match one(metric, target.replicas, seen, now) {
            Ok((proposal, name, status)) => {
                statuses.push(status);
                if best.as_ref().is_none_or(|(most, _)| proposal.replicas > *most) {
                    best = Some((proposal.replicas, name));
                }
            }
            Err((reason, context, error)) => {
                invalid += 1;
                decision.warn(reason, error.clone());
                first_error.get_or_insert((reason, context, error));
            }
        }
    }
    decision.status.current_metrics = (!statuses.is_empty()).then_some(statuses);
    if let Some((reason, context, error)) = first_error {
        let shrinks = best.as_ref().is_none_or(|(most, _)| *most < target.replicas);
        if invalid >= metrics.len() || shrinks {
            let text = format!("the HPA was unable to compute the replica count: {error}");
            set(&mut decision.status, "ScalingActive", (false, reason, &text), now);
            let text = format!(
                "invalid metrics ({invalid} invalid out of {}), first error is: {context}: {error}",
                metrics.len()
            );
            decision.warn("FailedComputeMetricsReplicas", text);
            return None;
        }
    }
    let (replicas, name) = best?;
    let text = format!("the HPA was able to successfully calculate a replica count from {name}");
    set(&mut decision.status, "ScalingActive", (true, "ValidMetricFound", &text), now);
    Some((replicas, name))
}

type Told = (Proposal, String, MetricStatus);

/// What one metric asks for; or the reason, the attempt and the error.
fn one(metric: &MetricSpec, current: i32, seen: &Seen, now: Timestamp) -> Result<Told, (&'static str, String, String)> {
    let ask = |resource: &str, container: Option<&str>, target: &MetricTarget| {
        let ask = || {
            let (goal, what) = goal(target)?;
            let usage = seen.usage.as_ref().map_err(|error| {
                format!("unable to get metrics for resource {resource}: unable to fetch metrics from resource metrics API: {error}")
            });
            let proposal = usage
                .and_then(|usage| propose(current, Metric { resource, container }, goal, &seen.pods, usage, now))
                .map_err(|error| format!("failed to get {resource} {what}: {error}"))?;
            let text = match resource {
                "memory" => Quantity::bytes(proposal.average / 1000).to_string(),
                _ => Quantity::millis(proposal.average).to_string(),
            };
            let value = MetricValueStatus {
                average_utilization: proposal.utilization,
                average_value: Some(Text(text)),
                value: None,
            };
            let name = match (goal, container) {
                (Goal::Average(_), _) => format!("{resource} resource"),
                (_, None) => format!("{resource} resource utilization (percentage of request)"),
                (_, Some(_)) => format!("{resource} container resource utilization (percentage of request)"),
            };
            Ok::<_, String>((proposal, name, value))
        };
        ask()
    };
    let type_ = metric.type_.clone();
    match (&metric.resource, &metric.container_resource) {
        (Some(source), _) if type_ == "Resource" => {
            let told = ask(&source.name, None, &source.target);
            let failed = |error| {
                ("FailedGetResourceMetric", format!("failed to get {} resource metric value", source.name), error)
            };
            told.map_err(failed).map(|(proposal, name, current)| {
                let resource = Some(ResourceMetricStatus { current, name: source.name.clone() });
                (proposal, name, MetricStatus { resource, type_, ..MetricStatus::default() })
            })
        }
        (_, Some(source)) if type_ == "ContainerResource" => {
            let told = ask(&source.name, Some(&source.container), &source.target);
            let failed = |error| {
                let attempt = format!("failed to get {} container metric value", source.container);
                ("FailedGetContainerResourceMetric", attempt, error)
            };
            told.map_err(failed).map(|(proposal, name, current)| {
                let (container, resource) = (source.container.clone(), source.name.clone());
                let container_resource = Some(ContainerResourceMetricStatus { container, current, name: resource });
                (proposal, name, MetricStatus { container_resource, type_, ..MetricStatus::default() })
            })
        }
        _ => {
            let (reason, api, word) = match type_.as_str() {
                "Object" => ("FailedGetObjectMetric", "custom", "object"),
                "Pods" => ("FailedGetPodsMetric", "custom", "pods"),
                "External" => ("FailedGetExternalMetric", "external", "external"),
                _ => ("InvalidMetricSourceType", "custom", "unknown"),
            };
            let error = format!("unable to get {word} metric: no {api} metrics API ({api}.metrics.k8s.io) registered");
            Err((reason, format!("failed to get {word} metric value"), error))
        }
    }
}

fn goal(target: &MetricTarget) -> Result<(Goal, &'static str), String> {
    let average = target.average_value.as_ref().and_then(|text| text.0.parse::<Quantity>().ok());
    match (average, target.average_utilization) {
        (Some(amount), _) => Ok((Goal::Average(amount.milli_value()), "usage")),
        (None, Some(percent)) => Ok((Goal::Utilization(percent), "utilization")),
        (None, None) => {
            let none = "neither an average utilization target nor an average value (usage) target was set";
            Err(format!("invalid resource metric source: {none}"))
        }
    }
}

fn set(
    status: &mut HorizontalPodAutoscalerStatus,
    type_: &str,
    (holds, reason, message): (bool, &str, &str),
    now: Timestamp,
) {
    let word = if holds { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let new = HorizontalPodAutoscalerCondition {
        type_: type_.to_owned(),
        status: word.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(now)),
    };
    match conditions.iter_mut().find(|one| one.type_ == type_) {
        Some(known) => {
            let since = known.last_transition_time.clone().filter(|_| known.status == word);
            *known = HorizontalPodAutoscalerCondition {
                last_transition_time: since.or(new.last_transition_time.clone()),
                ..new
            };
        }
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn now() -> Timestamp {
        "2026-01-01T01:00:00Z".parse().unwrap()
    }

    fn autoscaler(spec: Value) -> HorizontalPodAutoscaler {
        let mut whole = json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]});
        whole.as_object_mut().unwrap().extend(spec.as_object().cloned().unwrap());
        serde_json::from_value(json!({"metadata": {"name": "web", "generation": 3}, "spec": whole})).unwrap()
    }

    fn seen(replicas: i32, used: &str) -> Seen {
        let main = json!({"name": "main", "resources": {"requests": {"cpu": "100m"}}});
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"});
        let status = json!({"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "conditions": [ready]});
        let pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [main]}, "status": status});
        let usage = json!({"metadata": {"name": "a"}, "timestamp": "2026-01-01T01:00:00Z", "window": "15s",
            "containers": [{"name": "main", "usage": {"cpu": used}}]});
        Seen {
            target: Ok(Target { replicas, selector: "app=web".to_owned() }),
            pods: vec![Arc::new(serde_json::from_value(pod).unwrap())],
            usage: Ok(PodUsage::read(&serde_json::from_value(usage).unwrap()).into_iter().collect()),
        }
    }

    /// Conditions as `type status reason`.
    fn conditions(status: &HorizontalPodAutoscalerStatus) -> Vec<String> {
        let conditions = status.conditions.iter().flatten();
        conditions
            .map(|one| format!("{} {} {}", one.type_, one.status, one.reason.as_deref().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn pods_that_work_hard_get_company() {
        let (autoscaler, mut history) = (autoscaler(json!({})), History::default());
        let mut decision = decide(&autoscaler, &seen(1, "150m"), &mut history, now());
        let rescale = decision.rescale.clone().unwrap();
        assert_eq!((rescale.from, rescale.to), (1, 3));
        conclude(&autoscaler, &mut decision.status, &mut decision.notes, &mut history, &rescale, Ok(()), now());
        assert_eq!(
            conditions(&decision.status),
            [
                "AbleToScale True SucceededRescale",
                "ScalingActive True ValidMetricFound",
                "ScalingLimited False DesiredWithinRange"
            ]
        );
        let (_, reason, text) = decision.notes.pop().unwrap();
        let why = "New size: 3; reason: cpu resource utilization (percentage of request) above target";
        assert_eq!((reason, text.as_str()), ("SuccessfulRescale", why));
        let status = serde_json::to_value(&decision.status).unwrap();
        assert_eq!(
            json!([status["currentReplicas"], status["desiredReplicas"], status["observedGeneration"]]),
            json!([1, 3, 3])
        );
        let wanted = json!({"averageUtilization": 150, "averageValue": "150m"});
        assert_eq!(status["currentMetrics"][0]["resource"]["current"], wanted);
    }

    #[test]
    fn what_cannot_be_told_changes_nothing() {
        let autoscaler = autoscaler(json!({}));
        let mut nothing = seen(2, "1");
        nothing.usage = Err("the server could not find the requested resource".to_owned());
        let decision = decide(&autoscaler, &nothing, &mut History::default(), now());
        assert_eq!(decision.rescale, None);
        assert_eq!(conditions(&decision.status)[1], "ScalingActive False FailedGetResourceMetric");
        let said: Vec<_> = decision.notes.iter().map(|(_, reason, text)| format!("{reason}: {text}")).collect();
        let error = "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource";
        let whole = format!(
            "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {error}"
        );
        assert_eq!(
            said,
            [format!("FailedGetResourceMetric: {error}"), format!("FailedComputeMetricsReplicas: {whole}")]
        );
        nothing.target = Err("not found".to_owned());
        let decision = decide(&autoscaler, &nothing, &mut History::default(), now());
        assert_eq!(conditions(&decision.status), ["AbleToScale False FailedGetScale"]);
    }

    #[test]
    fn bounds_come_before_metrics() {
        for (spec, replicas, to, reason) in [
            (json!({}), 7, Some(5), "Current number of replicas above Spec.MaxReplicas"),
            (json!({"minReplicas": 2}), 1, Some(2), "Current number of replicas below Spec.MinReplicas"),
            (json!({}), 0, None, ""),
        ] {
            let decision = decide(&autoscaler(spec), &seen(replicas, "1"), &mut History::default(), now());
            assert_eq!(decision.rescale.as_ref().map(|one| one.to), to);
            assert_eq!(decision.rescale.map(|one| one.reason).unwrap_or_default(), reason);
        }
    }

    #[test]
    fn a_container_can_be_looked_at_alone() {
        let target = json!({"type": "AverageValue", "averageValue": "50m"});
        let metric = json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "main", "target": target}});
        let autoscaler = autoscaler(json!({"metrics": [metric]}));
        let decision = decide(&autoscaler, &seen(1, "100m"), &mut History::default(), now());
        assert_eq!(decision.rescale.map(|one| (one.to, one.reason)), Some((2, "cpu resource above target".to_owned())));
    }
}
