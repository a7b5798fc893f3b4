//! The count of a Job's pods. An outcome is first written down by uid, then the pod is let go of, and only then does it become
//! a number: killed at any point, no pod is counted twice or forgotten. Pure.
//! Upstream rule: `trackJobStatusAndRemoveFinalizers` in `pkg/controller/job/job_controller.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::conditions::holding;
use super::policy::{Verdict, judge};
use super::{TRACKING, index, indexes, pod};
use crate::meta::{has_finalizer, is_deleting};
use crate::pods::{is_active, is_over, is_ready, phase};

/// Where the pods of a Job stand.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Outcomes that are numbers already.
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    /// Outcomes written down by uid.
    pub(super) uncounted_succeeded: BTreeSet<String>,
    pub(super) uncounted_failed: BTreeSet<String>,
    /// Indexes that are done, where the Job is indexed.
    pub(super) done: Option<BTreeSet<i32>>,
    /// Indexes that have failed for good, where each has a limit of its own.
    pub(super) failed_indexes: Option<BTreeSet<i32>>,
    /// Failed pods by index that are counted once their index has a successor.
    pub(super) delayed: BTreeMap<i32, Arc<Pod>>,
    /// Pods to let go of once the above is written.
    pub(super) release: Vec<Arc<Pod>>,
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) terminating: usize,
    /// Why a failed pod fails the whole Job.
    pub(super) verdict: Option<String>,
}

impl Tally {
    pub(super) fn of(job: &Job, spec: &JobSpec, pods: &[Arc<Pod>]) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let mut tally = Self {
            succeeded: status.succeeded.unwrap_or_default(),
            failed: status.failed.unwrap_or_default(),
            ..Self::default()
        };
        let tracked: BTreeMap<String, &Arc<Pod>> = pods
            .iter()
            .filter(|pod| has_finalizer(&***pod, TRACKING))
            .filter_map(|pod| Some((pod.uid()?, pod)))
            .collect();
        let uncounted = status.uncounted_terminated_pods.unwrap_or_default();
        for uid in uncounted.succeeded.unwrap_or_default() {
            if tracked.contains_key(&uid) {
                tally.uncounted_succeeded.insert(uid);
            } else {
                tally.succeeded += 1;
            }
        }
        for uid in uncounted.failed.unwrap_or_default() {
            if tracked.contains_key(&uid) {
                tally.uncounted_failed.insert(uid);
            } else {
                tally.failed += 1;
            }
        }
        tally.active = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        tally.terminating = pods.iter().filter(|pod| is_deleting(&***pod) && !is_over(pod)).count();
        if pod::is_indexed(spec) {
            tally.settle_indexes(job, spec, &tracked);
        }
        for (uid, pod) in &tracked {
            tally.take(spec, uid, pod);
        }
        if let Some(done) = &tally.done {
            tally.succeeded = number(done.len());
        }
        tally
    }

    /// Finds out which indexes are done, which have failed, and which failed pods still carry the count of their index.
    fn settle_indexes(&mut self, job: &Job, spec: &JobSpec, tracked: &BTreeMap<String, &Arc<Pod>>) {
        let status = job.status.as_ref();
        let exists = |index: &i32| *index < spec.completions.unwrap_or_default();
        let of = |pod: &Pod| pod::index(pod).filter(exists);
        let listed = |text: Option<&String>| {
            let mut indexes = indexes::parse(text.map(String::as_str).unwrap_or_default());
            indexes.retain(exists);
            indexes
        };
        let mut done = listed(status.and_then(|status| status.completed_indexes.as_ref()));
        done.extend(tracked.values().filter(|pod| phase(pod) == "Succeeded").filter_map(|pod| of(pod)));
        let mut failed = listed(status.and_then(|status| status.failed_indexes.as_ref()));
        let lost = || tracked.values().copied().filter(|pod| has_failed(spec, pod));
        failed.extend(lost().filter(|pod| index::is_final(spec, pod)).filter_map(|pod| of(pod)));
        failed.retain(|index| !done.contains(index));
        let is_ending =
            is_deleting(job) || ["FailureTarget", "SuccessCriteriaMet"].iter().any(|one| holding(job, one).is_some());
        if spec.backoff_limit_per_index.is_some() {
            let uncounted = |pod: &&Arc<Pod>| pod.uid().is_none_or(|uid| !self.uncounted_failed.contains(&uid));
            let running: BTreeSet<i32> = self.active.iter().filter_map(|pod| of(pod)).collect();
            let settled = |at: i32| {
                is_ending || !exists(&at) || done.contains(&at) || failed.contains(&at) || running.contains(&at)
            };
            self.delayed = index::delayed(lost().filter(uncounted), settled);
            self.failed_indexes = Some(failed);
        }
        self.done = Some(done);
    }

    fn take(&mut self, spec: &JobSpec, uid: &str, pod: &Arc<Pod>) {
        if phase(pod) == "Succeeded" {
            if self.done.is_none() || pod::index(pod).is_none() {
                self.uncounted_succeeded.insert(uid.to_owned());
            }
            self.release.push(pod.clone());
            return;
        }
        if !has_failed(spec, pod) {
            return;
        }
        let verdict = if phase(pod) == "Failed" { judge(spec, pod) } else { Verdict::Count };
        if let Verdict::FailJob(why) = &verdict {
            self.verdict.get_or_insert_with(|| why.clone());
        }
        if self.delayed.values().any(|one| Arc::ptr_eq(one, pod)) {
            return;
        }
        if verdict != Verdict::Ignore {
            self.uncounted_failed.insert(uid.to_owned());
        }
        self.release.push(pod.clone());
    }

    /// Successes, counted or only written down.
    pub(super) fn successes(&self) -> i32 {
        self.succeeded.saturating_add(number(self.uncounted_succeeded.len()))
    }

    /// Failures, counted, only written down or to be written down.
    pub(super) fn failures(&self, spec: &JobSpec) -> i32 {
        let delayed = self.delayed.values().filter(|pod| judge(spec, pod) != Verdict::Ignore).count();
        self.failed.saturating_add(number(self.uncounted_failed.len() + delayed))
    }

    /// Nothing runs, and every outcome is a number.
    pub(super) fn is_settled(&self) -> bool {
        self.active.is_empty()
            && self.terminating == 0
            && self.delayed.is_empty()
            && self.uncounted_succeeded.is_empty()
            && self.uncounted_failed.is_empty()
    }

    /// Writes the numbers into a status.
    pub(super) fn write(&self, status: &mut JobStatus) {
        let some = |number: i32| Some(number).filter(|number| *number > 0);
        let list = |uids: &BTreeSet<String>| {
            let uids: Vec<String> = uids.iter().cloned().collect();
            Some(uids).filter(|uids| !uids.is_empty())
        };
        status.active = some(number(self.active.len()));
        status.ready = Some(number(self.active.iter().filter(|pod| is_ready(pod)).count()));
        status.terminating = Some(number(self.terminating));
        status.succeeded = some(self.succeeded);
        status.failed = some(self.failed);
        status.uncounted_terminated_pods = Some(UncountedTerminatedPods {
            succeeded: list(&self.uncounted_succeeded),
            failed: list(&self.uncounted_failed),
        });
        if let Some(done) = &self.done {
            status.completed_indexes = Some(indexes::print(done)).filter(|text| !text.is_empty());
        }
        if let Some(failed) = &self.failed_indexes {
            status.failed_indexes = Some(indexes::print(failed));
        }
    }
}

/// Whether a pod counts as failed. One on its way out counts at once, unless only ended pods are replaced; one that never
/// had a node never ends.
fn has_failed(spec: &JobSpec, pod: &Pod) -> bool {
    let homeless = pod.spec.as_ref().is_none_or(|spec| spec.node_name.as_deref().is_none_or(str::is_empty));
    let leaving = is_deleting(pod) && (!replaces_only_failed(spec) || homeless);
    phase(pod) == "Failed" || leaving && phase(pod) != "Succeeded"
}

/// Whether a pod on its way out is replaced only once it has ended.
pub(super) fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref().map_or(spec.pod_failure_policy.is_some(), |policy| policy == "Failed")
}

/// A count as the API carries it.
pub(super) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
