//! The kinds of the Spark operator, as the manifests define them.

use crate::wire::Served;

const APPLICATION: &str = r#"
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: pi}
spec:
  type: Python
  sparkVersion: 4.0.1
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  volumes: [{name: scratch, emptyDir: {sizeLimit: 1}}]
  driver:
    cores: 1
    template: {spec: {containers: [{image: own, unheardOf: 1}]}}
    env: [{name: A, valueFrom: {configMapKeyRef: {key: k}}}]
  executor: {instances: 2}
"#;

async fn served() -> Served {
    let served = Served::start().await;
    for kind in ["sparkapplications", "scheduledsparkapplications"] {
        let path = format!("{}/../manifests/platform/spark-operator/crds/{kind}.yaml", env!("CARGO_MANIFEST_DIR"));
        served.out(&["apply", "--server-side", "-f", &path]).await;
        let name = format!("crd/{kind}.sparkoperator.k8s.io");
        served.out(&["wait", "--for=condition=Established", &name, "--timeout=20s"]).await;
    }
    served
}

#[tokio::test]
async fn applications_are_kept_with_their_templates_and_listed_in_columns() {
    let served = served().await;
    served.apply(APPLICATION).await;
    let get = async |path: &str| served.out(&["get", "sparkapp", "pi", "-o", &format!("jsonpath={path}")]).await;
    assert_eq!(get("{.spec.driver.template.spec.containers[0].unheardOf}").await, "1");
    assert_eq!(get("{.spec.volumes[0].emptyDir.sizeLimit}").await, "1");
    let status = r#"{"status":{"driverInfo":{},"executionAttempts":2,"applicationState":{"state":"RUNNING"}}}"#;
    served.out(&["patch", "sparkapp", "pi", "--subresource=status", "--type=merge", "-p", status]).await;
    let table = served.out(&["get", "sparkapp"]).await;
    let words: Vec<&str> = table.split_whitespace().collect();
    assert_eq!(words[..8], ["NAME", "SUSPEND", "STATUS", "ATTEMPTS", "START", "FINISH", "AGE", "pi"]);
    assert_eq!(words[8..10], ["RUNNING", "2"]);
    assert!(served.out(&["get", "scheduledsparkapp"]).await.is_empty());
}

#[tokio::test]
async fn what_nobody_knows_is_pruned_and_what_is_wrong_is_refused() {
    let served = served().await;
    served.apply(APPLICATION).await;
    let patch = |patch: &'static str| ["patch", "sparkapp", "pi", "--type=merge", "-p", patch];
    let unknown = served.kubectl(&patch(r#"{"spec":{"driver":{"cpus":1}}}"#)).await;
    assert!(unknown.ok && unknown.err.contains("unknown field \"spec.driver.cpus\""), "{unknown:?}");
    for (wrong, words) in [
        (r#"{"spec":{"type":"Perl"}}"#, "Unsupported value: \"Perl\""),
        (
            r#"{"spec":{"executor":{"instances":0}}}"#,
            "spec.executor.instances in body should be greater than or equal to 1",
        ),
        (r#"{"spec":{"mainApplicationFile":null}}"#, "spec.mainApplicationFile: Required value"),
        (
            r#"{"spec":{"volumes":[{"emptyDir":{"sizeLimit":"much"},"name":"v"}]}}"#,
            "spec.volumes[0].emptyDir.sizeLimit",
        ),
    ] {
        let said = served.kubectl(&patch(wrong)).await;
        assert!(!said.ok && said.err.contains(words), "{said:?}");
    }
}
