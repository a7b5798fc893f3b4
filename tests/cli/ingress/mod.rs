//! Ingress as a browser and other clients meet it: hosts and paths, both versions of HTTP, websockets, TLS, and pages that say
//! what is missing.

mod client;

use client::{ask, ask_h2, ask_tls, open_websocket};
use serde_json::{Value, json};

use crate::program::Cluster;

const SERVER: &str = include_str!("server.py");

/// A pod that says its name, and its Service.
fn server(name: &str) -> Vec<Value> {
    let container = json!({"name": "main", "image": "python:3", "command": ["python3", "-c", SERVER, name],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
    vec![
        service,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": [container]}}),
    ]
}

fn ingress(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": spec})
}

fn path(path: &str, service: &str) -> Value {
    json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"name": "http"}}}})
}

fn create(cluster: &Cluster, items: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    cluster.kubectl_reads(&["create", "-f", "-"], &list).succeeded();
}

/// A certificate that its holder has signed, and its key.
fn certificate(cluster: &Cluster, host: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    cluster.write("tls.crt", &made.cert.pem());
    cluster.write("tls.key", &made.signing_key.serialize_pem());
    let file = |name: &str| cluster.files().join(name).display().to_string();
    let (crt, key) = (format!("--cert={}", file("tls.crt")), format!("--key={}", file("tls.key")));
    cluster.kubectl(&["create", "secret", "tls", "web", &crt, &key]).succeeded();
    made.cert.der().to_vec()
}

#[test]
fn services_are_reached_by_host_and_path() {
    let cluster = Cluster::of_own_project("ingress");
    let up = cluster.run(&["up", "-o", "json"]).json(0);
    let url = up["ingress"].as_str().expect("it says where").to_owned();
    let port: u16 = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    assert_eq!(url, format!("http://{}.localhost:{port}", cluster.name));
    assert!(cluster.run(&["status"]).succeeded().contains(&format!("Ingress {url}\n")));

    let (status, page) = ask(port, "GET", "shop.example.com", "/", "");
    assert_eq!((status, page.as_str()), (404, "404 Not Found: no Ingress has a rule for shop.example.com/\n"));

    create(&cluster, &[server("front"), server("back")].concat());
    let der = certificate(&cluster, "shop.example.com");
    let shop = json!({"ingressClassName": "nginx", "tls": [{"hosts": ["shop.example.com"], "secretName": "web"}],
        "rules": [{"host": "shop.example.com", "http": {"paths": [path("/", "front"), path("/api", "back")]}}]});
    let broken = json!({"rules": [{"host": "broken.example.com", "http": {"paths": [path("/", "gone")]}}]});
    create(&cluster, &[ingress("shop", shop), ingress("broken", broken)]);
    let address = "jsonpath={.metadata.name} {.status.loadBalancer.ingress[0].ip} {.status.loadBalancer.ingress[0].ports[0].port}{\"\\n\"}";
    cluster.watch(&["get", "ingress", "shop", "-o", address], |line| line == format!("shop 127.0.0.1 {port}"));
    for pod in ["front", "back"] {
        cluster.kubectl(&["wait", "pod", pod, "--for=condition=Ready", "--timeout=60s"]).succeeded();
        let ready =
            "jsonpath={.metadata.labels.kubernetes\\.io/service-name} {.endpoints[*].conditions.ready}{\"\\n\"}";
        cluster.watch(&["get", "endpointslices", "-o", ready], |line| line == format!("{pod} true"));
    }

    // Each line: the name asked for, the path, and who answers.
    let short = format!("shop.localhost:{port}");
    for (host, path, who) in [
        ("shop.example.com", "/", "front"),
        ("SHOP.example.com", "/apis", "front"),
        ("shop.example.com", "/api?a=b%20c", "back"),
        (short.as_str(), "/api/x", "back"),
    ] {
        let (status, said) = ask(port, "GET", host, path, "");
        assert_eq!((status, said), (200, format!("{who} GET {path} {host} http 0\n")), "{host}{path}");
    }
    let body = "x".repeat(300_000);
    assert_eq!(ask(port, "POST", "shop.example.com", "/api", &body).1, "back POST /api shop.example.com http 300000\n");
    let said = ask_h2(port, "shop.example.com", "/api/h2");
    assert_eq!(said, "back GET /api/h2 shop.example.com http 0\n");
    let said = ask_tls(port, "shop.example.com", "/tls", &der);
    assert_eq!(said, "front GET /tls shop.example.com https 0\n");
    let mut websocket = open_websocket(port, "shop.example.com", "/api/socket");
    assert_eq!(websocket.say("hello"), "HELLO");
    assert_eq!(websocket.say("again"), "AGAIN");

    let why = "503 Service Unavailable: ingress default/broken: there is no Service default/gone\n";
    assert_eq!(ask(port, "GET", "broken.example.com", "/", ""), (503, why.to_owned()));
    cluster.kubectl(&["delete", "pod", "front", "--now"]).succeeded();
    cluster.watch(
        &[
            "get",
            "endpointslices",
            "-o",
            "jsonpath={.metadata.labels.kubernetes\\.io/service-name} {.endpoints}{\"\\n\"}",
        ],
        |line| line == "front []",
    );
    let why = "503 Service Unavailable: ingress default/shop: the Service default/front has no pod that is ready\n";
    assert_eq!(ask(port, "GET", "shop.example.com", "/", ""), (503, why.to_owned()));
    let (status, page) = ask(port, "GET", &format!("{}.localhost", cluster.name), "/", "");
    assert!(
        status == 404
            && page.contains(&format!("  http://shop.example.com:{port}/api  service default/back port http")),
        "{page}"
    );

    // Another start, the same port.
    crate::machine::kill(cluster.node());
    assert_eq!(cluster.run(&["up", "-o", "json"]).json(0)["ingress"], up["ingress"]);
    assert_eq!(ask(port, "GET", "broken.example.com", "/", "").0, 503);
}
