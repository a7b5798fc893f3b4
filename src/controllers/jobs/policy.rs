//! `spec.podFailurePolicy`: what a failed pod means for its Job. Pure.
//! Upstream rule: `pkg/controller/job/pod_failure_policy.go`.

use k8s_openapi::api::batch::v1::{JobSpec, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::pods::{condition, container_statuses};

/// What a failed pod means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// One more failure.
    Count,
    /// Nothing: the pod is made again.
    Ignore,
    /// Its index has failed.
    FailIndex,
    /// The Job has failed; the text says why.
    FailJob(String),
}

/// Judges a failed pod by the first rule that fits.
pub(super) fn judge(spec: &JobSpec, pod: &Pod) -> Verdict {
    let rules = spec.pod_failure_policy.as_ref().map(|policy| policy.rules.as_slice());
    for (number, rule) in rules.unwrap_or_default().iter().enumerate() {
        let Some(why) = fits(rule, pod) else {
            continue;
        };
        return match rule.action.as_str() {
            "FailJob" => Verdict::FailJob(format!("{why} matching FailJob rule at index {number}")),
            "Ignore" => Verdict::Ignore,
            "FailIndex" if spec.backoff_limit_per_index.is_some() => Verdict::FailIndex,
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

fn fits(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let place = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
    if let Some(codes) = &rule.on_exit_codes {
        let of_interest = |name: &str| codes.container_name.as_deref().is_none_or(|wanted| wanted == name);
        return container_statuses(pod).filter(|status| of_interest(&status.name)).find_map(|status| {
            let code = status.state.as_ref()?.terminated.as_ref()?.exit_code;
            let listed = codes.values.contains(&code);
            let fits = code != 0 && listed == (codes.operator == "In");
            fits.then(|| format!("Container {} for pod {place} failed with exit code {code}", status.name))
        });
    }
    let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
    let holds = patterns
        .iter()
        .find(|pattern| condition(pod, &pattern.type_).is_some_and(|condition| condition.status == pattern.status));
    holds.map(|pattern| format!("Pod {place} has condition {}", pattern.type_))
}
