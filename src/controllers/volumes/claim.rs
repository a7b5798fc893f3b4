//! What a claim wants done: a volume found or made, the two bound to each other, its protection while in use. Pure.
//! Upstream rule: `pkg/controller/volume/persistentvolume/pv_controller.go`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus,
    PersistentVolumeSpec, Pod,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::json;
use tinderbox_api::quantity::Quantity;
use tinderbox_client::{Note, Plan, Step};

use super::class::{self, PROVISIONER};
use super::{BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, PROVISIONED_BY, VOLUME_PROTECTION};
use crate::meta::{add_finalizer, has_finalizer, is_deleting, remove_finalizer, selector};
use crate::scheduler::claims::{SELECTED_NODE, names};

const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";

/// What is known when a claim is planned.
pub(super) struct View<'a> {
    pub(super) claim: &'a PersistentVolumeClaim,
    pub(super) volumes: &'a [Arc<PersistentVolume>],
    pub(super) classes: &'a [Arc<StorageClass>],
    /// The pods of the claim's namespace.
    pub(super) pods: &'a [Arc<Pod>],
    /// Where folders are made.
    pub(super) root: &'a Path,
}

/// What a claim wants done, and the volume whose folder must be there first.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) plan: Plan,
    pub(super) folder: Option<String>,
}

/// Plans one claim.
pub(super) fn plan(view: &View<'_>) -> Wish {
    let claim = view.claim;
    let mut wish = Wish::default();
    if is_deleting(claim) {
        if has_finalizer(claim, CLAIM_PROTECTION) && !in_use(view) {
            remove_finalizer(claim, CLAIM_PROTECTION).into_iter().for_each(|step| wish.plan.push(step));
        }
        return wish;
    }
    if let Some(step) = add_finalizer(claim, CLAIM_PROTECTION) {
        wish.plan.push(step);
        return wish;
    }
    let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
    match named {
        Some(name) => follow(view, name, &mut wish.plan),
        None => search(view, &mut wish),
    }
    wish
}

/// As long as there is a pod with it that has a node, be it over: Kubernetes' pvc-protection looks at nothing else (podUsesPVC in
/// pkg/controller/volume/pvcprotection).
fn in_use(view: &View<'_>) -> bool {
    let name = view.claim.name_any();
    let placed = |pod: &&std::sync::Arc<Pod>| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    view.pods.iter().filter(placed).any(|pod| names(pod).contains(&name))
}

/// A claim that names its volume: both sides agree, or the claim has lost it, or it waits.
fn follow(view: &View<'_>, name: &str, plan: &mut Plan) {
    let claim = view.claim;
    let Some(volume) = view.volumes.iter().find(|volume| volume.name_any() == name) else {
        if claim.annotations().contains_key(BIND_COMPLETED) {
            set_phase(claim, "Lost", None, plan);
            if phase(claim) != "Lost" {
                plan.note(Note::warning(
                    claim,
                    "ClaimLost",
                    "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
                ));
            }
        } else {
            set_phase(claim, "Pending", None, plan);
        }
        return;
    };
    match reference_of(volume) {
        Some(reference) if refers(reference, claim) => bind(claim, volume, plan),
        None => bind(claim, volume, plan),
        Some(_) if claim.annotations().contains_key(BIND_COMPLETED) => {
            set_phase(claim, "Lost", None, plan);
            if phase(claim) != "Lost" {
                plan.note(Note::warning(
                    claim,
                    "ClaimMisbound",
                    "Two claims are bound to the same volume, this one is bound incorrectly",
                ));
            }
        }
        Some(_) => set_phase(claim, "Pending", None, plan),
    }
}

/// A claim without a volume: one that fits is taken, or one is made.
fn search(view: &View<'_>, wish: &mut Wish) {
    let claim = view.claim;
    let spec = claim.spec.as_ref();
    let class_name = spec.and_then(|spec| spec.storage_class_name.as_deref());
    if class_name.is_none()
        && let Some(default) = class::default(view.classes)
    {
        let body = json!({"spec": {"storageClassName": default.name_any()}});
        wish.plan.push(Step::merge(claim, body));
        return;
    }
    let reserved = view.volumes.iter().find(|volume| {
        reference_of(volume).is_some_and(|reference| refers(reference, claim)) && !is_deleting(&***volume)
    });
    let class = class_name.and_then(|name| view.classes.iter().find(|class| class.name_any() == name));
    let waits = class.is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
    let node = claim.annotations().get(SELECTED_NODE);
    if let Some(volume) = reserved {
        bind(claim, volume, &mut wish.plan);
        return;
    }
    if waits && node.is_none() {
        set_phase(claim, "Pending", None, &mut wish.plan);
        wish.plan.note(Note::normal(
            claim,
            "WaitForFirstConsumer",
            "waiting for first consumer to be created before binding",
        ));
        return;
    }
    if let Some(volume) = best(claim, view.volumes) {
        bind(claim, volume, &mut wish.plan);
        return;
    }
    set_phase(claim, "Pending", None, &mut wish.plan);
    match (class, class_name) {
        (Some(class), _) if class.provisioner == PROVISIONER => provision(view, class, wish),
        (Some(class), _) => {
            let text = format!(
                "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
                class.provisioner
            );
            wish.plan.note(Note::normal(claim, "ExternalProvisioning", text));
        }
        (None, Some(name)) if !name.is_empty() => {
            let text = format!("storageclass.storage.k8s.io \"{name}\" not found");
            wish.plan.note(Note::warning(claim, "ProvisioningFailed", text));
        }
        (None, _) => {
            let text = "no persistent volumes available for this claim and no storage class is set";
            wish.plan.note(Note::normal(claim, "FailedBinding", text));
        }
    }
}

fn provision(view: &View<'_>, class: &StorageClass, wish: &mut Wish) {
    let claim = view.claim;
    let name = format!("pvc-{}", claim.uid().unwrap_or_default());
    if claim.annotations().get(STORAGE_PROVISIONER).is_none_or(|have| have != PROVISIONER) {
        let body = json!({"metadata": {"annotations": {STORAGE_PROVISIONER: PROVISIONER}}});
        wish.plan.push(Step::merge(claim, body));
        wish.plan.then();
    }
    wish.plan.push(Step::create(&new_volume(view, class, &name)));
    wish.plan.note(Note::normal(claim, "ProvisioningSucceeded", format!("Successfully provisioned volume {name}")));
    wish.folder = Some(name);
}

fn new_volume(view: &View<'_>, class: &StorageClass, name: &str) -> PersistentVolume {
    let claim = view.claim;
    let spec = claim.spec.clone().unwrap_or_default();
    let storage = requested(claim).unwrap_or_else(|| Text("1Gi".to_owned()));
    PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some(BTreeMap::from([(PROVISIONED_BY.to_owned(), PROVISIONER.to_owned())])),
            finalizers: Some(vec![VOLUME_PROTECTION.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: Some(BTreeMap::from([("storage".to_owned(), storage)])),
            claim_ref: Some(reference_to(claim)),
            host_path: Some(HostPathVolumeSource {
                path: view.root.join(name).to_string_lossy().into_owned(),
                type_: Some("DirectoryOrCreate".to_owned()),
            }),
            mount_options: class.mount_options.clone(),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone().or(Some("Delete".to_owned())),
            storage_class_name: Some(class.name_any()),
            volume_mode: Some(spec.volume_mode.unwrap_or_else(|| "Filesystem".to_owned())),
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}

fn requested(claim: &PersistentVolumeClaim) -> Option<Text> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage").cloned()
}

fn storage(text: Option<&Text>) -> Quantity {
    text.and_then(|text| text.0.parse().ok()).unwrap_or_else(|| Quantity::units(0))
}

fn capacity(volume: &PersistentVolume) -> Quantity {
    storage(volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()?.get("storage")))
}

/// The smallest free volume that does.
fn best<'a>(claim: &PersistentVolumeClaim, volumes: &'a [Arc<PersistentVolume>]) -> Option<&'a PersistentVolume> {
    let spec = claim.spec.as_ref()?;
    let selector = match &spec.selector {
        Some(one) => Some(selector(one).ok()?),
        None => None,
    };
    let least = storage(requested(claim).as_ref());
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    let fits = |volume: &&Arc<PersistentVolume>| {
        let Some(offer) = volume.spec.as_ref() else {
            return false;
        };
        let modes = offer.access_modes.as_deref().unwrap_or_default();
        offer.claim_ref.is_none()
            && !is_deleting(&***volume)
            && matches!(
                volume.status.as_ref().and_then(|status| status.phase.as_deref()),
                None | Some("Pending" | "Available")
            )
            && offer.storage_class_name.clone().unwrap_or_default()
                == spec.storage_class_name.clone().unwrap_or_default()
            && mode(&offer.volume_mode) == mode(&spec.volume_mode)
            && spec.access_modes.iter().flatten().all(|mode| modes.contains(mode))
            && selector.as_ref().is_none_or(|selector| selector.matches_map(volume.metadata.labels.as_ref()))
            && capacity(volume) >= least
    };
    let smallest = volumes.iter().filter(fits).min_by_key(|volume| (capacity(volume), volume.name_any()));
    smallest.map(|volume| &**volume)
}

/// Binds a claim and a volume to each other, one write after the other: each leads to the next.
fn bind(claim: &PersistentVolumeClaim, volume: &PersistentVolume, plan: &mut Plan) {
    if reference_of(volume).is_none_or(|reference| reference.uid != claim.uid()) {
        let mut new = volume.clone();
        if let Some(spec) = new.spec.as_mut() {
            if spec.claim_ref.is_none() {
                new.metadata
                    .annotations
                    .get_or_insert_default()
                    .insert(BOUND_BY_CONTROLLER.to_owned(), "yes".to_owned());
            }
            spec.claim_ref = Some(reference_to(claim));
        }
        Step::update(volume, &new).into_iter().for_each(|step| plan.push(step));
        plan.then();
    }
    let mut new = claim.clone();
    if let Some(spec) = new.spec.as_mut()
        && spec.volume_name.as_deref().is_none_or(str::is_empty)
    {
        spec.volume_name = Some(volume.name_any());
        new.annotations_mut().insert(BOUND_BY_CONTROLLER.to_owned(), "yes".to_owned());
    }
    new.annotations_mut().insert(BIND_COMPLETED.to_owned(), "yes".to_owned());
    match Step::update(claim, &new) {
        Some(step) => plan.push(step),
        None => set_phase(claim, "Bound", Some(volume), plan),
    }
}

fn phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn set_phase(claim: &PersistentVolumeClaim, phase: &str, volume: Option<&PersistentVolume>, plan: &mut Plan) {
    let spec = volume.and_then(|volume| volume.spec.as_ref());
    let status = PersistentVolumeClaimStatus {
        phase: Some(phase.to_owned()),
        access_modes: spec.and_then(|spec| spec.access_modes.clone()),
        capacity: spec.and_then(|spec| spec.capacity.clone()),
        ..claim.status.clone().unwrap_or_default()
    };
    Step::status(claim, claim.status.as_ref(), &status).into_iter().for_each(|step| plan.push(step));
}

/// The claim that a volume is meant for.
pub(super) fn reference_of(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

/// Whether a volume's reference means this claim: by name alone as long as it has no uid.
pub(super) fn refers(reference: &ObjectReference, claim: &PersistentVolumeClaim) -> bool {
    reference.namespace == claim.metadata.namespace
        && reference.name == claim.metadata.name
        && reference.uid.as_ref().is_none_or(|uid| uid.is_empty() || Some(uid) == claim.meta().uid.as_ref())
}

fn reference_to(claim: &PersistentVolumeClaim) -> ObjectReference {
    tinderbox_client::events::reference(claim)
}
