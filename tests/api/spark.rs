//! The kinds of the Spark operator, as the manifests define them.

use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::json;
use tinderbox_api::spark::SparkApplication;
use tinderbox_apiserver::auth::User;
use tinderbox_spark::validation;

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
    for kind in ["sparkapplications", "scheduledsparkapplications", "sparkconnects"] {
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

/// What the platform's policy refuses is what a submission would refuse, and nothing else.
#[tokio::test]
async fn the_policy_refuses_what_a_submission_would() {
    let served = served().await;
    let policy = format!("{}/../manifests/platform/spark-operator/admission.yaml", env!("CARGO_MANIFEST_DIR"));
    served.out(&["apply", "-f", &policy]).await;
    let masters = User::authenticated("admin", &["system:masters"]);
    let client = Client::new(served.server.service_as(masters), "default");
    let applications: Api<SparkApplication> = Api::default_namespaced(client);
    let try_out = PostParams { dry_run: true, ..PostParams::default() };
    let port = |port: i32, url: &str| json!({"servicePort": port, "servicePortName": "p", "ingressURLFormat": url});
    let conf = |key: &str, value: &str| json!({"sparkConf": {key: value}});
    let long = "a".repeat(64);
    let cases = [
        ("pi", json!({})),
        (&long[..63], json!({})),
        (&long, json!({})),
        ("1pi", json!({})),
        ("a.b", json!({})),
        ("pi", json!({"executor": {"template": {}}})),
        ("pi", json!({"sparkVersion": "2.4.8", "executor": {"template": {}}})),
        ("pi", json!({"sparkVersion": "10.0", "driver": {"template": {}}})),
        ("pi", json!({"nodeSelector": {"a": "b"}})),
        ("pi", json!({"driver": {"nodeSelector": {"a": "b"}}, "executor": {"nodeSelector": {"a": "b"}}})),
        ("pi", json!({"nodeSelector": {"a": "b"}, "executor": {"nodeSelector": {"a": "b"}}})),
        ("pi", json!({"driverIngressOptions": [port(1, "a"), port(2, "b")]})),
        ("pi", json!({"driverIngressOptions": [port(1, "a"), port(1, "b")]})),
        ("pi", json!({"driverIngressOptions": [port(1, "")]})),
        ("pi", json!({"driverIngressOptions": [port(1, "a"), port(2, "a")]})),
        ("pi", conf("spark.kubernetes.namespace", "default")),
        ("pi", conf("spark.kubernetes.namespace", "other")),
        ("pi", conf("spark.master", "local[*]")),
        ("pi", conf("spark.kubernetes.driver.master", "x")),
        ("pi", conf("spark.kubernetes.container.image", "x")),
        ("pi", conf("spark.kubernetes.executor.container.image", "x")),
        ("pi", conf("spark.kubernetes.container.image.pullPolicy", "Always")),
        ("pi", conf("spark.kubernetes.authenticate.driver.serviceAccountName", "x")),
        ("pi", conf("spark.kubernetes.authenticate.executor.serviceAccountName", "x")),
        ("pi", conf("spark.kubernetes.authenticate.oauthToken", "x")),
        ("pi", conf("spark.kubernetes.authenticate.driver.oauthTokenFile", "x")),
        ("pi", conf("spark.ui.port", "4041")),
    ];
    for (name, spec) in cases {
        let mut app = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "Python", "sparkVersion": "4.0.1", "mainApplicationFile": "local:///a.py", "driver": {}, "executor": {}}});
        for (key, value) in spec.as_object().into_iter().flatten() {
            app["spec"][key] = value.clone();
        }
        let app: SparkApplication = serde_json::from_value(app).unwrap();
        let ours = validation::application(&app);
        match (applications.create(&try_out, &app).await, &ours) {
            (Ok(_), Ok(())) => {}
            (Err(kube::Error::Api(status)), Err(why)) => {
                let words = why.split(": ").next().unwrap();
                assert!(status.message.contains("denied request: "), "{name} {spec}: {}", status.message);
                assert!(status.message.contains(words), "{name} {spec}: {} is not {why}", status.message);
            }
            (answer, _) => panic!("{name} {spec}: the policy says {answer:?}, and a submission {ours:?}"),
        }
    }
}

/// Servers of Spark Connect are not started here, and who wants one is told so.
#[tokio::test]
async fn spark_connect_is_refused_with_its_reason() {
    let served = served().await;
    let policy = format!("{}/../manifests/platform/spark-operator/admission.yaml", env!("CARGO_MANIFEST_DIR"));
    served.out(&["apply", "-f", &policy]).await;
    let server = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "connect"},
        "spec": {"sparkVersion": "4.0.1", "server": {"cores": 1}, "executor": {"instances": 1}}});
    served.out(&["create", "namespace", "spark-jobs"]).await;
    let said = served.kubectl_with(&["-n", "spark-jobs", "create", "-f", "-"], &server.to_string()).await;
    let words = "SparkConnect is not supported by this operator; use a SparkApplication, or upstream's operator";
    assert!(!said.ok && said.err.contains(words), "{said:?}");
    assert!(served.out(&["get", "sparkconn", "-A"]).await.is_empty());
}
