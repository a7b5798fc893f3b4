//! Deployments, ReplicaSets and ReplicationControllers.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::world::{World, names};

fn deployment(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "one"}]},
            },
        },
    })
}

/// As `kubectl rollout status` judges it.
fn is_rolled_out(deployment: &Deployment, replicas: i32) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    status.observed_generation == deployment.metadata.generation
        && status.updated_replicas.unwrap_or_default() == replicas
        && status.replicas.unwrap_or_default() == replicas
        && status.available_replicas.unwrap_or_default() == replicas
}

fn condition(deployment: &Deployment, type_: &str) -> Option<(String, String)> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((condition.status.clone(), condition.reason.clone()?))
}

fn pair(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.to_owned(), reason.to_owned()))
}

#[tokio::test]
async fn a_deployment_comes_up_rolls_and_scales() {
    let world = World::new().await;
    world.create::<Deployment>(deployment(3)).await;
    let up = world
        .until::<Deployment>("web", |one| {
            is_rolled_out(one, 3) && condition(one, "Progressing") == pair("True", "NewReplicaSetAvailable")
        })
        .await;
    assert_eq!(condition(&up, "Available"), pair("True", "MinimumReplicasAvailable"));
    assert_eq!(up.annotations()["deployment.kubernetes.io/revision"], "1");
    let first = world.until_all::<ReplicaSet>(|sets| sets.len() == 1).await;
    assert_eq!(world.until_all::<Pod>(|pods| pods.len() == 3).await.len(), 3);

    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    world.patch::<Deployment>("web", change).await;
    let rolled = world
        .until::<Deployment>("web", |one| {
            is_rolled_out(one, 3) && one.annotations()["deployment.kubernetes.io/revision"] == "2"
        })
        .await;
    assert_eq!(condition(&rolled, "Available"), pair("True", "MinimumReplicasAvailable"));
    let pods = world.until_all::<Pod>(|pods| pods.len() == 3).await;
    let images: BTreeSet<_> = pods.iter().filter_map(|pod| pod.spec.as_ref()?.containers[0].image.clone()).collect();
    assert_eq!(images, BTreeSet::from(["two".to_owned()]));
    let sets = world.until_all::<ReplicaSet>(|sets| sets.len() == 2).await;
    let old = sets.iter().find(|set| set.name_any() == first[0].name_any()).unwrap();
    assert_eq!(old.spec.as_ref().unwrap().replicas, Some(0));
    world.event("ScalingReplicaSet", &format!("Scaled up replica set {} from 0 to 3", first[0].name_any())).await;

    world.patch::<Deployment>("web", json!({"spec": {"replicas": 1}})).await;
    world.until::<Deployment>("web", |one| is_rolled_out(one, 1)).await;
    world.until_all::<Pod>(|pods| pods.len() == 1).await;
}

#[tokio::test]
async fn going_back_takes_the_old_replica_set_with_a_new_revision() {
    let world = World::new().await;
    world.create::<Deployment>(deployment(1)).await;
    world.until::<Deployment>("web", |one| is_rolled_out(one, 1)).await;
    for (image, revision) in [("two", "2"), ("one", "3")] {
        let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
        world.patch::<Deployment>("web", change).await;
        world
            .until::<Deployment>("web", |one| {
                is_rolled_out(one, 1) && one.annotations()["deployment.kubernetes.io/revision"] == revision
            })
            .await;
    }
    assert_eq!(world.until_all::<ReplicaSet>(|_| true).await.len(), 2);
}

#[tokio::test]
async fn recreation_never_runs_old_and_new_together() {
    let world = World::new().await;
    let mut wanted = deployment(2);
    wanted["spec"]["strategy"] = json!({"type": "Recreate"});
    world.create::<Deployment>(wanted).await;
    world.until::<Deployment>("web", |one| is_rolled_out(one, 2)).await;
    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    world.patch::<Deployment>("web", change).await;
    let images = |pods: &[Pod]| -> BTreeSet<String> {
        pods.iter().filter_map(|pod| pod.spec.as_ref()?.containers[0].image.clone()).collect()
    };
    world
        .until_all::<Pod>(|pods| {
            assert!(images(pods).len() < 2, "both at once");
            pods.len() == 2 && images(pods).contains("two")
        })
        .await;
}

#[tokio::test]
async fn a_roll_that_stands_still_is_told() {
    let world = World::with_manual_clock().await;
    let mut wanted = deployment(1);
    wanted["spec"]["progressDeadlineSeconds"] = json!(60);
    wanted["spec"]["template"]["metadata"]["annotations"] = json!({crate::node::UNREADY: ""});
    world.create::<Deployment>(wanted).await;
    world
        .until::<Deployment>("web", |one| {
            condition(one, "Progressing") == pair("True", "ReplicaSetUpdated")
                && one.status.as_ref().and_then(|status| status.unavailable_replicas) == Some(1)
        })
        .await;
    world.advance(std::time::Duration::from_secs(61));
    let stuck = world
        .until::<Deployment>("web", |one| condition(one, "Progressing") == pair("False", "ProgressDeadlineExceeded"))
        .await;
    assert_eq!(condition(&stuck, "Available"), pair("False", "MinimumReplicasUnavailable"));
}

#[tokio::test]
async fn a_replica_set_adopts_releases_and_replaces() {
    let world = World::new().await;
    let pod = json!({"metadata": {"name": "orphan", "labels": {"app": "web"}}, "spec": crate::world::pod_spec("1m")});
    world.create::<Pod>(pod).await;
    let set = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": crate::world::pod_spec("1m")},
        },
    });
    world.create::<ReplicaSet>(set).await;
    let ready = |wanted: i32| {
        move |set: &ReplicaSet| set.status.as_ref().is_some_and(|status| status.ready_replicas == Some(wanted))
    };
    world.until::<ReplicaSet>("web", ready(2)).await;
    let pods = world.until_all::<Pod>(|_| true).await;
    assert_eq!(pods.len(), 2, "{:?}", names(&pods));
    let orphan = world.until::<Pod>("orphan", |pod| !pod.owner_references().is_empty()).await;
    assert_eq!(orphan.owner_references()[0].controller, Some(true));

    world.patch::<Pod>("orphan", json!({"metadata": {"labels": {"app": "other"}}})).await;
    world.until::<Pod>("orphan", |pod| pod.owner_references().is_empty()).await;
    let pods = world.until_all::<Pod>(|pods| pods.len() == 3).await;
    let made = pods.iter().find(|pod| pod.name_any() != "orphan").unwrap().name_any();
    assert!(made.starts_with("web-"), "{made}");

    world.api::<Pod>().delete(&made, &DeleteParams::default()).await.unwrap();
    world.gone::<Pod>(&made).await;
    world.until::<ReplicaSet>("web", ready(2)).await;
    world.event("SuccessfulCreate", "Created pod: web-").await;
}

#[tokio::test]
async fn a_replication_controller_keeps_its_number_and_takes_orphans() {
    let world = World::new().await;
    let pod = json!({"metadata": {"name": "orphan", "labels": {"app": "old"}}, "spec": crate::world::pod_spec("1m")});
    world.create::<Pod>(pod).await;
    let controller = json!({
        "metadata": {"name": "old"},
        "spec": {
            "replicas": 2,
            "template": {"metadata": {"labels": {"app": "old"}}, "spec": crate::world::pod_spec("1m")},
        },
    });
    world.create::<ReplicationController>(controller).await;
    let ready = |wanted: i32| {
        move |one: &ReplicationController| {
            let status = one.status.clone().unwrap_or_default();
            status.ready_replicas == Some(wanted)
                && status.available_replicas == Some(wanted)
                && status.replicas == wanted
                && status.observed_generation == one.metadata.generation
        }
    };
    world.until::<ReplicationController>("old", ready(2)).await;
    let orphan = world.until::<Pod>("orphan", |pod| !pod.owner_references().is_empty()).await;
    let owner = &orphan.owner_references()[0];
    assert_eq!(
        (owner.api_version.as_str(), owner.kind.as_str(), owner.controller),
        ("v1", "ReplicationController", Some(true))
    );
    world.event("SuccessfulCreate", "Created pod: old-").await;

    let scale = kube::api::Patch::Merge(json!({"spec": {"replicas": 3}}));
    let scaled = world.api::<ReplicationController>().patch_scale("old", &Default::default(), &scale).await.unwrap();
    assert_eq!(scaled.status.unwrap().selector.as_deref(), Some("app=old"));
    world.until::<ReplicationController>("old", ready(3)).await;
    world.patch::<Pod>("orphan", json!({"metadata": {"labels": {"app": "free"}}})).await;
    world.until::<Pod>("orphan", |pod| pod.owner_references().is_empty()).await;
    world.until_all::<Pod>(|pods| pods.len() == 4).await;

    world.patch::<ReplicationController>("old", json!({"spec": {"replicas": 0}})).await;
    let none = |one: &ReplicationController| one.status.as_ref().is_some_and(|status| status.replicas == 0);
    world.until::<ReplicationController>("old", none).await;
    assert_eq!(names(&world.until_all::<Pod>(|pods| pods.len() == 1).await), ["orphan"]);
}

#[tokio::test]
async fn a_replication_controller_tells_that_a_quota_stops_it() {
    let world = World::new().await;
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}});
    world.create::<k8s_openapi::api::core::v1::ResourceQuota>(quota).await;
    let controller = json!({
        "metadata": {"name": "old"},
        "spec": {
            "replicas": 2,
            "template": {"metadata": {"labels": {"app": "old"}}, "spec": crate::world::pod_spec("1m")},
        },
    });
    world.create::<ReplicationController>(controller).await;
    let failure = |one: &ReplicationController| {
        let status = one.status.clone().unwrap_or_default();
        status.conditions.unwrap_or_default().into_iter().find(|condition| condition.type_ == "ReplicaFailure")
    };
    let stopped = world.until::<ReplicationController>("old", |one| failure(one).is_some()).await;
    let condition = failure(&stopped).unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_deref()), ("True", Some("FailedCreate")));
    assert!(
        condition.message.unwrap().contains("exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1")
    );
    world.patch::<ReplicationController>("old", json!({"spec": {"replicas": 1}})).await;
    world.until::<ReplicationController>("old", |one| failure(one).is_none()).await;
}
