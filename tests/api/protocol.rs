//! The protocol below the verbs, in process: forms of bodies and answers, sizes, expired versions, an orderly end.

use std::time::Duration;

use futures::{AsyncBufReadExt, TryStreamExt};
use http::{Method, Request};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::{ApiServer, Config};
use tokio::time::timeout;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn start() -> (ApiServer, Client) {
    let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
    let client = Client::new(server.service_as(User::authenticated("admin", &["system:masters"])), "default");
    (server, client)
}

async fn send(client: &Client, method: Method, path: &str, form: &str, body: &str) -> Result<Value, u16> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", form)
        .header("accept", "application/json")
        .body(body.as_bytes().to_vec())
        .unwrap();
    client.request(request).await.map_err(|error| match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn bodies_have_forms_and_a_size() {
    let (_server, client) = start().await;
    let yaml = "metadata:\n  name: a\ndata: {k: 'yes'}\n";
    let made = send(&client, Method::POST, MAPS, "application/yaml", yaml).await.unwrap();
    assert_eq!(made["data"]["k"], "yes");
    let apply = format!("{MAPS}/b?fieldManager=me&force=true");
    let applied = "apiVersion: v1\nkind: ConfigMap\ndata: {k: v}\n";
    let made = send(&client, Method::PATCH, &apply, "application/apply-patch+yaml", applied).await.unwrap();
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "me");
    let large = json!({"metadata": {"name": "c"}, "data": {"k": "x".repeat(4 << 20)}}).to_string();
    let a = format!("{MAPS}/a");
    for (method, path, form, body, code) in [
        (Method::POST, MAPS, "application/json", large.as_str(), 413),
        (Method::POST, MAPS, "application/json", "{", 400),
        (Method::POST, MAPS, "application/json", "[]", 400),
        (Method::POST, MAPS, "image/png", "{}", 415),
        (Method::POST, a.as_str(), "application/json", "{}", 405),
        (Method::PATCH, a.as_str(), "application/json", "{}", 415),
        (Method::PUT, a.as_str(), "application/json", r#"{"metadata":{"name":"b"}}"#, 400),
        (Method::POST, MAPS, "application/json", r#"{"kind":"Pod","metadata":{"name":"x"}}"#, 400),
        (Method::POST, MAPS, "application/json", r#"{"metadata":{"name":"x","namespace":"y"}}"#, 400),
        (Method::POST, MAPS, "application/json", r#"{"metadata":{}}"#, 422),
        (Method::DELETE, MAPS, "application/json", r#"{"propagationPolicy":"Nowhere"}"#, 400),
        (Method::GET, "/api/v1/nonsense", "", "", 404),
        (Method::GET, "/nonsense", "", "", 404),
    ] {
        assert_eq!(send(&client, method.clone(), path, form, body).await, Err(code), "{method} {path} {body:.40}");
    }
}

#[tokio::test]
async fn what_is_forgotten_is_expired() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let make = |name: String| serde_json::from_value::<ConfigMap>(json!({"metadata": {"name": name}})).unwrap();
    for index in 0..4 {
        maps.create(&PostParams::default(), &make(format!("m{index}"))).await.unwrap();
    }
    let page = maps.list(&ListParams::default().limit(2)).await.unwrap();
    let (token, version) = (page.metadata.continue_.unwrap(), page.metadata.resource_version.unwrap());
    maps.create(&PostParams::default(), &make("m9".to_owned())).await.unwrap();
    server.store().compact_history();
    let late = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap_err();
    assert!(matches!(&late, kube::Error::Api(status) if status.code == 410 && status.reason == "Expired"), "{late}");
    let path = format!("{MAPS}?limit=2&continue={token}");
    let status = client.send(Request::get(path).body(kube::client::Body::empty()).unwrap()).await.unwrap();
    let status: Value = serde_json::from_slice(&status.into_body().collect_bytes().await.unwrap()).unwrap();
    let mut resume = status["metadata"]["continue"].as_str().map(str::to_owned);
    let mut rest = Vec::new();
    while let Some(token) = resume {
        let page = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
        rest.extend(page.items.into_iter().map(|map| map.name_any()));
        resume = page.metadata.continue_;
    }
    assert_eq!(rest, ["m2", "m3", "m9"], "what is left is that of the present");
    let mut watch = Box::pin(maps.watch(&WatchParams::default(), &version).await.unwrap());
    let event = watch.try_next().await.unwrap().unwrap();
    assert!(matches!(&event, WatchEvent::Error(status) if status.code == 410), "{event:?}");
    assert!(watch.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_dry_run_says_what_would_be() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let before = server.store().revision();
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let patched = maps.patch("a", &dry, &Patch::Merge(json!({"data": {"k": "v"}}))).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "v");
    let made = PostParams { dry_run: true, ..PostParams::default() };
    let taken = maps.create(&made, &map).await.unwrap_err().to_string();
    assert!(taken.contains("already exists"), "{taken}");
    assert_eq!(server.store().revision(), before);
}

#[tokio::test]
async fn the_end_of_the_server_ends_its_watches() {
    let (server, client) = start().await;
    let request = Request::get(format!("{MAPS}?watch=true")).body(Vec::new()).unwrap();
    let mut lines = client.request_stream(request).await.unwrap().lines();
    server.shutdown();
    let end = timeout(Duration::from_secs(10), lines.try_next()).await.unwrap();
    assert!(matches!(end, Ok(None)), "{end:?}");
}

#[tokio::test]
async fn fields_that_are_unknown_or_there_twice_are_told() {
    let (_server, client) = start().await;
    let deployment = r#"{"metadata": {"name": "d", "unknownMeta": 1}, "spec": {"replicas": 1, "replicas": 2, "unknownField": 1,
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "image": "j"}]}}}}"#;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let told = async |method: Method, path: &str, form: &str, body: &str| {
        let request = Request::builder().method(method).uri(path).header("content-type", form);
        let request = request.body(body.as_bytes().to_vec()).unwrap();
        match client.request::<Value>(request).await {
            Ok(made) => made["spec"]["replicas"].to_string(),
            Err(kube::Error::Api(status)) => format!("{} {}", status.code, status.message),
            Err(other) => panic!("{other}"),
        }
    };
    let json = "application/json";
    let strict = format!("{path}?fieldValidation=Strict");
    assert_eq!(
        told(Method::POST, &strict, json, deployment).await,
        "400 Deployment in version \"apps/v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"metadata.unknownMeta\", unknown field \"spec.unknownField\", duplicate field \"spec.replicas\", duplicate field \"spec.template.spec.containers[0].image\""
    );
    assert_eq!(told(Method::POST, &format!("{path}?fieldValidation=Ignore"), json, deployment).await, "2");
    let patch = format!("{path}/d?fieldValidation=Strict");
    let said =
        told(Method::PATCH, &patch, "application/merge-patch+json", r#"{"spec":{"paused":true,"paused":false}}"#).await;
    assert!(said.ends_with("strict decoding error: duplicate field \"spec.paused\""), "{said}");
    let apply = format!("{path}/d?fieldManager=me&force=true");
    let form = "application/apply-patch+yaml";
    let unknown = "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 3, odd: 1}\n";
    assert_eq!(
        told(Method::PATCH, &apply, form, unknown).await,
        "500 failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.odd: field not declared in schema"
    );
    let twice = "apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 3\n  replicas: 4\n";
    let said = told(Method::PATCH, &apply, form, twice).await;
    assert!(said.starts_with("400 ") && said.contains("line 5: key \"replicas\" already set in map"), "{said}");
}
