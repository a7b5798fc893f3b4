//! What makes a pod of a StatefulSet this pod and no other: its ordinal, name, labels, host name and volumes. Pure.
//! Upstream rule: `pkg/controller/statefulset/stateful_set_utils.go`.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume};
use kube::ResourceExt;

use super::claims;
use crate::meta::controller_reference;
use crate::pods::from_template;

/// The label that carries the name of a pod's revision.
pub(super) const REVISION: &str = "controller-revision-hash";
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The first ordinal.
pub(super) fn start(spec: &StatefulSetSpec) -> i32 {
    spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or_default()
}

/// The ordinals that want a pod.
pub(super) fn range(spec: &StatefulSetSpec) -> std::ops::Range<i32> {
    let start = start(spec);
    start..start.saturating_add(spec.replicas.unwrap_or(1).max(0))
}

/// The ordinal of a pod, if its name is one that the set gives.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let name = pod.name_any();
    let (stem, number) = name.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (stem == set.name_any() && is_number).then(|| number.parse().ok())?
}

/// The name of a pod.
pub(super) fn name(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", set.name_any())
}

/// The revision that a pod was made of.
pub(super) fn revision(pod: &Pod) -> &str {
    pod.labels().get(REVISION).map(String::as_str).unwrap_or_default()
}

/// A new pod.
pub(super) fn pod(set: &StatefulSet, template: &PodTemplateSpec, ordinal: i32, revision: &str) -> Pod {
    let name = name(set, ordinal);
    let mut pod = from_template(template, set.namespace(), &name, controller_reference(set));
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(name.clone());
    pod.labels_mut().insert(REVISION.to_owned(), revision.to_owned());
    identify(&mut pod, &name, ordinal);
    if let Some(spec) = pod.spec.as_mut() {
        spec.hostname = Some(name);
        spec.subdomain = set.spec.as_ref().and_then(|spec| spec.service_name.clone());
    }
    mount(set, ordinal, &mut pod);
    pod
}

/// Gives a pod the labels of its ordinal.
pub(super) fn identify(pod: &mut Pod, name: &str, ordinal: i32) {
    pod.labels_mut().insert(POD_NAME.to_owned(), name.to_owned());
    pod.labels_mut().insert(POD_INDEX.to_owned(), ordinal.to_string());
}

/// Volumes of claims come first, in place of those of the template that have their names.
fn mount(set: &StatefulSet, ordinal: i32, pod: &mut Pod) {
    let templates = set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_deref()).unwrap_or_default();
    let Some(spec) = pod.spec.as_mut().filter(|_| !templates.is_empty()) else {
        return;
    };
    let mut volumes: Vec<Volume> = templates
        .iter()
        .map(|template| Volume {
            name: template.name_any(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claims::name(set, template, ordinal),
                read_only: None,
            }),
            ..Volume::default()
        })
        .collect();
    let rest = spec.volumes.take().unwrap_or_default();
    volumes.extend(rest.into_iter().filter(|volume| templates.iter().all(|one| one.name_any() != volume.name)));
    spec.volumes = Some(volumes);
}
