//! `explain` on a cluster: the first cause of what waits or failed, each asked for by name and all together.

use crate::program::Cluster;

const THINGS: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: image, namespace: spark-jobs}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "registry.invalid/none:1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: code, namespace: spark-jobs}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox, command: [sh, -c, "echo no such table: flights; exit 3"]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: good, namespace: spark-jobs}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox, command: ["true"]}]}}}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: account, namespace: spark-jobs}
spec:
  type: Python
  sparkVersion: 4.0.1
  image: apache/spark:4.0.1
  mainApplicationFile: local:///app/a.py
  driver: {serviceAccount: sparky}
  executor: {}
"#;

#[test]
fn what_waits_or_failed_is_explained() {
    let cluster = Cluster::new("explain");
    cluster.run(&["up"]).succeeded();
    cluster.kubectl_reads(&["apply", "-f", "-"], THINGS).succeeded();
    cluster.kubectl(&["-n", "spark-jobs", "wait", "--for=condition=Complete", "job/good", "--timeout=60s"]).succeeded();
    cluster.kubectl(&["-n", "spark-jobs", "wait", "--for=condition=Failed", "job/code", "--timeout=60s"]).succeeded();
    cluster
        .kubectl(&[
            "-n",
            "spark-jobs",
            "wait",
            "--for=jsonpath={.status.applicationState.state}=FAILED",
            "sparkapplication/account",
            "--timeout=60s",
        ])
        .succeeded();
    cluster.watch(&["-n", "spark-jobs", "get", "pods", "-l", "job-name=image"], |line| {
        line.contains("ErrImagePull") || line.contains("ImagePullBackOff")
    });

    let all = cluster.run(&["explain", "-o", "json"]).json(0);
    let told: Vec<String> = all["subjects"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{}/{}: {}", one["kind"], one["name"], one["cause"]["kind"]).replace('"', ""))
        .collect();
    assert_eq!(
        told,
        ["Job/code: exit-code", "Job/image: image", "SparkApplication/account: missing-object"],
        "what is well is not told of"
    );
    let account = cluster.run(&["explain", "account"]).succeeded();
    insta::assert_snapshot!(cluster.tidy(&account), @r#"
    sparkapplication/account in spark-jobs: FAILED
      cause:
        sparkapplication/account: there is no service account sparky in namespace spark-jobs
      what shows it:
        sparkapplication/account: failed to submit spark application: failed to run spark-submit: pods "account-driver" is forbidden: error looking up service account spark-jobs/sparky: serviceaccount "sparky" not found
      what to change:
        create serviceaccount/sparky in namespace spark-jobs, or name another one in spec.driver.serviceAccount
    "#);
    let code = cluster.run(&["explain", "job/code", "--namespace", "spark-jobs"]).succeeded();
    assert!(
        code.contains("container main ended with exit code 3") && code.contains("no such table: flights"),
        "{code}"
    );
    let good = cluster.run(&["explain", "good"]).succeeded();
    insta::assert_snapshot!(cluster.tidy(&good), @"
    job/good in spark-jobs: Complete
      nothing is wrong with it
    ");
    let near = cluster.run(&["explain", "accounts"]).failed(2);
    assert!(near.contains("hint: did you mean \"account\"?"), "{near}");
    cluster.run(&["down"]).succeeded();
    let down = cluster.run(&["explain"]).failed(1);
    assert!(down.contains("is not up"), "{down}");
}
