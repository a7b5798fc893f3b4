//! The operator on controller-runtime, built from its source in `go` and run as two processes, over a change of leaders and
//! between two versions of its kind.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::{Value, json};
use tinderbox_tests::hooks::{Certificates, certificates};
use tinderbox_tests::wire::Served;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::History;
use crate::world::World;

const LEASE: &str = "gadgets.example.com";
const DIARY: &str = "gadgets-diary";

/// Builds the operator; nothing where there is no Go.
async fn build(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("gadgets");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("controllers/operators/go");
    let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(".").current_dir(source).output().await;
    match built {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        built => {
            let built = built.unwrap();
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            Some(program)
        }
    }
}

/// A replica; dropping it kills it.
struct Replica {
    child: Child,
    port: u16,
}

impl Replica {
    /// Starts a replica and waits until it answers webhooks.
    async fn start(program: &Path, served: &Served, id: &str) -> Self {
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut child = Command::new(program)
            .args(["-id", id, "-port", &port.to_string(), "-certificates"])
            .arg(served.folder.path())
            .env("KUBECONFIG", &served.kubeconfig)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                said.push(line);
                if said.last().is_some_and(|line| line.contains("Serving webhook server")) {
                    return true;
                }
            }
            false
        };
        let ready = timeout(Duration::from_secs(30), ready).await;
        assert!(matches!(ready, Ok(true)), "{id} does not serve: {said:#?}");
        // What it says later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, port }
    }
}

/// The kind, and the webhooks that a replica on this port answers.
fn manifests(port: u16, own: &Certificates) -> String {
    let at = |path: &str| json!({"url": format!("https://127.0.0.1:{port}{path}"), "caBundle": own.ca});
    let size = json!({"type": "object", "properties": {"size": {"type": "string"}}});
    let sides = json!({"type": "object", "required": ["width", "height"],
        "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}});
    let version = |name: &str, spec: &Value| {
        json!({"name": name, "served": true, "storage": name == "v1", "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": size}}}})
    };
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "gadgets", "kind": "Gadget"},
            "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
                "clientConfig": at("/convert")}},
            "versions": [version("v1", &size), version("v2", &sides)]},
    });
    let configuration = |kind: &str, path: &str| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "gadgets"},
            "webhooks": [{"name": "gadgets.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": at(path), "rules": [{"operations": ["CREATE", "UPDATE"],
                    "apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["gadgets"]}]}]})
    };
    let all = [
        definition,
        configuration("MutatingWebhookConfiguration", "/mutate-example-com-v1-gadget"),
        configuration("ValidatingWebhookConfiguration", "/validate-example-com-v1-gadget"),
    ];
    all.map(|one| one.to_string()).join("\n")
}

fn data(map: &ConfigMap, key: &str) -> String {
    map.data.as_ref().and_then(|data| data.get(key)).cloned().unwrap_or_default()
}

#[tokio::test]
#[allow(clippy::print_stderr, reason = "whoever reads a test run has to know what was not tested")]
async fn one_leads_another_follows_and_takes_over() {
    let served = Served::start().await;
    let Some(program) = build(served.folder.path()).await else {
        eprintln!("skipped: the operator on controller-runtime is not tested, as there is no go");
        return;
    };
    let world = World::over(&served.server).await;
    let own = certificates();
    std::fs::write(served.folder.path().join("tls.crt"), &own.certificate).unwrap();
    std::fs::write(served.folder.path().join("tls.key"), &own.key).unwrap();
    let made = History::of(world.api::<ConfigMap>(), |map| {
        (map.name_any() == "g").then(|| format!("{} by {}", data(map, "size"), data(map, "by")))
    });
    // The kind has to be there before an operator starts; where the second one answers is not known yet.
    served.apply(&manifests(1, &own)).await;
    served.out(&["wait", "--for=condition=Established", "crd/gadgets.example.com", "--timeout=20s"]).await;
    let mut first = Replica::start(&program, &served, "a").await;
    let led = |transitions: i32| {
        move |lease: &Lease| {
            let spec = lease.spec.clone().unwrap_or_default();
            spec.holder_identity.is_some_and(|one| !one.is_empty()) && spec.lease_transitions == Some(transitions)
        }
    };
    world.until::<Lease>(LEASE, led(0)).await;
    let second = Replica::start(&program, &served, "b").await;
    served.apply(&manifests(second.port, &own)).await;

    let wide = "apiVersion: example.com/v2\nkind: Gadget\nmetadata: {name: g}\nspec: {width: 3, height: 4}\n";
    assert_eq!(served.apply(wide).await, "gadget.example.com/g created\n");
    world.until::<ConfigMap>("g", |map| data(map, "size") == "3x4").await;
    served.out(&["wait", "gadgets.v1.example.com/g", "--for=jsonpath={.status.size}=3x4", "--timeout=20s"]).await;
    let seen =
        served.out(&["get", "gadgets.v2.example.com", "g", "-o", "jsonpath={.spec} {.metadata.finalizers}"]).await;
    assert_eq!(seen, r#"{"height":4,"width":3} ["example.com/gadgets"]"#);
    let plain = "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: plain}\nspec: {}\n";
    served.apply(plain).await;
    assert_eq!(served.out(&["get", "gadgets.v1.example.com", "plain", "-o", "jsonpath={.spec.size}"]).await, "1x1");
    let odd = plain.replace("plain", "odd").replace("{}", "{size: big}");
    let refused = served.kubectl_with(&["apply", "-f", "-"], &odd).await;
    let words = "admission webhook \"gadgets.example.com\" denied the request: \"big\" is no size";
    assert!(!refused.ok && refused.err.contains(words), "{refused:?}");
    let broad = plain.replace("plain", "broad").replace("{}", "{size: 99x1}");
    let warned = served.kubectl_with(&["apply", "-f", "-"], &broad).await;
    assert!(warned.ok && warned.err.contains("Warning: that is wide"), "{warned:?}");

    first.child.kill().await.unwrap();
    world.until::<Lease>(LEASE, led(1)).await;
    world.until::<ConfigMap>("g", |map| data(map, "by") == "b").await;
    let wider = r#"{"spec":{"width":5}}"#;
    served.out(&["patch", "gadgets.v2.example.com", "g", "--type=merge", "-p", wider]).await;
    world.until::<ConfigMap>("g", |map| data(map, "size") == "5x4").await;
    served.out(&["delete", "gadgets.v2.example.com", "g", "--timeout=20s"]).await;
    let diary = world.until::<ConfigMap>(DIARY, |map| !data(map, "g").is_empty()).await;
    assert_eq!(data(&diary, "g"), "gone, says b");
    world.gone::<ConfigMap>("g").await;
    assert_eq!(made.words(), ["3x4 by a", "3x4 by b", "5x4 by b"]);
}
