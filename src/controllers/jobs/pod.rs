//! The pods of a Job: their labels, finalizer and, where the Job is indexed, their index. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use kube::ResourceExt;

use super::{TRACKING, index};
use crate::meta::controller_reference;
use crate::pods::from_template;

const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// Whether each pod of the Job has an index of its own.
pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// The index of a pod.
pub(super) fn index(pod: &Pod) -> Option<i32> {
    pod.annotations().get(INDEX)?.parse().ok()
}

/// A new pod of a Job, in place of a failed one of its index.
pub(super) fn new(job: &Job, spec: &JobSpec, index: Option<i32>, replaced: Option<&Pod>) -> Pod {
    let name = job.name_any();
    let stem = index.map_or_else(|| name.clone(), |index| format!("{name}-{index}"));
    let mut pod = from_template(&spec.template, job.namespace(), &stem, controller_reference(job));
    pod.finalizers_mut().push(TRACKING.to_owned());
    if spec.manual_selector != Some(true) {
        pod.labels_mut().extend(labels(job));
    }
    if let Some(index) = index {
        pod.labels_mut().insert(INDEX.to_owned(), index.to_string());
        pod.annotations_mut().insert(INDEX.to_owned(), index.to_string());
        index::carry_on(spec, replaced, &mut pod);
        if let Some(spec) = pod.spec.as_mut() {
            spec.hostname.get_or_insert(stem);
            let init = spec.init_containers.iter_mut().flatten();
            for container in init.chain(&mut spec.containers) {
                let env = container.env.get_or_insert_default();
                if !env.iter().any(|variable| variable.name == INDEX_VARIABLE) {
                    env.push(index_variable());
                }
            }
        }
    }
    pod
}

fn labels(job: &Job) -> BTreeMap<String, String> {
    let (name, uid) = (job.name_any(), job.uid().unwrap_or_default());
    let pairs = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

fn index_variable() -> EnvVar {
    EnvVar {
        name: INDEX_VARIABLE.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: format!("metadata.annotations['{INDEX}']"),
            }),
            ..EnvVarSource::default()
        }),
    }
}
