//! The console with the rights of somebody who has few: what it shows and does is what its client may see and do.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tinderbox_apiserver::auth::User;
use tinderbox_console::{Config, Explain, Token, link, spawn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, from};

/// Has nothing to explain.
struct Silent;

impl Explain for Silent {
    fn explain(&self, _: Client, _: Option<String>, _: Option<String>) -> BoxFuture<'static, Result<Value, String>> {
        Box::pin(async { Ok(json!([])) })
    }
}

/// A console with the rights of `user`; its address, and the path that opens it.
async fn console(world: &World, user: &str, namespace: &str) -> (SocketAddr, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::new(world.server.service_as(User::authenticated(user, &[])), "default");
    let token = Token::new().unwrap();
    let config = Config {
        cluster: "test".to_owned(),
        place: "existing".to_owned(),
        token: token.clone(),
        namespace: Some(namespace.to_owned()),
        ingress: None,
        explain: Arc::new(Silent),
    };
    spawn(listener, client, config, &world.tracker, &world.token).unwrap();
    let link = link(address.port(), &token);
    (address, link.split_once(&address.to_string()).unwrap().1.to_owned())
}

async fn job(world: &World, namespace: &str, name: &str) -> Job {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.create(&PostParams::default(), &from(json!({"metadata": {"name": namespace}}))).await.unwrap();
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]});
    let job = json!({"metadata": {"name": name}, "spec": {"suspend": true, "template": {"spec": pod}}});
    let jobs: Api<Job> = Api::namespaced(world.client.clone(), namespace);
    jobs.create(&PostParams::default(), &from(job)).await.unwrap()
}

/// Sends a request, and reads until a text has come.
async fn asked(address: SocketAddr, request: &str, until: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut text, mut part) = (String::new(), [0; 4096]);
    while !text.contains(until) {
        let count = stream.read(&mut part).await.unwrap();
        assert!(count > 0, "no {until:?} in {text}");
        text.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    text
}

#[tokio::test]
async fn who_may_see_one_namespace_sees_it_and_changes_nothing() {
    let world = World::new().await;
    let made = job(&world, "mine", "open").await;
    job(&world, "theirs", "hidden").await;
    let binding = json!({
        "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}],
    });
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), "mine");
    bindings.create(&PostParams::default(), &from(binding)).await.unwrap();

    let (address, path) = console(&world, "viewer", "mine").await;
    let feed = format!("GET {path}api/live/Job,Node HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let told = asked(address, &feed, "\"stirred\"").await;
    assert!(told.contains("\"n\":\"open\"") && !told.contains("hidden"), "{told}");
    assert!(told.contains("nodes is forbidden"), "what cannot be seen is said: {told}");

    let wish = json!({"act": "again", "kind": "Job", "namespace": "mine", "name": "open"}).to_string();
    let act = format!(
        "POST {path}api/act HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nContent-Length: {}\r\n\r\n{wish}",
        wish.len()
    );
    let refused = asked(address, &act, "}").await;
    assert!(
        refused.starts_with("HTTP/1.1 422") && refused.contains("jobs.batch \\\"open\\\" is forbidden"),
        "{refused}"
    );
    let jobs: Api<Job> = Api::namespaced(world.client.clone(), "mine");
    assert_eq!(jobs.get("open").await.unwrap().uid(), made.uid());
}
