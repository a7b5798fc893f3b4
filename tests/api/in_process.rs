//! kube-rs against the server in its own process.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::{ApiServer, Config};

async fn client() -> Client {
    let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
    let admin = User { name: "admin".to_owned(), groups: vec!["system:masters".to_owned()], ..User::default() };
    Client::new(server.service_as(admin), "default")
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([("l".to_owned(), value.to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("k".to_owned(), value.to_owned())])),
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn objects_are_created_read_changed_and_deleted() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client().await);
    let made = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    let again = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();
    assert!(again.to_string().contains("configmaps \"a\" already exists"), "{again}");
    let mut newer = maps.get("a").await.unwrap();
    assert_eq!(newer, made);
    newer.data = Some(BTreeMap::from([("k".to_owned(), "2".to_owned())]));
    let newer = maps.replace("a", &PostParams::default(), &newer).await.unwrap();
    assert_ne!(newer.resource_version(), made.resource_version());
    let late = maps.replace("a", &PostParams::default(), &made).await.unwrap_err();
    assert!(late.to_string().contains("the object has been modified"), "{late}");
    let patch = Patch::Merge(json!({"data": {"k": "3"}}));
    let patched = maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.as_ref().unwrap()["k"], "3");
    let same = maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(same.resource_version(), patched.resource_version());
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn lists_come_in_pages_and_by_selector() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client().await);
    for index in 0..7 {
        let map = config_map(&format!("m{index}"), &format!("{}", index % 2));
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let odd = maps.list(&ListParams::default().labels("l=1")).await.unwrap();
    assert_eq!(odd.items.len(), 3);
    let mut page = maps.list(&ListParams::default().limit(3)).await.unwrap();
    assert_eq!(page.metadata.remaining_item_count, Some(4));
    maps.delete("m5", &DeleteParams::default()).await.unwrap();
    let mut names: Vec<String> = page.items.iter().map(ResourceExt::name_any).collect();
    while let Some(token) = page.metadata.continue_.clone().filter(|t| !t.is_empty()) {
        page = maps.list(&ListParams::default().limit(3).continue_token(&token)).await.unwrap();
        names.extend(page.items.iter().map(ResourceExt::name_any));
    }
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    let one = maps.list(&ListParams::default().fields("metadata.name=m2")).await.unwrap();
    assert_eq!(one.items.len(), 1);
}

#[tokio::test]
async fn a_field_that_is_not_set_is_selected_by_its_zero_value() {
    let client = client().await;
    let create = async |resource: &ApiResource, object: Value| {
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
            None => Api::all_with(client.clone(), resource),
        };
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        api
    };
    let found = async |api: &Api<DynamicObject>, fields: &str| {
        let list = api.list(&ListParams::default().fields(fields)).await.unwrap();
        list.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    };
    let nodes = ApiResource::erase::<Node>(&());
    create(&nodes, json!({"metadata": {"name": "open"}})).await;
    let api = create(&nodes, json!({"metadata": {"name": "shut"}, "spec": {"unschedulable": true}})).await;
    assert_eq!(found(&api, "spec.unschedulable=false").await, ["open"]);
    assert_eq!(found(&api, "spec.unschedulable!=false").await, ["shut"]);
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}});
    let job = json!({"metadata": {"name": "one", "namespace": "default"}, "spec": {"template": template}});
    let api = create(&ApiResource::erase::<Job>(&()), job).await;
    assert_eq!(found(&api, "status.successful=0").await, ["one"]);
    assert_eq!(found(&api, "status.successful=1").await, Vec::<String>::new());
}

#[tokio::test]
async fn watches_see_what_enters_and_leaves_a_selection() {
    let maps: Api<ConfigMap> = Api::default_namespaced(client().await);
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().labels("l=1");
    let mut watch = pin!(maps.watch(&params, &from).await.unwrap());
    for value in ["2", "1", "1"] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"l": value}}, "data": {"k": value}}));
        maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    }
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(match watch.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(_) => "added",
            WatchEvent::Modified(_) => "modified",
            WatchEvent::Deleted(_) => "deleted",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["deleted", "added", "deleted"]);
}

#[tokio::test]
async fn the_runtime_watcher_starts_both_ways() {
    let client = client().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = pin!(watcher(maps.clone(), config));
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.push(match events.next().await.unwrap().unwrap() {
                watcher::Event::Init => "init",
                watcher::Event::InitApply(_) => "apply",
                watcher::Event::InitDone => "done",
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(seen, ["init", "apply", "done"]);
    }
}

#[tokio::test]
async fn a_namespace_ends_when_its_finalizer_is_gone() {
    let client = client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = json!({"metadata": {"name": "n"}});
    let namespace = serde_json::from_value(namespace).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    let ending = namespaces.get("n").await.unwrap();
    assert_eq!(ending.status.unwrap().phase.as_deref(), Some("Terminating"));
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "n");
    let refused = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();
    assert!(refused.to_string().contains("because it is being terminated"), "{refused}");
    let mut last = namespaces.get("n").await.unwrap();
    last.spec = None;
    let body = serde_json::to_vec(&last).unwrap();
    let request = http::Request::put("/api/v1/namespaces/n/finalize").body(body).unwrap();
    client.request::<Namespace>(request).await.unwrap();
    assert!(namespaces.get_opt("n").await.unwrap().is_none());
    let elsewhere: Api<ConfigMap> = Api::namespaced(client, "missing");
    let refused = elsewhere.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();
    assert!(refused.to_string().contains("namespaces \"missing\" not found"), "{refused}");
}

#[tokio::test]
async fn a_pod_keeps_its_status_apart() {
    let pods: Api<Pod> = Api::default_namespaced(client().await);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"phase": "Running"}});
    let pod = serde_json::from_value(pod).unwrap();
    let pod = pods.create(&PostParams::default(), &pod).await.unwrap();
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Pending"));
    let patch = Patch::Merge(json!({"status": {"phase": "Running"}, "spec": {"nodeName": "n"}}));
    let pod = pods.patch_status("p", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
    assert_eq!(pod.spec.unwrap().node_name, None);
}
