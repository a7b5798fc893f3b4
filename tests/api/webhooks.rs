//! Admission webhooks: what they are asked, what they may change, and what becomes of a request when they refuse, fail or are
//! not there.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use tinderbox_api::streams::{
    Connection, ContainerRef, ExecOptions, LogOptions, LogStream, PodStreams, Session, StreamError,
};
use tinderbox_apiserver::auth::User;
use tinderbox_apiserver::{ApiServer, Config};
use tinderbox_tests::hooks::{Hooks, patched};

use crate::wire::Served;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1";

async fn start() -> (ApiServer, Client) {
    let server = ApiServer::new(Config::in_memory().unwrap()).await.unwrap();
    let client = Client::new(server.service_as(User::authenticated("jane", &["system:masters"])), "default");
    (server, client)
}

/// An answer as it came: its code and object.
async fn send(client: &Client, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let form = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", form);
    let request = request.body(kube::client::Body::from(body.to_string().into_bytes())).unwrap();
    let response = client.send(request).await.unwrap();
    let code = response.status().as_u16();
    (code, serde_json::from_slice(&response.into_body().collect_bytes().await.unwrap()).unwrap_or_default())
}

async fn post(client: &Client, path: &str, body: Value) -> (u16, Value) {
    send(client, Method::POST, path, &body).await
}

/// A rule for all that is done with resources of the core group.
fn rule(resources: &[&str]) -> Value {
    json!({"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources})
}

/// A webhook; `more` is merged into it.
fn hook(name: &str, client: &Value, more: Value) -> Value {
    let mut hook = json!({"name": format!("{name}.example.com"), "clientConfig": client, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "rules": [rule(&["configmaps"])]});
    let Value::Object(more) = more else { panic!("no object") };
    hook.as_object_mut().unwrap().extend(more);
    hook
}

async fn configure(client: &Client, kind: &str, name: &str, hooks: Vec<Value>) {
    let body = json!({"metadata": {"name": name}, "webhooks": hooks});
    let (code, answer) = post(client, &format!("{HOOKS}/{kind}webhookconfigurations"), body).await;
    assert_eq!(code, 201, "{answer}");
}

fn map(name: &str, data: Value) -> Value {
    json!({"metadata": {"name": name}, "data": data})
}

#[tokio::test]
async fn what_is_asked_changed_and_refused() {
    let (_server, client) = start().await;
    let hooks = Hooks::start(|path, request| {
        Some(match path {
            "/change" if request["operation"] == "DELETE" => json!({"allowed": true}),
            "/change" => patched(&json!([
                {"op": "add", "path": "/metadata/labels", "value": {"seen": request["operation"]}},
                {"op": "add", "path": "/metadata/uid", "value": "mine"},
            ])),
            _ if request["object"]["data"]["bad"] == "yes" => {
                json!({"allowed": false, "status": {"message": "it is bad", "code": 403}})
            }
            _ => json!({"allowed": true}),
        })
    })
    .await;
    configure(&client, "mutating", "m", vec![hook("change", &hooks.at("/change"), json!({}))]).await;
    configure(&client, "validating", "v", vec![hook("check", &hooks.at("/check"), json!({}))]).await;
    assert_eq!(hooks.take(), [], "configurations are nobody's business");

    let (code, made) = post(&client, &format!("{MAPS}?fieldManager=me"), map("a", json!({"k": "v"}))).await;
    assert_eq!((code, &made["metadata"]["labels"]), (201, &json!({"seen": "CREATE"})));
    assert_ne!(made["metadata"]["uid"], "mine");
    let [(_, changing), (path, checking)] = &hooks.take()[..] else { panic!("not asked twice") };
    assert_eq!(path, "/check");
    assert_eq!(changing["object"]["metadata"]["uid"], Value::Null);
    assert_eq!(checking["object"]["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(checking["object"]["metadata"]["labels"], json!({"seen": "CREATE"}));
    let mut rest = checking.clone();
    for field in ["object", "uid"] {
        rest.as_object_mut().unwrap().remove(field);
    }
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let resource = json!({"group": "", "version": "v1", "resource": "configmaps"});
    assert_eq!(
        rest,
        json!({"kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource,
            "name": "a", "namespace": "default", "operation": "CREATE", "oldObject": null, "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"},
            "userInfo": {"username": "jane", "groups": ["system:masters", "system:authenticated"]}})
    );

    let (code, said) = post(&client, MAPS, map("b", json!({"bad": "yes"}))).await;
    let words = "admission webhook \"check.example.com\" denied the request: it is bad";
    assert_eq!((code, &said["message"], &said["code"]), (403, &json!(words), &json!(403)));
    let at = format!("{MAPS}/a");
    let (code, said) = send(&client, Method::PATCH, &at, &json!({"data": {"bad": "yes"}})).await;
    assert_eq!((code, &said["message"]), (403, &json!(words)));
    let (_, updating) = hooks.take().pop().unwrap();
    assert_eq!((&updating["operation"], &updating["options"]["kind"]), (&json!("UPDATE"), &json!("UpdateOptions")));
    assert_eq!(updating["oldObject"]["data"], json!({"k": "v"}));
    assert_eq!(updating["object"]["data"], json!({"k": "v", "bad": "yes"}));

    let (code, _) = send(&client, Method::DELETE, &at, &json!({"propagationPolicy": "Background"})).await;
    assert_eq!(code, 200);
    let asked = hooks.take();
    assert_eq!(asked.len(), 2);
    let (_, deleting) = &asked[1];
    assert_eq!((&deleting["operation"], &deleting["object"]), (&json!("DELETE"), &Value::Null));
    assert_eq!(deleting["oldObject"]["metadata"]["name"], "a");
    assert_eq!(deleting["options"]["propagationPolicy"], "Background");
    post(&client, MAPS, json!({"metadata": {"generateName": "c-"}})).await;
    assert_eq!(hooks.take().iter().map(|(_, one)| one["name"].clone()).collect::<Vec<_>>(), [Value::Null, Value::Null]);
}

#[tokio::test]
async fn webhooks_come_in_order_and_again_where_others_changed_something() {
    let (_server, client) = start().await;
    let hooks = Hooks::start(|path, request| {
        let step = |name: &str| json!([{"op": "add", "path": format!("/data/{name}"), "value": path}]);
        let has = |name: &str| request["object"]["data"].get(name).is_some();
        Some(match path {
            "/first" if has("second") && !has("late") => patched(&step("late")),
            "/second" if !has("second") => patched(&step("second")),
            "/third" if !has("third") => patched(&step("third")),
            _ => json!({"allowed": true}),
        })
    })
    .await;
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    configure(&client, "mutating", "b", vec![hook("third", &hooks.at("/third"), json!({}))]).await;
    let first = hook("first", &hooks.at("/first"), again.clone());
    configure(&client, "mutating", "a", vec![first, hook("second", &hooks.at("/second"), again)]).await;
    let (code, made) = post(&client, MAPS, map("a", json!({"k": "v"}))).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["data"], json!({"k": "v", "second": "/second", "third": "/third", "late": "/first"}));
    let paths: Vec<String> = hooks.take().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/first", "/second", "/third", "/first", "/second"]);
}

#[tokio::test]
async fn failures_count_or_do_not() {
    let (_server, client) = start().await;
    let hooks = Hooks::start(|path, request| match path {
        "/never" => None,
        "/other" => Some(json!({"allowed": true, "patch": "W10="})),
        _ => Some(json!({"allowed": true, "warnings": [format!("about {}", request["name"])]})),
    })
    .await;
    let closed = {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("https://{}/x", free.local_addr().unwrap())
    };
    let other = Hooks::start(|_, _| None).await;
    let stranger = json!({"url": format!("https://{}/x", hooks.address), "caBundle": other.ca});
    let behind = json!({"service": {"namespace": "default", "name": "hooks", "path": "/x"}, "caBundle": hooks.ca});
    let calls = "Internal error occurred: failed calling webhook \"one.example.com\": failed to call webhook: Post";
    for (config, words) in [
        (json!({"url": closed, "caBundle": hooks.ca}), format!("{calls} \"{closed}?timeout=1s\": dial tcp ")),
        (
            hooks.at("/never"),
            format!("{calls} \"https://{}/never?timeout=1s\": context deadline exceeded", hooks.address),
        ),
        (
            stranger,
            format!(
                "{calls} \"https://{}/x?timeout=1s\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                hooks.address
            ),
        ),
        (
            behind,
            format!("{calls} \"https://hooks.default.svc:443/x?timeout=1s\": service \"hooks\" not found"),
        ),
        (
            hooks.at("/other"),
            "Internal error occurred: failed calling webhook \"one.example.com\": received invalid webhook response: validating webhook may not return response.patch".to_owned(),
        ),
    ] {
        configure(&client, "validating", "v", vec![hook("one", &config, json!({"timeoutSeconds": 1}))]).await;
        let (code, said) = post(&client, MAPS, map("a", json!({}))).await;
        let message = said["message"].as_str().unwrap();
        assert!(code == 500 && message.starts_with(&words), "{message}\n{words}");
        let at = format!("{HOOKS}/validatingwebhookconfigurations/v");
        let lax = json!({"webhooks": [hook("one", &config, json!({"timeoutSeconds": 1, "failurePolicy": "Ignore"}))]});
        assert_eq!(send(&client, Method::PATCH, &at, &lax).await.0, 200);
        assert_eq!(post(&client, MAPS, map("a", json!({}))).await.0, 201);
        assert_eq!(send(&client, Method::DELETE, &format!("{MAPS}/a"), &json!({})).await.0, 200);
        assert_eq!(send(&client, Method::DELETE, &at, &json!({})).await.0, 200);
    }
}

#[tokio::test]
async fn rules_and_selectors_say_what_a_webhook_is_asked() {
    let (_server, client) = start().await;
    let hooks = Hooks::start(|_, _| Some(json!({"allowed": true}))).await;
    let team = json!({"matchLabels": {"team": "a"}});
    let rules = |rule: Value| json!({"rules": [rule]});
    let scaling = json!({"operations": ["CREATE", "UPDATE"], "apiGroups": ["autoscaling"], "apiVersions": ["v1"],
        "resources": ["horizontalpodautoscalers"]});
    let exactly = json!({"rules": [scaling], "matchPolicy": "Exact"});
    let whole =
        json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "scope": "Cluster"});
    let parts = json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"],
        "resources": ["*/scale", "pods/eviction", "pods/exec", "*/status", "serviceaccounts/token"]});
    let listed: Vec<Value> = [
        ("by-namespace", json!({"namespaceSelector": team})),
        ("by-object", json!({"objectSelector": team})),
        ("equivalent", rules(scaling.clone())),
        ("exact", exactly),
        ("cluster", rules(whole)),
        ("parts", rules(parts)),
    ]
    .into_iter()
    .map(|(name, more)| hook(name, &hooks.at(&format!("/{name}")), more))
    .collect();
    configure(&client, "validating", "v", listed).await;
    let told = || -> Vec<String> {
        let mut told: Vec<String> = hooks
            .take()
            .into_iter()
            .map(|(path, one)| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let kind = format!("{}/{}", text(&one["kind"]["version"]), text(&one["kind"]["kind"]));
                let part = if one["subResource"].is_null() {
                    String::new()
                } else {
                    format!("/{}", text(&one["subResource"]))
                };
                format!("{path} {} {kind}{part}", text(&one["operation"]))
            })
            .collect();
        told.sort();
        told
    };
    post(&client, MAPS, map("plain", json!({}))).await;
    assert_eq!(told(), Vec::<String>::new());
    let labelled = json!({"metadata": {"name": "labelled", "labels": {"team": "a"}}});
    post(&client, MAPS, labelled).await;
    assert_eq!(told(), ["/by-object CREATE v1/ConfigMap"]);
    post(&client, "/api/v1/namespaces", json!({"metadata": {"name": "a", "labels": {"team": "a"}}})).await;
    assert_eq!(told(), ["/cluster CREATE v1/Namespace"]);
    post(&client, "/api/v1/namespaces/a/configmaps", map("plain", json!({}))).await;
    assert_eq!(told(), ["/by-namespace CREATE v1/ConfigMap"]);
    let at = format!("{MAPS}/labelled");
    send(&client, Method::PATCH, &at, &json!({"metadata": {"labels": null}})).await;
    assert_eq!(told(), ["/by-object UPDATE v1/ConfigMap"], "the old object counts too");

    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let scaler = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 2, "scaleTargetRef": target}});
    let (code, made) = post(&client, "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", scaler).await;
    assert_eq!(code, 201, "{made}");
    let asked = hooks.take();
    let [(path, one)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((path.as_str(), &one["object"]["apiVersion"]), ("/equivalent", &json!("autoscaling/v1")));
    assert_eq!((&one["kind"]["version"], &one["requestKind"]["version"]), (&json!("v1"), &json!("v2")));

    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    let web = "/apis/apps/v1/namespaces/default/deployments";
    post(&client, web, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    assert_eq!(told(), Vec::<String>::new());
    send(&client, Method::PATCH, &format!("{web}/web/scale"), &json!({"spec": {"replicas": 3}})).await;
    assert_eq!(told(), ["/parts UPDATE v1/Scale/scale"]);
    send(&client, Method::PATCH, &format!("{web}/web/status"), &json!({"status": {"replicas": 3}})).await;
    assert_eq!(told(), ["/parts UPDATE v1/Deployment/status"]);
    let pods = "/api/v1/namespaces/default/pods";
    let (code, made) =
        post(&client, pods, json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}))
            .await;
    assert_eq!(code, 201, "{made}");
    let answer = send(&client, Method::POST, &format!("{pods}/p/exec?command=ls&stdout=true"), &json!({})).await;
    assert_eq!(answer.0, 503, "there is no node");
    post(&client, &format!("{pods}/p/eviction"), json!({"metadata": {"name": "p"}})).await;
    post(&client, "/api/v1/namespaces/default/serviceaccounts/default/token", json!({})).await;
    let wanted = [
        "/parts CONNECT v1/PodExecOptions/exec",
        "/parts CREATE v1/Eviction/eviction",
        "/parts CREATE v1/TokenRequest/token",
    ];
    assert_eq!(told(), wanted);
}

#[tokio::test]
async fn dry_runs_are_for_webhooks_without_effects() {
    let served = Served::start().await;
    let hooks =
        Hooks::start(|_, request| Some(json!({"allowed": true, "warnings": [format!("dry: {}", request["dryRun"])]})))
            .await;
    let wrong = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "v"}, "webhooks": [{"name": "short", "clientConfig": {"url": "http://x"},
            "sideEffects": "Some", "admissionReviewVersions": ["v9"], "timeoutSeconds": 60,
            "rules": [{"operations": [], "apiGroups": ["*", ""], "apiVersions": ["v1"], "resources": ["pods", "*"]}]}]});
    let said = served.kubectl_with(&["apply", "-f", "-"], &wrong.to_string()).await;
    for words in [
        "webhooks[0].name: Invalid value: \"short\": should be a domain with at least three segments separated by dots",
        "webhooks[0].rules[0].operations: Required value",
        "webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"\"]: if '*' is present, must not specify other API groups",
        "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
        "webhooks[0].timeoutSeconds: Invalid value: 60: the timeout value must be between 1 and 30 seconds",
        "'https' is the only allowed URL scheme; was \"http\"; desired format: https://host[/path]",
        "webhooks[0].admissionReviewVersions: Invalid value: [\"v9\"]: must include at least one of v1, v1beta1",
    ] {
        assert!(said.err.contains(words), "{words}\n{}", said.err);
    }
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "v"}, "webhooks": [hook("one", &hooks.at("/"), json!({}))]});
    served.apply(&configuration.to_string()).await;
    let dry = served.kubectl(&["create", "configmap", "a", "--dry-run=server"]).await;
    assert!(dry.ok && dry.err.contains("Warning: dry: true"), "{dry:?}");
    let real = served.kubectl(&["create", "configmap", "a"]).await;
    assert!(real.ok && real.err.contains("Warning: dry: false"), "{real:?}");
}

/// A node whose every address is one port of this machine.
struct Everywhere(SocketAddrV4);

fn no<T: Send + 'static>() -> BoxFuture<'static, Result<T, StreamError>> {
    async { Err(StreamError::NotFound("no".to_owned())) }.boxed()
}

impl PodStreams for Everywhere {
    fn logs(&self, _: ContainerRef, _: LogOptions) -> BoxFuture<'_, Result<LogStream, StreamError>> {
        no()
    }

    fn exec(&self, _: ContainerRef, _: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        no()
    }

    fn attach(&self, _: ContainerRef, _: ExecOptions) -> BoxFuture<'_, Result<Session, StreamError>> {
        no()
    }

    fn port_forward(&self, _: ContainerRef, _: u16) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        no()
    }

    fn usage(&self) -> BoxFuture<'_, Vec<tinderbox_api::streams::PodUsage>> {
        Box::pin(async { Vec::new() })
    }

    fn dial(&self, address: SocketAddrV4) -> BoxFuture<'_, Result<Box<dyn Connection>, StreamError>> {
        let to = self.0;
        async move {
            if address.to_string() != "10.244.0.9:8443" {
                return Err(StreamError::Internal(format!("dial tcp {address}: connect: connection refused")));
            }
            let stream = tokio::net::TcpStream::connect(to).await;
            stream
                .map(|one| Box::new(one) as Box<dyn Connection>)
                .map_err(|error| StreamError::Internal(error.to_string()))
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_service_is_reached_by_its_ready_endpoints() {
    let (server, client) = start().await;
    let hooks = Hooks::start(|_, _| Some(json!({"allowed": false}))).await;
    let std::net::SocketAddr::V4(address) = hooks.address else { panic!("no IPv4") };
    let node = Arc::new(Everywhere(address));
    server.set_streams(&node);
    let service =
        json!({"metadata": {"name": "hooks"}, "spec": {"ports": [{"name": "tls", "port": 9443, "targetPort": 8443}]}});
    post(&client, "/api/v1/namespaces/default/services", service).await;
    let config = json!({"service": {"namespace": "default", "name": "hooks", "port": 9443}, "caBundle": hooks.ca});
    configure(&client, "validating", "v", vec![hook("one", &config, json!({}))]).await;
    let calls = "Internal error occurred: failed calling webhook \"one.example.com\": failed to call webhook: Post \"https://hooks.default.svc:9443/?timeout=10s\"";
    let (_, said) = post(&client, MAPS, map("a", json!({}))).await;
    assert_eq!(said["message"], format!("{calls}: no endpoints available for service \"hooks\""));
    let endpoints = |ips: &[&str]| {
        let addresses: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
        json!({"metadata": {"name": "hooks"}, "subsets": [{"addresses": addresses, "ports": [{"name": "tls", "port": 8443}]}]})
    };
    let at = "/api/v1/namespaces/default/endpoints/hooks";
    send(&client, Method::PUT, at, &endpoints(&["10.244.0.8"])).await;
    let (_, said) = post(&client, MAPS, map("a", json!({}))).await;
    assert_eq!(said["message"], format!("{calls}: dial tcp 10.244.0.8:8443: connect: connection refused"));
    send(&client, Method::PUT, at, &endpoints(&["10.244.0.8", "10.244.0.9"])).await;
    let began = tokio::time::Instant::now();
    let (code, said) = post(&client, MAPS, map("a", json!({}))).await;
    assert_eq!(code, 400);
    assert_eq!(said["message"], "admission webhook \"one.example.com\" denied the request without explanation");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn conditions_say_what_a_webhook_is_asked() {
    let (_server, client) = start().await;
    let hooks = Hooks::start(|_, _| Some(json!({"allowed": true}))).await;
    let with = |name: &str, policy: &str, expressions: &[&str]| {
        let condition = |(index, one): (usize, &&str)| json!({"name": format!("c{index}"), "expression": one});
        let all: Vec<Value> = expressions.iter().enumerate().map(condition).collect();
        hook(name, &hooks.at(&format!("/{name}")), json!({"matchConditions": all, "failurePolicy": policy}))
    };
    let wrong = json!({"metadata": {"name": "w"}, "webhooks": [with("wrong", "Fail", &["object.", "'text'"])]});
    let (code, said) = post(&client, &format!("{HOOKS}/validatingwebhookconfigurations"), wrong).await;
    let message = said["message"].as_str().unwrap();
    assert!(code == 422 && message.contains("webhooks[0].matchConditions[0].expression: Invalid value"), "{message}");
    assert!(message.contains("compilation failed") && message.contains("must evaluate to bool"), "{message}");

    let listed = vec![
        with("skips", "Fail", &["object.metadata.name != 'skip-me'", "request.userInfo.username == 'jane'"]),
        with(
            "rights",
            "Fail",
            &["authorizer.group('').resource('configmaps').namespace('default').check('create').allowed()"],
        ),
        with("lax", "Ignore", &["object.data.absent == 'x'"]),
    ];
    configure(&client, "validating", "v", listed).await;
    let told = || -> Vec<String> { hooks.take().into_iter().map(|(path, _)| path).collect() };
    assert_eq!(post(&client, MAPS, map("a", json!({"k": "v"}))).await.0, 201);
    let mut asked = told();
    asked.sort();
    assert_eq!(asked, ["/rights", "/skips"]);
    assert_eq!(post(&client, MAPS, map("skip-me", json!({"k": "v"}))).await.0, 201);
    assert_eq!(told(), ["/rights"]);
    configure(&client, "mutating", "m", vec![with("strict", "Fail", &["object.data.absent == 'x'"])]).await;
    let (code, said) = post(&client, MAPS, map("b", json!({"k": "v"}))).await;
    assert_eq!(
        (code, &said["message"]),
        (
            403,
            &json!(
                "configmaps \"b\" is forbidden: expression 'object.data.absent == 'x'' resulted in error: no such key: absent"
            )
        )
    );
    assert_eq!(told(), Vec::<String>::new());
}
