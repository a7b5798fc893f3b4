//! StatefulSets.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::node::UNREADY;
use crate::world::{World, from, names};

fn set(replicas: i32, with: Value) -> Value {
    let mut set = json!({
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [{"name": "c", "image": "one"}]},
            },
        },
    });
    for (key, value) in with.as_object().into_iter().flatten() {
        set["spec"][key] = value.clone();
    }
    set
}

fn is_rolled_out(set: &StatefulSet, replicas: i32) -> bool {
    let status = set.status.clone().unwrap_or_default();
    status.observed_generation == set.metadata.generation
        && status.replicas == replicas
        && status.ready_replicas.unwrap_or_default() == replicas
        && status.updated_replicas.unwrap_or_default() == replicas
        && status.current_revision == status.update_revision
}

fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}})
}

fn images(pods: &[Pod]) -> Vec<String> {
    let mut pods: Vec<&Pod> = pods.iter().collect();
    pods.sort_by_key(|pod| pod.name_any());
    pods.iter().filter_map(|pod| pod.spec.as_ref()?.containers[0].image.clone()).collect()
}

#[tokio::test]
async fn pods_come_in_order_with_their_names_and_go_from_the_last() {
    let world = World::new().await;
    world.create::<StatefulSet>(set(3, json!({}))).await;
    // Never a pod without the one before it.
    world
        .until_all::<Pod>(|pods| {
            let names = names(pods);
            assert!(
                ["db-0", "db-1", "db-2"].starts_with(&names.iter().map(String::as_str).collect::<Vec<_>>()),
                "{names:?}"
            );
            names.len() == 3
        })
        .await;
    let up = world.until::<StatefulSet>("db", |set| is_rolled_out(set, 3)).await;
    let status = up.status.unwrap();
    assert_eq!(
        (status.available_replicas, status.current_replicas, status.collision_count),
        (Some(3), Some(3), Some(0))
    );
    let last = world.until::<Pod>("db-2", |_| true).await;
    let spec = last.spec.as_ref().unwrap();
    assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("db-2"), Some("db")));
    assert_eq!(last.labels()["apps.kubernetes.io/pod-index"], "2");
    assert_eq!(last.labels()["controller-revision-hash"], status.update_revision.unwrap());
    world.event("SuccessfulCreate", "create Pod db-2 in StatefulSet db successful").await;

    world.patch::<StatefulSet>("db", json!({"spec": {"replicas": 1}})).await;
    world.until_all::<Pod>(|pods| names(pods) == ["db-0"]).await;
    world.event("SuccessfulDelete", "delete Pod db-1 in StatefulSet db successful").await;
}

#[tokio::test]
async fn a_pod_that_is_not_ready_holds_the_rest_up_unless_they_are_parallel() {
    let world = World::new().await;
    let mut ordered = set(2, json!({}));
    ordered["spec"]["template"]["metadata"]["annotations"] = json!({UNREADY: ""});
    world.create::<StatefulSet>(ordered.clone()).await;
    world.until::<StatefulSet>("db", |set| set.status.as_ref().is_some_and(|status| status.replicas == 1)).await;
    ordered["metadata"]["name"] = json!("all");
    ordered["spec"]["podManagementPolicy"] = json!("Parallel");
    for place in ["/spec/selector/matchLabels/app", "/spec/template/metadata/labels/app"] {
        *ordered.pointer_mut(place).unwrap() = json!("all");
    }
    world.create::<StatefulSet>(ordered).await;
    world.until::<StatefulSet>("all", |set| set.status.as_ref().is_some_and(|status| status.replicas == 2)).await;
    let pods = world.until_all::<Pod>(|_| true).await;
    assert_eq!(names(&pods), ["all-0", "all-1", "db-0"]);
}

#[tokio::test]
async fn a_roll_keeps_to_its_partition_and_goes_back_by_its_revision() {
    let world = World::new().await;
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    world.create::<StatefulSet>(set(3, json!({"updateStrategy": strategy}))).await;
    world.until::<StatefulSet>("db", |set| is_rolled_out(set, 3)).await;
    world.patch::<StatefulSet>("db", image("two")).await;
    let half = world
        .until::<StatefulSet>("db", |set| {
            let status = set.status.clone().unwrap_or_default();
            status.updated_replicas == Some(1) && status.ready_replicas == Some(3)
        })
        .await;
    let status = half.status.unwrap();
    assert_ne!(status.current_revision, status.update_revision);
    assert_eq!(status.current_replicas, Some(2));
    let pods = world.until_all::<Pod>(|pods| pods.len() == 3).await;
    assert_eq!(images(&pods), ["one", "one", "two"]);

    // A pod before the partition comes back as it was.
    world.api::<Pod>().delete("db-0", &DeleteParams::default()).await.unwrap();
    let former = pods.iter().find(|pod| pod.name_any() == "db-0").unwrap().uid();
    let pods = world.until_all::<Pod>(|pods| pods.len() == 3 && pods.iter().all(|pod| pod.uid() != former)).await;
    assert_eq!(images(&pods), ["one", "one", "two"]);

    world.patch::<StatefulSet>("db", json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})).await;
    world.until::<StatefulSet>("db", |set| is_rolled_out(set, 3)).await;
    assert_eq!(images(&world.until_all::<Pod>(|pods| pods.len() == 3).await), ["two", "two", "two"]);

    world.patch::<StatefulSet>("db", image("one")).await;
    let back = world.until_all::<ControllerRevision>(|all| all.iter().any(|one| one.revision == 3)).await;
    assert_eq!(back.iter().map(|one| one.revision).max(), Some(3));
    assert_eq!(back.len(), 2);
    world.until::<StatefulSet>("db", |set| is_rolled_out(set, 3)).await;
}

#[tokio::test]
async fn a_failed_pod_comes_back_under_its_name() {
    let world = World::new().await;
    world.create::<StatefulSet>(set(1, json!({}))).await;
    world.until::<StatefulSet>("db", |set| is_rolled_out(set, 1)).await;
    let former = world.until::<Pod>("db-0", |_| true).await;
    let evicted = json!({"status": {"phase": "Failed", "reason": "Evicted", "conditions": null}});
    let patch = kube::api::Patch::Merge(&evicted);
    world.api::<Pod>().patch_status("db-0", &Default::default(), &patch).await.unwrap();
    world.until_all::<Pod>(|pods| pods.len() == 1 && pods[0].uid() != former.uid()).await;
    world.until::<StatefulSet>("db", |set| is_rolled_out(set, 1)).await;
}

#[tokio::test]
async fn claims_outlive_their_pods_or_go_with_them() {
    let world = World::new().await;
    let class = json!({"metadata": {"name": "none"}, "provisioner": "kubernetes.io/no-provisioner"});
    let classes: Api<StorageClass> = Api::all(world.client.clone());
    classes.create(&PostParams::default(), &from(class)).await.unwrap();
    let claim = json!({"metadata": {"name": "data"}, "spec": {"storageClassName": "none",
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let policy = json!({"whenScaled": "Delete", "whenDeleted": "Retain"});
    let with = json!({"volumeClaimTemplates": [claim], "persistentVolumeClaimRetentionPolicy": policy,
        "podManagementPolicy": "Parallel"});
    let mut wanted = set(2, with);
    wanted["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "data", "mountPath": "/data"}]);
    world.create::<StatefulSet>(wanted).await;
    let claims = world.until_all::<PersistentVolumeClaim>(|claims| claims.len() == 2).await;
    assert_eq!(names(&claims), ["data-db-0", "data-db-1"]);
    assert_eq!(claims[0].labels()["app"], "db");
    let pod = world.until::<Pod>("db-1", |_| true).await;
    let volume = pod.spec.unwrap().volumes.unwrap().remove(0);
    assert_eq!(volume.persistent_volume_claim.unwrap().claim_name, "data-db-1");
    world.event("SuccessfulCreate", "create Claim data-db-1 Pod db-1 in StatefulSet db success").await;

    world.patch::<StatefulSet>("db", json!({"spec": {"replicas": 1}})).await;
    world.gone::<Pod>("db-1").await;
    world.gone::<PersistentVolumeClaim>("data-db-1").await;
    world.api::<StatefulSet>().delete("db", &DeleteParams::background()).await.unwrap();
    world.gone::<Pod>("db-0").await;
    world.until::<PersistentVolumeClaim>("data-db-0", |claim| claim.metadata.deletion_timestamp.is_none()).await;
}
