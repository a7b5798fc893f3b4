//! Tokens in a volume, renewed when four fifths of their life are over, from a server that gives another one each time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::client::Body;
use serde_json::json;

use crate::container::fields::Facts;
use crate::sandbox::HostIds;
use crate::volumes::{Setting, Volumes};

/// Answers every TokenRequest with the next number, valid for as long as asked from `now` on.
fn server(now: Timestamp) -> (Client, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            assert_eq!(request.uri().path(), "/api/v1/namespaces/n/serviceaccounts/robot/token");
            let body = request.into_body().collect_bytes().await.expect("a body");
            let mut body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(body["spec"]["boundObjectRef"]["uid"], "u");
            let seconds = body["spec"]["expirationSeconds"].as_i64().expect("a number");
            let from = now + SignedDuration::from_secs(i64::from(number - 1) * seconds * 4 / 5);
            body["status"] = json!({"token": format!("token {number}"),
                "expirationTimestamp": from + SignedDuration::from_secs(seconds)});
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(body.to_string().into_bytes())))
        }
    });
    (Client::new(service, "default"), asked)
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_all_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let start = Timestamp::from_second(1_000_000_000).expect("a time");
    let (client, asked) = server(start);
    let source = json!({"serviceAccountToken": {"path": "token", "expirationSeconds": 1000}});
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"serviceAccountName": "robot", "containers": [], "volumes": [{"name": "t", "projected": {"sources": [source]}}]}}))
    .expect("a pod");
    let objects = BTreeMap::new();
    let setting = |seconds: i64| Setting {
        client: &client,
        facts: Facts { pod: &pod, pod_ip: None, host_ip: "", node_cpu_millis: 0, node_memory: 0 },
        objects: &objects,
        persistent: Path::new("/nowhere"),
        now: start + SignedDuration::from_secs(seconds),
    };
    let mut volumes = Volumes::new(dir.path().to_owned(), HostIds::Single { uid: 0, gid: 0 });
    volumes.prepare(&setting(0)).await.expect("a token");
    let folder = dir.path().join("t");
    let seen = || {
        let behind = std::fs::read_link(folder.join("..data")).expect("a link");
        (std::fs::read_to_string(folder.join("token")).expect("a token"), behind)
    };
    let first = seen();
    assert_eq!(first.0, "token 1");
    assert_eq!(volumes.refresh_at(), Some(start + SignedDuration::from_secs(800)));
    volumes.refresh(&setting(799)).await;
    assert_eq!((seen(), asked.load(Ordering::SeqCst)), (first.clone(), 1));
    volumes.refresh(&setting(800)).await;
    let second = seen();
    assert_eq!((second.0.as_str(), asked.load(Ordering::SeqCst)), ("token 2", 2));
    assert_ne!(second.1, first.1, "the file was changed in place");
    assert_eq!(volumes.refresh_at(), Some(start + SignedDuration::from_secs(1600)));
}
