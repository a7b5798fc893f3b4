//! The console as a browser meets it: who is let in, what is shown while it happens, and what buttons do.

mod browser;
pub(crate) mod dashboards;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::program::{Cluster, root};
use browser::Browser;

/// Two pods with a pause between them, and a template of it with a parameter.
const GATED: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: gated, namespace: spark-jobs}
spec:
  entrypoint: main
  arguments: {parameters: [{name: word, value: none}]}
  templates:
    - name: main
      dag:
        tasks:
          - {name: before, template: say}
          - {name: gate, template: gate, dependencies: [before]}
          - {name: after, template: say, dependencies: [gate]}
    - {name: gate, suspend: {}}
    - name: say
      container: {image: busybox, command: [sh, -c, "echo said {{workflow.parameters.word}}"]}
"#;

/// A Deployment, a Job that fails, and the Application that says it manages them.
const SHOP: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: site, namespace: default}
spec:
  selector: {matchLabels: {a: site}}
  template:
    metadata: {labels: {a: site}}
    spec: {containers: [{name: main, image: busybox, command: [sleep, "1000000"]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: broken, namespace: default}
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox, command: [sh, -c, "exit 3"]}]}}
"#;

/// The link that `up` printed.
pub(crate) fn link(up: &str) -> String {
    let line = up.lines().find_map(|line| line.trim().strip_prefix("console "));
    line.expect("up prints the link").trim().to_owned()
}

/// Status and body of what the console answers to a request that is put together by hand.
pub(crate) fn asked(address: &str, first: &str, headers: &[String]) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the console listens");
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(stream, "{first} HTTP/1.1\r\n{head}Connection: close\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[test]
fn nobody_is_let_in_without_the_token_from_elsewhere_or_under_another_name() {
    let cluster = Cluster::new("door");
    let link = link(&cluster.run(&["up"]).succeeded());
    assert_eq!(cluster.run(&["console"]).succeeded().trim(), link);
    assert_eq!(cluster.run(&["status", "-o", "json"]).json(0)["console"], link.as_str());
    let (address, path) = link.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a link");
    let host = format!("Host: {address}");
    let own = format!("Origin: http://{address}");
    let (path, token) = (format!("/{path}"), path.trim_end_matches('/'));
    let nothing = ("HTTP/1.1 404 Not Found".to_owned(), String::new());

    let (status, page) = asked(address, &format!("GET {path}"), std::slice::from_ref(&host));
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(page.contains("<title>Tinderbox</title>"), "{page}");
    let (status, about) = asked(address, &format!("GET {path}api/about"), std::slice::from_ref(&host));
    assert!(status.ends_with("200 OK") && about.contains(&cluster.name), "{status}: {about}");

    let wrong = format!("/{}/", token.chars().rev().collect::<String>());
    for (what, first, headers) in [
        ("no token", "GET /".to_owned(), vec![host.clone()]),
        ("a wrong token", format!("GET {wrong}"), vec![host.clone()]),
        ("a wrong token for data", format!("GET {wrong}api/about"), vec![host.clone()]),
        ("a forged host", format!("GET {path}"), vec!["Host: rebound.example".to_owned()]),
        ("no host", format!("GET {path}"), vec![]),
        (
            "another origin",
            format!("GET {path}api/about"),
            vec![host.clone(), "Origin: http://evil.example".to_owned()],
        ),
        ("another site", format!("GET {path}"), vec![host.clone(), "Sec-Fetch-Site: cross-site".to_owned()]),
        ("a change from nowhere", format!("POST {path}api/act"), vec![host.clone()]),
        ("a path that leads elsewhere", format!("GET {path}api/object/Pod/default/..%2Fx"), vec![host.clone()]),
    ] {
        let (status, body) = asked(address, &first, &headers);
        // A request without a host is none, and is refused before anybody looks at it.
        if what == "no host" {
            assert!(!status.contains("200") && body.is_empty(), "{what}: {status} {body}");
        } else {
            assert_eq!((status, body), nothing, "{what}");
        }
    }
    let (status, said) = asked(address, &format!("POST {path}api/act"), &[host, own, "Content-Length: 0".to_owned()]);
    assert!(status.contains("422") && said.contains("error"), "{status}: {said}");

    // The token opens everything: it is in no archive, and nobody else's to read.
    cluster.run(&["export", "bug.tar.gz"]).succeeded();
    let packed = std::fs::read(cluster.files().join("bug.tar.gz")).expect("an archive");
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut archive).expect("it is packed");
    assert!(!archive.windows(token.len()).any(|part| part == token.as_bytes()), "the token is in the archive");
    // The link stays true over a restart.
    crate::machine::kill(cluster.node());
    assert_eq!(super::console::link(&cluster.run(&["up"]).succeeded()), link);
}

#[test]
fn a_browser_sees_the_platform_and_runs_a_workflow() {
    let Some(mut browser) = Browser::start() else { return };
    let cluster = Cluster::new("console");
    let link = link(&cluster.run(&["up"]).succeeded());
    cluster.kubectl_reads(&["apply", "-f", "-"], GATED).succeeded();
    browser.resize(1440, 900);
    browser.open(&link);
    browser.shows("Nothing waits or fails");
    browser.shows("live");

    // What happens comes by itself, and is explained.
    cluster.kubectl_reads(&["apply", "-f", "-"], SHOP).succeeded();
    browser.shows("container main ended with exit code 3");
    browser.shows("1/1 ready");

    // By keyboard alone: to the template, its parameter, and its button.
    browser.tab_to("Workflows");
    browser.press("Enter");
    browser.shows("gated");
    browser.until("document.querySelector('form.card input') && document.activeElement.id === 'main'");
    for _ in 0..20 {
        browser.press("Tab");
        if browser.value("document.activeElement.name") == "word" {
            break;
        }
    }
    browser.value("document.activeElement.select()");
    browser.call("Input.insertText", json!({"text": "tinder"}));
    browser.press("Enter");

    // The graph as it grows, and the gate that is opened by a button.
    browser.shows("Suspended");
    let nodes = "[...document.querySelectorAll('.node .strong')].map((node) => node.textContent)";
    let drawn = browser.until(&format!("{nodes}.includes('gate') && {nodes}"));
    let name = browser.value("document.querySelector('h1').textContent");
    let name = name.as_str().expect("a name");
    assert!(name.starts_with("gated-"), "{name}");
    assert!(drawn.as_array().is_some_and(|nodes| nodes.contains(&json!("before"))), "{drawn}");
    assert!(browser.value("document.querySelectorAll('.canvas path').length").as_u64() >= Some(2));
    browser.tab_to("Resume");
    browser.press("Enter");
    browser.until("document.querySelector('header .badge').textContent === 'Succeeded'");
    let phase = ["-n", "spark-jobs", "get", "workflow", name, "-o", "jsonpath={.status.phase}"];
    assert_eq!(cluster.kubectl(&phase).succeeded(), "Succeeded");

    // A node tells what it said.
    browser.tab_to("afterSucceeded");
    browser.press("Enter");
    browser.until("document.querySelector('.log pre').textContent.includes('said tinder')");

    // An application as the tree of its objects.
    cluster.kubectl_reads(&["create", "-f", "-"], &application()).succeeded();
    browser.value("location.hash = '#/apps/default/shop'");
    let tree = browser.until(&format!("{nodes}.some((name) => name.startsWith('site-')) && {nodes}"));
    let tree: Vec<&str> = tree.as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    assert_eq!(tree[..2], ["shop", "site"]);
    assert_eq!(tree.iter().filter(|name| name.starts_with("site-")).count(), 2, "its ReplicaSet and Pod: {tree:?}");
    assert!(tree.iter().any(|name| name.starts_with("broken-")), "{tree:?}");
    browser.value("[...document.querySelectorAll('button')].find((one) => one.textContent === 'Sync').click()");
    browser.shows("Sync: shop");
    let asked = ["get", "application", "shop", "-o", "jsonpath={.operation.initiatedBy.username}"];
    assert_eq!(cluster.kubectl(&asked).succeeded(), "console");

    // One that is synced indeed.
    browser.value("location.hash = '#/apps/argocd/spark-operator'");
    browser.until(&format!("{nodes}.includes('sparkapplications.sparkoperator.k8s.io')"));
    let synced = ["-n", "argocd", "get", "application", "spark-operator", "-o"];
    let by = [
        &synced[..],
        &["jsonpath={.status.operationState.operation.initiatedBy.username} {.status.operationState.phase}{\"\\n\"}"],
    ]
    .concat();
    browser.value("[...document.querySelectorAll('button')].find((one) => one.textContent === 'Sync').click()");
    cluster.watch(&by, |line| line == "console Succeeded");
    browser.value("location.hash = '#/apps/default/shop'");
    browser.until("document.querySelector('h1').textContent === 'shop'");

    // What cannot be done is said.
    cluster.kubectl(&["delete", "application", "shop"]).succeeded();
    browser.value("[...document.querySelectorAll('button')].find((one) => one.textContent === 'Sync').click()");
    browser.shows("applications.argoproj.io \"shop\" not found");

    // Without a Prometheus there are no dashboards, and it is said what brings one.
    browser.value("location.hash = '#/dashboards/argocd'");
    browser.shows("There is no Prometheus in this cluster");
    browser.shows("services \"prometheus-operated\" not found");
    browser.shows("cargo xtask up --with monitoring brings it");

    // A phone's width: nothing goes beyond it, on any page.
    browser.resize(390, 844);
    let job = format!("#/workflows/spark-jobs/{name}");
    for page in [
        "#/",
        "#/jobs",
        "#/workflows",
        &job,
        "#/apps",
        "#/dashboards",
        "#/dashboards/argocd",
        "#/objects/Pod",
        "#/events",
    ] {
        browser.value(&format!("location.hash = '{page}'"));
        browser.until("document.querySelector('h1') && ![...document.querySelectorAll('.wait')].some((one) => one.checkVisibility())");
        let wide = browser.value("document.documentElement.scrollWidth");
        assert_eq!(wide, 390, "{page}");
    }
    assert!(browser.picture().len() > 5_000);
    // Nothing was forbidden by the page's own policy, and nothing went wrong but what was meant to.
    assert_calm(&browser);
}

/// The page complained of nothing, but for what was not there and was asked for.
fn assert_calm(browser: &Browser) {
    let unmeant: Vec<&str> =
        browser.complaints.iter().map(String::as_str).filter(|one| !one.contains("status of 422")).collect();
    assert!(unmeant.is_empty(), "the page complains: {}", unmeant.join("; "));
}

fn application() -> String {
    let managed = |group: &str, kind: &str, name: &str| json!({"group": group, "version": "v1", "kind": kind, "namespace": "default", "name": name, "status": "Synced"});
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"project": "default", "source": {"repoURL": "file:///nowhere", "path": "shop"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"}},
        "status": {"sync": {"status": "Synced"}, "health": {"status": "Healthy"},
            "resources": [managed("apps", "Deployment", "site"), managed("batch", "Job", "broken")]},
    })
    .to_string()
}

/// A copy of the sample whose stage lasts long enough to be seen on a busy machine too; the path of its folder.
fn longer(cluster: &Cluster) -> String {
    let app = root().join("manifests/apps/hello-spark-operator");
    for file in std::fs::read_dir(app).expect("the sample").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("readable");
        let name = format!("longer/{}", file.file_name().display());
        cluster.write(&name, &text.replace("arguments: [\"10\"]", "arguments: [\"300\"]"));
    }
    cluster.files().join("longer").display().to_string()
}

#[test]
fn a_spark_job_is_followed_and_run_again() {
    let Some(mut browser) = Browser::start() else { return };
    let cluster = Cluster::new("job");
    let link = link(&cluster.run(&["up"]).succeeded());
    browser.resize(1440, 1000);
    browser.open(&link);
    let run = cluster.start(&["run", &longer(&cluster)]);
    browser.value("location.hash = '#/jobs/SparkApplication/spark-jobs/hello-spark-operator'");
    let lanes = "[...document.querySelectorAll('.lane .name')].map((lane) => lane.textContent)";
    let seen = browser.until(&format!("{lanes}.some((lane) => lane.startsWith('stage')) && {lanes}"));
    let seen: Vec<&str> = seen.as_array().into_iter().flatten().filter_map(|lane| lane.as_str()).collect();
    assert_eq!(seen[..2], ["submitted", "driver"]);
    assert!(seen.contains(&"executor 1"), "{seen:?}");

    // Spark's own page has a door of its own.
    let ui =
        browser.until("[...document.querySelectorAll('a.button')].find((one) => one.textContent === 'Spark UI')?.href");
    let (host, path) =
        ui.as_str().and_then(|ui| ui.strip_prefix("http://")).and_then(|ui| ui.split_once('/')).expect("a link");
    let address = host.replace("ui.localhost", "127.0.0.1");
    let (status, page) = asked(&address, &format!("GET /{path}jobs/"), &[format!("Host: {host}")]);
    assert!(status.contains("200") && page.contains("Spark Jobs"), "{status}: {page}");
    let (status, page) = asked(&address, &format!("GET /{path}jobs/"), &[format!("Host: {address}")]);
    assert_eq!((status.as_str(), page.as_str()), ("HTTP/1.1 404 Not Found", ""));

    let state = "document.querySelector('header .badge').textContent";
    browser.until("document.querySelector('.log pre').textContent.includes('Pi is roughly 3.1')");
    browser.until(&format!("{state} === 'COMPLETED'"));
    run.end().succeeded();
    // Executors and stages are still told of when they are gone, with what came after the first look.
    let over = browser.value(lanes);
    let over: Vec<&str> = over.as_array().into_iter().flatten().filter_map(|lane| lane.as_str()).collect();
    assert!(seen.iter().all(|lane| over.contains(lane)), "{seen:?}, then {over:?}");

    let uid = || {
        let words =
            ["-n", "spark-jobs", "get", "sparkapplication", "hello-spark-operator", "-o", "jsonpath={.metadata.uid}"];
        cluster.kubectl(&words).succeeded()
    };
    let first = uid();
    let button =
        |name: &str| format!("[...document.querySelectorAll('button')].find((one) => one.textContent === '{name}')");
    browser.value(&format!("{}.click()", button("Run again")));
    browser.until(&format!("{state} !== 'COMPLETED' && {}", button("Stop")));
    assert_ne!(uid(), first);
    browser.value(&format!("{}.click()", button("Stop")));
    browser.until(&format!("{state} === 'SUSPENDED' && {}", button("Resume")));
    assert_calm(&browser);
}
