//! The count of a Job's pods. An outcome is first written down by uid, then the pod is let go of, and only then does it become
//! a number: killed at any point, no pod is counted twice or forgotten. Pure.
//! Upstream rule: `trackJobStatusAndRemoveFinalizers` in `pkg/controller/job/job_controller.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::policy::{Verdict, judge};
use super::{TRACKING, indexes, pod};
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
        if pod::is_indexed(spec) {
            tally.done = Some(indexes::parse(status.completed_indexes.as_deref().unwrap_or_default()));
        }
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
        for (uid, pod) in &tracked {
            tally.take(spec, uid, pod);
        }
        tally.active = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        tally.terminating = pods.iter().filter(|pod| is_deleting(&***pod) && !is_over(pod)).count();
        if let Some(done) = &tally.done {
            tally.succeeded = number(done.len());
        }
        tally
    }

    fn take(&mut self, spec: &JobSpec, uid: &str, pod: &Arc<Pod>) {
        match phase(pod) {
            "Succeeded" => {
                match (self.done.as_mut(), pod::index(pod)) {
                    (Some(done), Some(index)) => {
                        if index < spec.completions.unwrap_or_default() {
                            done.insert(index);
                        }
                    }
                    _ => {
                        self.uncounted_succeeded.insert(uid.to_owned());
                    }
                }
                self.release.push(pod.clone());
            }
            "Failed" => {
                match judge(spec, pod) {
                    Verdict::Ignore => (),
                    verdict => {
                        if let Verdict::FailJob(why) = verdict {
                            self.verdict.get_or_insert(why);
                        }
                        self.uncounted_failed.insert(uid.to_owned());
                    }
                }
                self.release.push(pod.clone());
            }
            _ if is_deleting(&**pod) && !replaces_only_failed(spec) => {
                self.uncounted_failed.insert(uid.to_owned());
                self.release.push(pod.clone());
            }
            _ => (),
        }
    }

    /// Successes, counted or only written down.
    pub(super) fn successes(&self) -> i32 {
        self.succeeded.saturating_add(number(self.uncounted_succeeded.len()))
    }

    /// Failures, counted or only written down.
    pub(super) fn failures(&self) -> i32 {
        self.failed.saturating_add(number(self.uncounted_failed.len()))
    }

    /// Nothing runs, and every outcome is a number.
    pub(super) fn is_settled(&self) -> bool {
        self.active.is_empty()
            && self.terminating == 0
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
    }
}

/// Whether a pod on its way out is replaced only once it has ended.
pub(super) fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref().map_or(spec.pod_failure_policy.is_some(), |policy| policy == "Failed")
}

/// A count as the API carries it.
pub(super) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
