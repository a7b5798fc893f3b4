//! `up --with monitoring`: a real Prometheus finds everything, every panel and alert has data after a few runs, alerts fire for one
//! that fails on purpose, and Prometheus' own judge reads every endpoint.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::console::{dashboards, link};
use crate::output::{compare, documented};
use crate::program::Cluster;

/// A workflow of a template, an application that lasts longer than it takes to be found, and an application whose executors cannot start.
const RUNS: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: says, namespace: spark-jobs}
spec:
  entrypoint: main
  templates:
    - name: main
      script: {image: busybox, command: [sh], source: "echo said"}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: said, namespace: spark-jobs}
spec: {workflowTemplateRef: {name: says}}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: refused, namespace: spark-jobs}
spec:
  entrypoint: main
  templates:
    - name: main
      script: {image: busybox, command: [sh], source: "exit 3"}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: lasting, namespace: spark-jobs}
spec:
  type: Python
  sparkVersion: 4.0.1
  image: apache/spark:4.0.1
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  arguments: ["400"]
  sparkConf:
    # What executors tell of their memory comes with their heartbeats.
    spark.executor.heartbeatInterval: 1s
  driver:
    cores: 1
    coreRequest: 200m
    memory: 512m
    serviceAccount: hello-spark-operator-driver
    securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
  executor:
    instances: 1
    cores: 1
    coreRequest: 200m
    memory: 512m
    securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: doomed, namespace: spark-jobs}
spec:
  type: Python
  sparkVersion: 4.0.1
  image: apache/spark:4.0.1
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  sparkConf:
    spark.executor.maxNumFailures: "1"
    spark.kubernetes.executor.deleteOnTermination: "false"
  driver:
    cores: 1
    coreRequest: 200m
    memory: 512m
    serviceAccount: hello-spark-operator-driver
    securityContext: &closed {allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
  executor: {javaOptions: "-javaagent:/nothing.jar", instances: 1, cores: 1, coreRequest: 200m, memory: 512m, securityContext: *closed}
"#;

/// An application whose only object fails, and one whose object the API refuses, also the second time.
const SYNCS: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: broken, namespace: argocd}
spec:
  project: default
  source: {repoURL: https://git.example.com/spark-platform.git, path: tests/cli/data/broken}
  destination: {server: https://kubernetes.default.svc, namespace: default}
operation: {sync: {}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: refused, namespace: argocd}
spec:
  project: default
  source: {repoURL: https://git.example.com/spark-platform.git, path: tests/cli/data/refused}
  destination: {server: https://kubernetes.default.svc, namespace: default}
operation: {sync: {}, retry: {limit: 1, backoff: {duration: 10s}}}
"#;

/// What is scraped, each by its port of the node.
const EXPORTERS: [u16; 4] = [9701, 9702, 9703, 9704];
/// What Prometheus' judge has against upstream's names and texts.
const STYLE: [&str; 3] = ["should not", "should have", "no help text"];

/// What Prometheus answers to a path.
fn ask(cluster: &Cluster, path: &str) -> Value {
    let service = "/api/v1/namespaces/monitoring/services/prometheus-operated:9090/proxy/api/v1";
    let text = cluster.kubectl(&["get", "--raw", &format!("{service}{path}")]).succeeded();
    serde_json::from_str(&text).expect("JSON")
}

/// What Prometheus' judge says of a text: nothing is wrong, or only names are not as it likes them.
fn judge(text: &str) -> Vec<String> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus, is one of the tests' judges");
    promtool.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let said = promtool.wait_with_output().expect("ended");
    let complaints = String::from_utf8_lossy(&said.stderr).into_owned();
    // 3 is for names, 1 for what cannot be read.
    assert!(matches!(said.status.code(), Some(0 | 3)), "{complaints}\n{text}");
    complaints.lines().map(str::to_owned).collect()
}

#[test]
fn dashboards_show_what_ran_and_alerts_fire() {
    let cluster = Cluster::new("monitoring");
    let link = link(&cluster.run(&["up", "--with", "monitoring"]).succeeded());
    let refused = cluster.run(&["up", "--with", "monitering"]).failed(2);
    assert!(refused.contains("did you mean \"monitoring\"?"), "{refused}");

    cluster.run(&["run", "hello-spark-operator"]).succeeded();
    cluster.kubectl_reads(&["apply", "-f", "-"], RUNS).succeeded();
    cluster.kubectl_reads(&["apply", "-f", "-"], SYNCS).succeeded();
    let wait = |namespace: &str, object: &str, condition: &str| {
        let wait = ["-n", namespace, "wait", object, &format!("--for=jsonpath={condition}"), "--timeout=300s"];
        cluster.kubectl(&wait).succeeded();
    };
    wait("spark-jobs", "workflow/said", "{.status.phase}=Succeeded");
    wait("spark-jobs", "workflow/refused", "{.status.phase}=Failed");
    wait("spark-jobs", "sparkapplication/lasting", "{.status.applicationState.state}=COMPLETED");
    wait("argocd", "application/broken", "{.status.health.status}=Degraded");
    wait("argocd", "application/refused", "{.status.operationState.phase}=Failed");
    wait("spark-jobs", "sparkapplication/doomed", "{.status.applicationState.state}=FAILED");

    // Every query of every panel that is not upstream's alone has data.
    let checked = cluster.run(&["dashboards", "check", "--wait", "120s", "-o", "json"]).json(0);
    compare("dashboards check", &documented()["dashboards check"], &checked);
    let queries = checked["queries"].as_array().expect("a list");
    let of = |answer: &str| queries.iter().filter(|query| query["answer"] == answer).count();
    assert!(of("data") > 100 && of("data") + of("upstreamOnly") == queries.len(), "{checked}");

    dashboards::are_drawn(&link);

    // What failed on purpose is told, each alert as soon as its rule is looked at.
    let end = Instant::now() + Duration::from_secs(60);
    for name in ["SparkApplicationFailed", "SparkDriverFailed", "SparkExecutorsLost", "WorkflowFailed", "SyncFailed"] {
        loop {
            let alerts = ask(&cluster, "/alerts");
            let all = alerts["data"]["alerts"].as_array().expect("a list");
            if all.iter().any(|alert| alert["state"] == "firing" && alert["labels"]["alertname"] == name) {
                break;
            }
            assert!(Instant::now() < end, "{name} does not fire: {alerts}");
        }
    }

    // Every target that there is answers; those of drivers go with them.
    let targets = ask(&cluster, "/targets?state=active");
    let mut pools: Vec<&str> = Vec::new();
    for target in targets["data"]["activeTargets"].as_array().expect("a list") {
        assert_eq!(target["health"], "up", "{target}");
        pools.push(target["scrapePool"].as_str().expect("a text"));
    }
    pools.sort_unstable();
    let all = ["argocd", "kube-apiserver", "kube-state-metrics", "prometheus", "spark-operator", "workflow-controller"];
    assert_eq!(pools, all.map(|name| format!("serviceMonitor/monitoring/{name}/0")));

    for port in EXPORTERS {
        let ask =
            format!("exec 3<>/dev/tcp/10.244.0.1/{port}; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3");
        let exec =
            ["-n", "monitoring", "exec", "prometheus-k8s-0", "-c", "config-reloader", "--", "bash", "-c", ask.as_str()];
        let answer = cluster.kubectl(&exec).succeeded();
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        let complaints = judge(text);
        assert!(complaints.iter().all(|one| STYLE.iter().any(|style| one.contains(style))), "{complaints:?}");
    }
    assert_eq!(judge(&cluster.kubectl(&["get", "--raw", "/metrics"]).succeeded()), Vec::<String>::new());

    // A monitor that cannot be is told, and the others stay.
    let broken = r#"{"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"name": "broken", "namespace": "spark-jobs"},
        "spec": {"selector": {}, "podMetricsEndpoints": [{"scheme": "ftp"}]}}"#;
    cluster.kubectl_reads(&["apply", "-f", "-"], broken).succeeded();
    let told = ["-n", "monitoring", "wait", "prometheus/k8s", "--for=condition=Reconciled=false", "--timeout=60s"];
    cluster.kubectl(&told).succeeded();
}
