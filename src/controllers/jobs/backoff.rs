//! How long a Job waits before it makes a pod again after failures: 10 s, doubled for each failure since the last success, at
//! most 10 minutes. Read from the pods themselves, so that a restart forgets nothing. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tinderbox_client::clock::after;

use crate::pods::{condition, container_statuses, phase};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// When the next pod may be made, if that is later than any time.
pub(super) fn next_start(pods: &[Arc<Pod>], now: Timestamp) -> Option<Timestamp> {
    let finished = |wanted: &str| {
        let pods = pods.iter().filter(move |pod| phase(pod) == wanted);
        pods.map(|pod| finish_time(pod).unwrap_or(now)).collect::<Vec<_>>()
    };
    let last_success = finished("Succeeded").into_iter().max();
    let mut failures = finished("Failed");
    failures.retain(|at| last_success.is_none_or(|success| *at > success));
    Some(pause(*failures.iter().max()?, failures.len()))
}

/// When a pod may follow after so many failures, the last of which was at `last`.
pub(super) fn pause(last: Timestamp, failures: usize) -> Timestamp {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(6);
    after(last, (FIRST * (1 << doublings)).min(LONGEST))
}

/// When a pod ended, as far as it can be told.
pub(super) fn finish_time(pod: &Pod) -> Option<Timestamp> {
    let ended = container_statuses(pod).filter_map(|status| status.state.as_ref()?.terminated.as_ref());
    let last = ended.filter_map(|ended| ended.finished_at.as_ref()).map(|time| time.0).max();
    let fallback = || pod.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let ready = || condition(pod, "Ready")?.last_transition_time.as_ref().map(|time| time.0);
    last.or_else(fallback).or_else(ready)
}
