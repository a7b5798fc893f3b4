//! Volume claims and volumes.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::world::{World, from, gone_from, until_in};

fn claim(class: Option<&str>) -> Value {
    let mut claim = json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    if let Some(class) = class {
        claim["spec"]["storageClassName"] = json!(class);
    }
    claim
}

fn phase(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.status.as_ref()?.phase.as_deref()
}

fn pod() -> Value {
    json!({
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        },
    })
}

#[tokio::test]
async fn a_claim_gets_a_folder_with_its_first_pod_and_loses_it_with_the_claim() {
    let world = World::new().await;
    until_in(Api::<StorageClass>::all(world.client.clone()), "standard", |_| true).await;
    world.create::<PersistentVolumeClaim>(claim(None)).await;
    world.event("WaitForFirstConsumer", "waiting for first consumer to be created before binding").await;
    world.create::<Pod>(pod()).await;
    let bound = world.until::<PersistentVolumeClaim>("data", |claim| phase(claim) == Some("Bound")).await;
    let spec = bound.spec.unwrap();
    assert_eq!(spec.storage_class_name.as_deref(), Some("standard"));
    let name = spec.volume_name.unwrap();
    let folder = world.dir.path().join("volumes").join(&name);
    assert!(folder.is_dir());
    let volumes: Api<PersistentVolume> = Api::all(world.client.clone());
    let is_bound = |volume: &PersistentVolume| {
        volume.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"))
    };
    let volume = until_in(volumes.clone(), &name, is_bound).await;
    assert_eq!(volume.spec.unwrap().host_path.unwrap().path, folder.to_string_lossy());
    world.until::<Pod>("p", |pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).await;

    std::fs::write(folder.join("file"), "x").unwrap();
    let claims = world.api::<PersistentVolumeClaim>();
    claims.delete("data", &DeleteParams::default()).await.unwrap();
    let held = world.until::<PersistentVolumeClaim>("data", |claim| claim.metadata.deletion_timestamp.is_some()).await;
    assert_eq!(held.metadata.finalizers, Some(vec!["kubernetes.io/pvc-protection".to_owned()]));
    world.api::<Pod>().delete("p", &DeleteParams::default()).await.unwrap();
    world.gone::<PersistentVolumeClaim>("data").await;
    gone_from(volumes, &name).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_static_volume_is_bound_and_released() {
    let world = World::new().await;
    let volumes: Api<PersistentVolume> = Api::all(world.client.clone());
    for (name, size) in [("large", "5Gi"), ("small", "2Gi"), ("tiny", "1Mi")] {
        let volume = json!({
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/somewhere"},
                "persistentVolumeReclaimPolicy": "Retain",
            },
        });
        volumes.create(&PostParams::default(), &from(volume)).await.unwrap();
    }
    world.create::<PersistentVolumeClaim>(claim(Some(""))).await;
    let bound = world.until::<PersistentVolumeClaim>("data", |claim| phase(claim) == Some("Bound")).await;
    assert_eq!(bound.spec.unwrap().volume_name.as_deref(), Some("small"));
    assert_eq!(bound.status.unwrap().capacity.unwrap()["storage"].0, "2Gi");
    world.api::<PersistentVolumeClaim>().delete("data", &DeleteParams::default()).await.unwrap();
    world.gone::<PersistentVolumeClaim>("data").await;
    let is = |phase: &'static str| {
        move |volume: &PersistentVolume| {
            volume.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some(phase))
        }
    };
    until_in(volumes.clone(), "small", is("Released")).await;
    until_in(volumes, "large", is("Available")).await;
}

#[tokio::test]
async fn a_pod_without_its_claim_waits_for_it() {
    let world = World::new().await;
    world.create::<Pod>(pod()).await;
    world.event("FailedScheduling", "persistentvolumeclaim \"data\" not found").await;
    world.create::<PersistentVolumeClaim>(claim(None)).await;
    world.until::<Pod>("p", |pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).await;
}
