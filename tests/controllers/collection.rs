//! Garbage collection and the end of namespaces.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::world::{World, from, gone_from, pod_spec, until_in};

fn owned<K: Resource<DynamicType = ()>>(name: &str, owner: &K, block: bool) -> Value {
    json!({
        "metadata": {"name": name, "ownerReferences": [{
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "name": owner.name_any(), "uid": owner.uid(),
            "controller": true, "blockOwnerDeletion": block,
        }]},
    })
}

#[tokio::test]
async fn what_a_driver_owned_goes_with_it() {
    let world = World::new().await;
    let driver = world.create::<Pod>(json!({"metadata": {"name": "driver"}, "spec": pod_spec("1m")})).await;
    let mut executor = owned("executor", &driver, false);
    executor["spec"] = pod_spec("1m");
    world.create::<Pod>(executor).await;
    let mut service = owned("driver-svc", &driver, false);
    service["spec"] = json!({"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 7078}]});
    world.create::<Service>(service).await;
    world.create::<ConfigMap>(owned("conf", &driver, false)).await;
    world.create::<ConfigMap>(json!({"metadata": {"name": "other"}})).await;
    world.api::<Pod>().delete("driver", &DeleteParams::default()).await.unwrap();
    world.gone::<Pod>("executor").await;
    world.gone::<Service>("driver-svc").await;
    world.gone::<ConfigMap>("conf").await;
    world.api::<ConfigMap>().get("other").await.unwrap();
}

#[tokio::test]
async fn an_object_of_a_dead_owner_is_collected_at_birth() {
    let world = World::new().await;
    let mut ghost = from::<ConfigMap>(json!({"metadata": {"name": "ghost"}}));
    ghost.metadata.uid = Some("gone".to_owned());
    world.create::<ConfigMap>(owned("left", &ghost, false)).await;
    world.gone::<ConfigMap>("left").await;
}

#[tokio::test]
async fn an_owner_elsewhere_is_no_owner_and_is_told() {
    let world = World::new().await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.create(&PostParams::default(), &from(json!({"metadata": {"name": "far"}}))).await.unwrap();
    let far: Api<ConfigMap> = Api::namespaced(world.client.clone(), "far");
    let owner = far.create(&PostParams::default(), &from(json!({"metadata": {"name": "owner"}}))).await.unwrap();
    world.create::<ConfigMap>(owned("stray", &owner, false)).await;
    world.gone::<ConfigMap>("stray").await;
    far.get("owner").await.unwrap();
}

#[tokio::test]
async fn foreground_deletion_waits_for_what_blocks_it() {
    let world = World::new().await;
    let owner = world.create::<ConfigMap>(json!({"metadata": {"name": "owner"}})).await;
    let mut held = owned("held", &owner, true);
    held["metadata"]["finalizers"] = json!(["test/hold"]);
    world.create::<ConfigMap>(held).await;
    let maps = world.api::<ConfigMap>();
    maps.delete("owner", &DeleteParams::foreground()).await.unwrap();
    world.until::<ConfigMap>("held", |map| map.metadata.deletion_timestamp.is_some()).await;
    let waiting = maps.get("owner").await.unwrap();
    assert_eq!(waiting.finalizers(), ["foregroundDeletion"]);
    world.patch::<ConfigMap>("held", json!({"metadata": {"finalizers": null}})).await;
    world.gone::<ConfigMap>("held").await;
    world.gone::<ConfigMap>("owner").await;
}

#[tokio::test]
async fn a_deployment_goes_in_every_way() {
    let world = World::new().await;
    let deployment = || {
        json!({
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec("1m")},
            },
        })
    };
    for params in [DeleteParams::background(), DeleteParams::foreground()] {
        world.create::<Deployment>(deployment()).await;
        world.until_all::<Pod>(|pods| pods.len() == 1).await;
        world.api::<Deployment>().delete("web", &params).await.unwrap();
        world.until_all::<Pod>(|pods| pods.is_empty()).await;
        world.until_all::<ReplicaSet>(|sets| sets.is_empty()).await;
        world.gone::<Deployment>("web").await;
    }
    world.create::<Deployment>(deployment()).await;
    let sets = world.until_all::<ReplicaSet>(|sets| sets.len() == 1).await;
    world.api::<Deployment>().delete("web", &DeleteParams::orphan()).await.unwrap();
    world.gone::<Deployment>("web").await;
    let free = world.until::<ReplicaSet>(&sets[0].name_any(), |set| set.owner_references().is_empty()).await;
    assert!(free.metadata.deletion_timestamp.is_none());
}

#[tokio::test]
async fn a_namespace_ends_with_all_that_is_in_it() {
    let world = World::new().await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.create(&PostParams::default(), &from(json!({"metadata": {"name": "n"}}))).await.unwrap();
    until_in(Api::<ServiceAccount>::namespaced(world.client.clone(), "n"), "default", |_| true).await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "n");
    let ca = until_in(maps.clone(), "kube-root-ca.crt", |_| true).await;
    assert_eq!(ca.data.unwrap()["ca.crt"], "PEM");
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "n");
    let pod = json!({"metadata": {"name": "p"}, "spec": pod_spec("1m")});
    pods.create(&PostParams::default(), &from(pod)).await.unwrap();
    let held = json!({"metadata": {"name": "held", "finalizers": ["test/hold"]}});
    maps.create(&PostParams::default(), &from(held)).await.unwrap();

    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    let told = "Some content in the namespace has finalizers remaining: test/hold in 1 resource instances";
    until_in(namespaces.clone(), "n", |namespace: &Namespace| {
        let status = namespace.status.clone().unwrap_or_default();
        status.conditions.iter().flatten().any(|condition| condition.message.as_deref() == Some(told))
    })
    .await;
    gone_from(pods, "p").await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &free).await.unwrap();
    gone_from(namespaces, "n").await;
}

#[tokio::test]
async fn custom_resources_are_collected_as_soon_as_they_are_served() {
    let world = World::new().await;
    let definition = json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    definitions.create(&PostParams::default(), &from(definition)).await.unwrap();
    until_in(definitions, "widgets.example.com", |one: &CustomResourceDefinition| {
        let status = one.status.clone();
        let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
    })
    .await;
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.com", "v1", "Widget"), "widgets");
    let widgets: Api<DynamicObject> = Api::default_namespaced_with(world.client.clone(), &resource);
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    let widget = widgets.create(&PostParams::default(), &from(widget)).await.unwrap();
    let mut map = json!({"metadata": {"name": "of-widget"}});
    map["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": widget.uid()}]);
    world.create::<ConfigMap>(map).await;
    widgets.delete("w", &DeleteParams::default()).await.unwrap();
    world.gone::<ConfigMap>("of-widget").await;
}
