//! What pods use, as kubectl shows it, and a Deployment that is scaled by it.

use serde_json::{Value, json};

use crate::program::Cluster;

/// A pod that works as hard as it may, with an autoscaler over it.
const BURN: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: burn}
spec:
  selector: {matchLabels: {app: burn}}
  template:
    metadata: {labels: {app: burn}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox
        command: [sh, -c, "while :; do :; done"]
        resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 200m}}
---
apiVersion: v1
kind: Pod
metadata: {name: calm, labels: {app: calm}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, command: [sleep, "1000"]}]
"#;

const AUTOSCALER: &str = r#"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: burn}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: burn}
  minReplicas: 1
  maxReplicas: 2
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}
"#;

#[test]
fn what_pods_use_is_shown_and_scaled_by() {
    let cluster = Cluster::new("load");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl_reads(&["create", "-f", "-"], BURN).succeeded();
    cluster.kubectl(&["rollout", "status", "deployment/burn", "--timeout=60s"]).succeeded();
    cluster.kubectl(&["wait", "pod/calm", "--for=condition=Ready", "--timeout=60s"]).succeeded();
    cluster.kubectl_reads(&["create", "-f", "-"], AUTOSCALER).succeeded();

    let top = |words: &[&str]| {
        let shown = cluster.kubectl(&[&["top"], words].concat()).succeeded();
        let rows: Vec<Vec<String>> =
            shown.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        rows
    };
    let number =
        |text: &str| text.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse::<u64>().expect("a number");
    let pods = top(&["pods", "--no-headers"]);
    let used = |app: &str| pods.iter().find(|row| row[0].starts_with(app)).map(|row| number(&row[1]));
    assert!(used("burn") > Some(20) && used("calm") < Some(20), "{pods:?}");
    let selected = top(&["pods", "-l", "app=calm", "--containers", "--no-headers"]);
    assert_eq!(selected.iter().map(|row| [&*row[0], &*row[1]]).collect::<Vec<_>>(), [["calm", "main"]]);
    let nodes = top(&["nodes", "--no-headers"]);
    assert_eq!(nodes.len(), 1);
    assert!(nodes[0][0] == format!("{}-0", cluster.name) && number(&nodes[0][1]) > 20, "{nodes:?}");
    let unknown = cluster.kubectl(&["get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/nobody"]);
    assert!(unknown.err.contains("not found"), "{unknown:?}");

    cluster.kubectl(&["wait", "deployment/burn", "--for=jsonpath={.spec.replicas}=2", "--timeout=120s"]).succeeded();
    let told = cluster.kubectl(&[
        "get",
        "events",
        "--field-selector=reason=SuccessfulRescale",
        "-o",
        "jsonpath={.items[0].message}",
    ]);
    let why = "New size: 2; reason: cpu resource utilization (percentage of request) above target";
    assert_eq!(told.succeeded(), why);
    let status = cluster.kubectl(&["get", "hpa", "burn", "-o", "json"]).succeeded();
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let conditions: Vec<Value> = status["status"]["conditions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| json!([one["type"], one["status"], one["reason"]]))
        .collect();
    assert!(conditions.contains(&json!(["ScalingActive", "True", "ValidMetricFound"])), "{conditions:?}");
    assert!(conditions.contains(&json!(["ScalingLimited", "True", "TooManyReplicas"])), "{conditions:?}");
}
