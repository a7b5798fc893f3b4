//! The operator on kube-rs, from the first pond to the last, over a change of leaders.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::watch_object;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_tests::hooks::{Hooks, patched};
use tokio::time::timeout;

use super::History;
use super::ponds::{DIARY, FINALIZER, LEASE, MANAGER, Replica, ponds};
use crate::world::{World, from};

async fn define(client: &Client) {
    let definition = json!({
        "metadata": {"name": "ponds.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "ponds", "kind": "Pond"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["depth"], "properties": {
                        "fish": {"type": "integer"}, "depth": {"type": "integer"}}},
                    "status": {"type": "object", "properties": {"fish": {"type": "integer"}}}}}}}]},
    });
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &from(definition)).await.unwrap();
    await_condition(definitions, "ponds.example.com", conditions::is_crd_established()).await.unwrap();
}

async fn configure(client: &Client, kind: &str, hooks: &Hooks, path: &str) {
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "ponds"},
        "webhooks": [{"name": "ponds.example.com", "clientConfig": hooks.at(path), "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "rules": [{"operations": ["CREATE", "UPDATE"],
                "apiGroups": ["example.com"], "apiVersions": ["*"], "resources": ["ponds"]}]}],
    });
    let gvk = kube::core::GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kube::api::ApiResource::from_gvk(&gvk));
    api.create(&PostParams::default(), &from(configuration)).await.unwrap();
}

fn pond(name: &str, fish: i64) -> DynamicObject {
    from(json!({"apiVersion": "example.com/v1", "kind": "Pond", "metadata": {"name": name}, "spec": {"fish": fish}}))
}

fn data(map: &ConfigMap, key: &str) -> String {
    map.data.as_ref().and_then(|data| data.get(key)).cloned().unwrap_or_default()
}

#[tokio::test]
async fn one_leads_another_follows_and_takes_over() {
    let world = World::new().await;
    let hooks = Hooks::start(|path, request| {
        let spec = &request["object"]["spec"];
        Some(match path {
            "/default" if spec["depth"].is_null() => {
                patched(&json!([{"op": "add", "path": "/spec/depth", "value": 2}]))
            }
            "/check" if spec["fish"].as_i64() > Some(10) => {
                json!({"allowed": false, "status": {"message": "too many fish", "code": 422, "reason": "Invalid"}})
            }
            _ => json!({"allowed": true}),
        })
    })
    .await;
    define(&world.client).await;
    configure(&world.client, "MutatingWebhookConfiguration", &hooks, "/default").await;
    configure(&world.client, "ValidatingWebhookConfiguration", &hooks, "/check").await;
    let leaders = History::of(world.api::<Lease>(), |lease| lease.spec.as_ref()?.holder_identity.clone());
    let made = History::of(world.api::<ConfigMap>(), |map| {
        (map.name_any() == "p").then(|| format!("{} fish by {}", data(map, "fish"), data(map, "by")))
    });
    let all: Api<DynamicObject> = Api::default_namespaced_with(world.client.clone(), &ponds());
    let holder = |who: &'static str| {
        move |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(who)
    };

    let first = Replica::start(&world.client, "a");
    world.until::<Lease>(LEASE, holder("a")).await;
    let _second = Replica::start(&world.client, "b");
    let made_pond = all.create(&PostParams::default(), &pond("p", 3)).await.unwrap();
    assert_eq!(made_pond.data["spec"], json!({"fish": 3, "depth": 2}));
    let refused = all.create(&PostParams::default(), &pond("crowd", 11)).await.unwrap_err();
    let words = "admission webhook \"ponds.example.com\" denied the request: too many fish";
    assert!(
        matches!(&refused, kube::Error::Api(status) if (status.code, &*status.message) == (422, words)),
        "{refused}"
    );
    let kept = world.until::<ConfigMap>("p", |map| data(map, "fish") == "3").await;
    assert_eq!(kept.owner_references()[0].uid, made_pond.uid().unwrap());
    let managers: Vec<_> =
        kept.managed_fields().iter().map(|one| (one.manager.clone(), one.operation.clone())).collect();
    assert_eq!(managers, [(Some(MANAGER.to_owned()), Some("Apply".to_owned()))]);
    let seen = until_pond(&all, "p", |pond| pond.is_some_and(|pond| pond.data["status"]["fish"] == 3)).await.unwrap();
    assert_eq!(seen.finalizers(), [FINALIZER]);

    first.end();
    let lease = world.until::<Lease>(LEASE, holder("b")).await;
    assert_eq!(lease.spec.unwrap().lease_transitions, Some(1));
    world.until::<ConfigMap>("p", |map| data(map, "by") == "b").await;
    let more = Patch::Merge(json!({"spec": {"fish": 5}}));
    all.patch("p", &PatchParams::default(), &more).await.unwrap();
    world.until::<ConfigMap>("p", |map| data(map, "fish") == "5").await;
    let crowd = Patch::Merge(json!({"spec": {"fish": 50}}));
    assert!(all.patch("p", &PatchParams::default(), &crowd).await.unwrap_err().to_string().contains("too many fish"));

    all.delete("p", &DeleteParams::default()).await.unwrap();
    world.until::<ConfigMap>(DIARY, |map| data(map, "p") == "gone, says b").await;
    world.gone::<ConfigMap>("p").await;
    assert!(until_pond(&all, "p", |pond| pond.is_none()).await.is_none());
    assert_eq!(leaders.words(), ["a", "b"]);
    assert_eq!(made.words(), ["3 fish by a", "3 fish by b", "5 fish by b"]);
    let created: Vec<(String, Value)> = hooks
        .asked()
        .into_iter()
        .filter(|(_, request)| request["operation"] == "CREATE")
        .map(|(path, request)| (path, request["name"].clone()))
        .collect();
    let asked = |path: &str, name: &str| (path.to_owned(), json!(name));
    let wanted = [asked("/default", "p"), asked("/check", "p"), asked("/default", "crowd"), asked("/check", "crowd")];
    assert_eq!(created, wanted);
}

/// Waits until a pond is as wanted, or gone.
async fn until_pond(
    api: &Api<DynamicObject>,
    name: &str,
    wanted: impl Fn(Option<&DynamicObject>) -> bool + Sync,
) -> Option<DynamicObject> {
    let events = watch_object(api.clone(), name);
    let fits = |seen: &Option<DynamicObject>| wanted(seen.as_ref());
    let found = async { events.filter_map(|seen| std::future::ready(seen.ok().filter(fits))).boxed().next().await };
    timeout(Duration::from_secs(20), found).await.unwrap_or_else(|_| panic!("{name} never as wanted")).unwrap()
}
