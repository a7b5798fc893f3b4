//! Custom resources in several versions: with a webhook between them, and without.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::{ApiServer, Config};
use tinderbox_tests::hooks::Hooks;

/// A definition of hosts: `v1` has one field `address`, `v2` the parts `name` and `port`.
fn definition(storage: &str, conversion: &Value) -> Value {
    let version = |name: &str, spec: Value| {
        json!({"name": name, "served": true, "storage": name == storage, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": spec, "required": [if name == "v1" { "address" } else { "name" }]},
                "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}}}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "hosts.example.com"},
    "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "hosts", "kind": "Host"},
        "conversion": conversion,
        "versions": [
            version("v1", json!({"address": {"type": "string"}})),
            version("v2", json!({"name": {"type": "string"}, "port": {"type": "integer"}})),
        ]}})
}

/// What the webhook makes of a host.
fn converted(host: &Value, version: &Value) -> Value {
    let mut host = host.clone();
    let spec = &host["spec"];
    let other = if version == "example.com/v2" {
        let (name, port) = spec["address"].as_str().and_then(|one| one.split_once(':')).unwrap();
        json!({"name": name, "port": port.parse::<u16>().unwrap()})
    } else {
        json!({"address": format!("{}:{}", spec["name"].as_str().unwrap(), spec["port"])})
    };
    host["spec"] = other;
    host["apiVersion"] = version.clone();
    host
}

fn hosts(client: &Client, version: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.com", version, "Host"), "hosts");
    Api::default_namespaced_with(client.clone(), &kind)
}

fn definitions(client: &Client) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk))
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn host(version: &str, name: &str, spec: Value) -> DynamicObject {
    object(
        json!({"apiVersion": format!("example.com/{version}"), "kind": "Host", "metadata": {"name": name}, "spec": spec}),
    )
}

async fn client() -> (ApiServer, Client) {
    let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
    let client = Client::new(server.service_as(User::authenticated("admin", &["system:masters"])), "default");
    (server, client)
}

async fn stored_versions(client: &Client) -> Value {
    definitions(client).get("hosts.example.com").await.unwrap().data["status"]["storedVersions"].clone()
}

#[tokio::test]
async fn a_webhook_stands_between_versions() {
    let (server, client) = client().await;
    let broken = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&broken);
    let hooks = Hooks::start(move |_, request| {
        if fails.load(Ordering::SeqCst) {
            return Some(json!({"result": {"status": "Failure", "message": "no way"}, "convertedObjects": []}));
        }
        let objects = request["objects"].as_array().unwrap();
        let converted: Vec<Value> = objects.iter().map(|one| converted(one, &request["desiredAPIVersion"])).collect();
        Some(json!({"result": {"status": "Success"}, "convertedObjects": converted}))
    })
    .await;
    let webhook = json!({"strategy": "Webhook", "webhook": {"clientConfig": hooks.at("/convert"), "conversionReviewVersions": ["v1"]}});
    definitions(&client).create(&PostParams::default(), &object(definition("v1", &webhook))).await.unwrap();
    let (first, second) = (hosts(&client, "v1"), hosts(&client, "v2"));

    let made = first.create(&PostParams::default(), &host("v1", "a", json!({"address": "x:1"}))).await.unwrap();
    assert_eq!(hooks.take(), [], "it is stored as it came");
    let seen = second.get("a").await.unwrap();
    assert_eq!(
        (seen.types.as_ref().unwrap().api_version.as_str(), &seen.data["spec"]),
        ("example.com/v2", &json!({"name": "x", "port": 1}))
    );
    assert_eq!((seen.uid(), seen.resource_version()), (made.uid(), made.resource_version()));
    let [(path, asked)] = &hooks.take()[..] else { panic!("not asked once") };
    assert_eq!((path.as_str(), &asked["desiredAPIVersion"]), ("/convert", &json!("example.com/v2")));
    assert_eq!(asked["objects"][0]["spec"], json!({"address": "x:1"}));

    let made = second.create(&PostParams::default(), &host("v2", "b", json!({"name": "y", "port": 2}))).await.unwrap();
    assert_eq!(made.data["spec"], json!({"name": "y", "port": 2}));
    assert_eq!(first.get("b").await.unwrap().data["spec"], json!({"address": "y:2"}));
    hooks.take();
    let list = second.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.iter().map(|one| one.data["spec"]["port"].clone()).collect::<Vec<_>>(), [json!(1), json!(2)]);
    let asked = hooks.take();
    assert_eq!(asked.len(), 1, "a list goes there in one piece");
    assert_eq!(asked[0].1["objects"].as_array().map(Vec::len), Some(2));

    let mut watch = pin!(second.watch(&WatchParams::default(), "0").await.unwrap());
    for port in [1, 2] {
        let event = watch.try_next().await.unwrap().unwrap();
        assert!(matches!(&event, WatchEvent::Added(one) if one.data["spec"]["port"] == port), "{event:?}");
    }
    let merge = Patch::Merge(json!({"spec": {"port": 3}, "metadata": {"labels": {"l": "m"}}}));
    second.patch("a", &PatchParams::default(), &merge).await.unwrap();
    let event = watch.try_next().await.unwrap().unwrap();
    assert!(
        matches!(&event, WatchEvent::Modified(one) if one.data["spec"] == json!({"name": "x", "port": 3})),
        "{event:?}"
    );
    let applied = host("v2", "a", json!({"name": "z"}));
    let applied = second.patch("a", &PatchParams::apply("me").force(), &Patch::Apply(&applied)).await.unwrap();
    assert_eq!((&applied.data["spec"], applied.metadata.generation), (&json!({"name": "z", "port": 3}), Some(3)));
    let status = Patch::Merge(json!({"status": {"phase": "Up"}}));
    second.patch_status("a", &PatchParams::default(), &status).await.unwrap();
    let seen = first.get("a").await.unwrap();
    assert_eq!((&seen.data["spec"], &seen.data["status"]), (&json!({"address": "z:3"}), &json!({"phase": "Up"})));
    assert_eq!(seen.labels()["l"], "m");
    let wrong =
        second.patch("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"name": 7}}))).await.unwrap_err();
    assert!(wrong.to_string().contains("spec.name: Invalid value: \"integer\""), "{wrong}");
    assert_eq!(stored_versions(&client).await, json!(["v1"]));

    let moved = definition("v2", &webhook);
    let change = Patch::Merge(json!({"spec": moved["spec"]}));
    definitions(&client).patch("hosts.example.com", &PatchParams::default(), &change).await.unwrap();
    assert_eq!(stored_versions(&client).await, json!(["v1", "v2"]));
    let version_of = |name: &str| {
        let key = tinderbox_store::Key {
            collection: tinderbox_store::Collection { group: "example.com".into(), resource: "hosts".into() },
            namespace: "default".into(),
            name: name.into(),
        };
        let stored: Value = serde_json::from_slice(&server.store().get(&key).unwrap().bytes).unwrap();
        stored["apiVersion"].as_str().unwrap().to_owned()
    };
    assert_eq!(version_of("a"), "example.com/v1");
    let same = first.get("a").await.unwrap();
    first.replace("a", &PostParams::default(), &same).await.unwrap();
    assert_eq!((version_of("a"), version_of("b")), ("example.com/v2".to_owned(), "example.com/v1".to_owned()));
    let both = first.list(&ListParams::default()).await.unwrap();
    let addresses: Vec<Value> = both.items.iter().map(|one| one.data["spec"]["address"].clone()).collect();
    assert_eq!(addresses, [json!("z:3"), json!("y:2")]);

    broken.store(true, Ordering::SeqCst);
    let failed = first.get("a").await.unwrap_err();
    let words = "conversion webhook for example.com/v2, Kind=Host failed: no way";
    assert!(matches!(&failed, kube::Error::Api(status) if status.code == 500 && status.message == words), "{failed}");
    assert_eq!(second.get("a").await.unwrap().data["spec"]["port"], 3);
    second.delete("a", &Default::default()).await.unwrap();
}

#[tokio::test]
async fn without_a_webhook_versions_differ_in_name_alone() {
    let (_server, client) = client().await;
    definitions(&client)
        .create(&PostParams::default(), &object(definition("v1", &json!({"strategy": "None"}))))
        .await
        .unwrap();
    let (first, second) = (hosts(&client, "v1"), hosts(&client, "v2"));
    first.create(&PostParams::default(), &host("v1", "a", json!({"address": "x:1"}))).await.unwrap();
    let seen = second.get("a").await.unwrap();
    assert_eq!(
        (seen.types.unwrap().api_version.as_str(), &seen.data["spec"]),
        ("example.com/v2", &json!({"address": "x:1"}))
    );
    let mut watch = pin!(second.watch(&WatchParams::default(), "0").await.unwrap());
    let event = watch.try_next().await.unwrap().unwrap();
    assert!(
        matches!(&event, WatchEvent::Added(one) if one.types.as_ref().unwrap().api_version == "example.com/v2"),
        "{event:?}"
    );
    assert_eq!(stored_versions(&client).await, json!(["v1"]));
}
