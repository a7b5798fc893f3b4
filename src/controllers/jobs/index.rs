//! Indexed Jobs whose indexes fail one by one (`backoffLimitPerIndex`), and when the indexes that are done are enough
//! (`successPolicy`). How often an index has failed is written on its pod, so that its successor carries it on. Pure.
//! Upstream rule: `pkg/controller/job/{backoff_utils,indexed_job_utils,success_policy}.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::policy::{Verdict, judge};
use super::{backoff, indexes, pod};

const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

fn number(pod: &Pod, annotation: &str) -> i32 {
    pod.annotations().get(annotation).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// How often an index had failed when this pod of it was made.
pub(super) fn all_failures(pod: &Pod) -> i32 {
    number(pod, FAILURES).saturating_add(number(pod, IGNORED))
}

/// Whether with this failed pod its index has failed for good.
pub(super) fn is_final(spec: &JobSpec, pod: &Pod) -> bool {
    match judge(spec, pod) {
        Verdict::FailIndex => true,
        Verdict::Ignore => false,
        _ => spec.backoff_limit_per_index.is_some_and(|limit| number(pod, FAILURES) >= limit),
    }
}

/// Writes on a new pod how often its index has failed, given the failed pod that it replaces.
pub(super) fn carry_on(spec: &JobSpec, replaced: Option<&Pod>, pod: &mut Pod) {
    if spec.backoff_limit_per_index.is_none() {
        return;
    }
    let (mut failures, mut ignored) = (0, 0);
    if let Some(replaced) = replaced {
        (failures, ignored) = (number(replaced, FAILURES), number(replaced, IGNORED));
        match judge(spec, replaced) {
            Verdict::Ignore => ignored += 1,
            _ => failures += 1,
        }
    }
    let annotations = pod.annotations_mut();
    annotations.insert(FAILURES.to_owned(), failures.to_string());
    if ignored > 0 {
        annotations.insert(IGNORED.to_owned(), ignored.to_string());
    }
}

/// Of several indexes those that may have a pod now; or, if none may, when the first one may.
pub(super) fn ready(
    wanted: Vec<i32>,
    replaced: &BTreeMap<i32, Arc<Pod>>,
    now: Timestamp,
) -> Result<Vec<i32>, Option<Timestamp>> {
    let at = |index: &i32| {
        let pod = replaced.get(index)?;
        let failures = usize::try_from(all_failures(pod)).unwrap_or_default() + 1;
        Some(backoff::pause(backoff::finish_time(pod).unwrap_or(now), failures)).filter(|at| *at > now)
    };
    let (ready, waiting): (Vec<i32>, Vec<i32>) = wanted.into_iter().partition(|index| at(index).is_none());
    if ready.is_empty() { Err(waiting.iter().filter_map(at).min()) } else { Ok(ready) }
}

/// The failed pods that must stay until their index has a successor or an end.
pub(super) fn delayed<'a>(
    failed: impl Iterator<Item = &'a Arc<Pod>>,
    settled: impl Fn(i32) -> bool,
) -> BTreeMap<i32, Arc<Pod>> {
    let mut delayed: BTreeMap<i32, Arc<Pod>> = BTreeMap::new();
    for one in failed {
        let Some(index) = pod::index(one).filter(|index| !settled(*index)) else {
            continue;
        };
        let have = delayed.entry(index).or_insert_with(|| one.clone());
        if all_failures(have) <= all_failures(one) {
            *have = one.clone();
        }
    }
    delayed
}

/// The rule of the success policy that the indexes which are done meet, in words.
pub(super) fn success(spec: &JobSpec, done: &BTreeSet<i32>) -> Option<String> {
    let met = spec.success_policy.as_ref()?.rules.iter().position(|rule| {
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        match (&rule.succeeded_indexes, rule.succeeded_count) {
            (Some(text), least) => {
                let mut required = indexes::parse(text);
                required.retain(|index| *index < spec.completions.unwrap_or_default());
                let have = count(required.intersection(done).count());
                have >= least.unwrap_or_else(|| count(required.len()))
            }
            (None, Some(least)) => count(done.len()) >= least,
            (None, None) => false,
        }
    });
    met.map(|number| format!("Matched rules at index {number}"))
}
