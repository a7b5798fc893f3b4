//! Whole plans of claims and volumes.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn claim(change: Value) -> PersistentVolumeClaim {
    let mut claim = json!({
        "metadata": {"name": "data", "namespace": "n", "uid": "c", "finalizers": [CLAIM_PROTECTION], "annotations": {}},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard", "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending"},
    });
    set(&mut claim, change);
    serde_json::from_value(claim).unwrap_or_default()
}

fn volume(name: &str, change: Value) -> Arc<PersistentVolume> {
    let mut volume = json!({
        "metadata": {"name": name, "uid": name, "finalizers": [VOLUME_PROTECTION]},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "standard"},
        "status": {"phase": "Available"},
    });
    set(&mut volume, change);
    Arc::new(serde_json::from_value(volume).unwrap_or_default())
}

/// Sets `/a/b` paths; the last part may be new.
fn set(target: &mut Value, change: Value) {
    for (path, value) in change.as_object().into_iter().flatten() {
        if let Some((parent, key)) = path.rsplit_once('/')
            && let Some(parent) = target.pointer_mut(parent)
        {
            parent[key] = value.clone();
        }
    }
}

fn class() -> Arc<StorageClass> {
    Arc::new(class::standard())
}

fn pod(claim: &str, phase: &str) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"nodeName": "node-0", "containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]},
        "status": {"phase": phase},
    });
    Arc::new(serde_json::from_value(pod).unwrap_or_default())
}

fn wish(claim: &PersistentVolumeClaim, volumes: &[Arc<PersistentVolume>], pods: &[Arc<Pod>]) -> claim::Wish {
    let root = Path::new("/volumes");
    claim::plan(&claim::View { claim, volumes, classes: &[class()], pods, root })
}

fn words(plan: &tinderbox_client::Plan) -> Vec<String> {
    plan.steps().map(Step::describe).collect()
}

#[test]
fn a_claim_without_class_gets_the_default() {
    let wish = wish(&claim(json!({"/spec/storageClassName": null})), &[], &[]);
    let bodies: Vec<Value> = wish.plan.steps().map(|step| step.body().clone()).collect();
    assert_eq!(bodies, [json!({"spec": {"storageClassName": "standard"}})]);
}

#[test]
fn a_claim_waits_for_its_first_consumer_then_gets_a_folder() {
    let waiting = wish(&claim(json!({})), &[], &[]);
    assert!(words(&waiting.plan).is_empty());
    assert_eq!(waiting.plan.notes[0].reason, "WaitForFirstConsumer");
    let told = claim(json!({"/metadata/annotations": {"volume.kubernetes.io/selected-node": "node-0"}}));
    let made = wish(&told, &[], &[]);
    assert_eq!(made.folder.as_deref(), Some("pvc-c"));
    assert_eq!(words(&made.plan), ["patch persistentvolumeclaims n/data", "create persistentvolumes pvc-c"]);
    let volume = made.plan.steps().last().map(|step| step.body().clone()).unwrap_or_default();
    assert_eq!(volume["spec"]["hostPath"]["path"], "/volumes/pvc-c");
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    assert_eq!(volume["spec"]["claimRef"]["uid"], "c");
}

#[test]
fn binding_goes_volume_then_claim_then_status() {
    let told = json!({"/metadata/annotations": {"volume.kubernetes.io/selected-node": "node-0"}});
    let free = volume("pv", json!({}));
    let first = wish(&claim(told), std::slice::from_ref(&free), &[]);
    assert_eq!(words(&first.plan), ["patch persistentvolumes pv", "patch persistentvolumeclaims n/data"]);
    let reference = json!({"kind": "PersistentVolumeClaim", "namespace": "n", "name": "data", "uid": "c"});
    let taken = volume("pv", json!({"/spec/claimRef": reference}));
    let bound = claim(json!({"/spec/volumeName": "pv", "/metadata/annotations": {BIND_COMPLETED: "yes"}}));
    let last = wish(&bound, &[taken], &[]);
    let status = last.plan.steps().next().map(|step| step.body()["status"].clone()).unwrap_or_default();
    assert_eq!(status, json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}));
    let lost = wish(&bound, &[], &[]);
    assert_eq!(lost.plan.notes[0].reason, "ClaimLost");
}

#[test]
fn the_smallest_volume_that_does_is_taken() {
    let told = claim(json!({"/metadata/annotations": {"volume.kubernetes.io/selected-node": "node-0"}}));
    let volumes = [
        volume("large", json!({"/spec/capacity": {"storage": "9Gi"}})),
        volume("small", json!({"/spec/capacity": {"storage": "2Gi"}})),
        volume("tiny", json!({"/spec/capacity": {"storage": "1Mi"}})),
        volume("other", json!({"/spec/storageClassName": "fast"})),
        volume("shared", json!({"/spec/accessModes": ["ReadOnlyMany"]})),
        volume("taken", json!({"/spec/claimRef": {"namespace": "n", "name": "x", "uid": "x"}})),
    ];
    assert_eq!(words(&wish(&told, &volumes, &[]).plan)[0], "patch persistentvolumes small");
}

#[test]
fn a_claim_in_use_is_protected() {
    let leaving = claim(json!({"/metadata/deletionTimestamp": "1970-01-01T00:00:00Z"}));
    for phase in ["Running", "Succeeded"] {
        assert!(words(&wish(&leaving, &[], &[pod("data", phase)]).plan).is_empty());
    }
    for pods in [vec![pod("other", "Running")], Vec::new()] {
        assert_eq!(words(&wish(&leaving, &[], &pods).plan), ["patch persistentvolumeclaims n/data"]);
    }
}

#[test]
fn a_volume_goes_with_its_claim_when_it_was_made_for_it() {
    let reference = json!({"namespace": "n", "name": "data", "uid": "c"});
    let ours = json!({PROVISIONED_BY: class::PROVISIONER});
    let made = |phase: &str, policy: &str| {
        volume(
            "pv",
            json!({
                "/spec/claimRef": reference, "/metadata/annotations": ours, "/status/phase": phase,
                "/spec/persistentVolumeReclaimPolicy": policy,
            }),
        )
    };
    let plan = |volume: &PersistentVolume, claim: Option<&PersistentVolumeClaim>| {
        volume::plan(volume, claim, Timestamp::UNIX_EPOCH)
    };
    let bound = claim(json!({"/spec/volumeName": "pv"}));
    assert_eq!(words(&plan(&made("", "Delete"), Some(&bound)).plan), ["patch persistentvolumes/status pv"]);
    assert!(words(&plan(&made("Bound", "Delete"), Some(&bound)).plan).is_empty());
    assert_eq!(words(&plan(&made("Bound", "Delete"), None).plan), ["patch persistentvolumes/status pv"]);
    assert_eq!(words(&plan(&made("Released", "Delete"), None).plan), ["delete persistentvolumes pv"]);
    assert!(words(&plan(&made("Released", "Retain"), None).plan).is_empty());
    let mut leaving = (*made("Released", "Delete")).clone();
    leaving.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
    assert!(plan(&leaving, None).remove_folder);
    assert!(!plan(&leaving, Some(&bound)).remove_folder);
}
