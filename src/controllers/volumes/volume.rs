//! What a volume wants done: its phase, and what becomes of it once its claim is gone. Pure.
//! Upstream rule: `syncVolume` in `pkg/controller/volume/persistentvolume/pv_controller.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tinderbox_client::{Plan, Step};

use super::claim::{reference_of, refers};
use super::class::PROVISIONER;
use super::{PROVISIONED_BY, VOLUME_PROTECTION};
use crate::meta::{add_finalizer, has_finalizer, is_deleting, remove_finalizer};

/// What a volume wants done, and whether its folder must be gone first.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) plan: Plan,
    pub(super) remove_folder: bool,
}

/// Plans one volume, given the claim that it refers to.
pub(super) fn plan(volume: &PersistentVolume, claim: Option<&PersistentVolumeClaim>, now: Timestamp) -> Wish {
    let mut wish = Wish::default();
    let reference = reference_of(volume);
    let owner = reference.and_then(|reference| claim.filter(|claim| refers(reference, claim)));
    if is_deleting(volume) {
        // A volume whose claim is gone goes through its reclaim policy first.
        if owner.is_none() && has_finalizer(volume, VOLUME_PROTECTION) {
            wish.remove_folder = is_ours(volume) && policy(volume) == "Delete" && reference.is_some();
            remove_finalizer(volume, VOLUME_PROTECTION).into_iter().for_each(|step| wish.plan.push(step));
        }
        return wish;
    }
    if let Some(step) = add_finalizer(volume, VOLUME_PROTECTION) {
        wish.plan.push(step);
        return wish;
    }
    let has_uid = reference.and_then(|reference| reference.uid.as_ref()).is_some_and(|uid| !uid.is_empty());
    match (reference, owner) {
        (None, _) => set_phase(volume, "Available", now, &mut wish.plan),
        (Some(_), None) if !has_uid => set_phase(volume, "Available", now, &mut wish.plan),
        (Some(_), None) => {
            if phase(volume) != "Released" {
                set_phase(volume, "Released", now, &mut wish.plan);
            } else if policy(volume) == "Delete" && is_ours(volume) {
                wish.plan.push(Step::delete(volume));
            }
        }
        (Some(_), Some(claim)) => {
            let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref());
            if named == volume.metadata.name.as_ref() {
                set_phase(volume, "Bound", now, &mut wish.plan);
            } else if phase(volume).is_empty() {
                set_phase(volume, "Available", now, &mut wish.plan);
            }
        }
    }
    wish
}

fn is_ours(volume: &PersistentVolume) -> bool {
    volume.annotations().get(PROVISIONED_BY).is_some_and(|by| by == PROVISIONER)
}

fn policy(volume: &PersistentVolume) -> &str {
    let spec = volume.spec.as_ref();
    spec.and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()).unwrap_or("Retain")
}

fn phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn set_phase(volume: &PersistentVolume, to: &str, now: Timestamp, plan: &mut Plan) {
    if phase(volume) == to {
        return;
    }
    let status = PersistentVolumeStatus {
        phase: Some(to.to_owned()),
        last_phase_transition_time: Some(Time(now)),
        ..volume.status.clone().unwrap_or_default()
    };
    Step::status(volume, volume.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
}
