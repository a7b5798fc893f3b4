//! Mistakes of the user's: each is told with what was meant, where it stands and what to do, and nothing is done.

use crate::program::Cluster;

/// What the program says on standard error, and that it ends with the code for wrong use.
fn wrong(cluster: &Cluster, words: &[&str]) -> String {
    cluster.tidy(&cluster.run(words).failed(2))
}

#[test]
fn wrong_words_are_told_with_the_near_one() {
    let cluster = Cluster::new("words");
    insta::assert_snapshot!(wrong(&cluster, &["stauts"]), @r"
        error: unrecognized subcommand 'stauts'

          tip: a similar subcommand exists: 'status'

        Usage: cargo xtask [OPTIONS] <COMMAND>

        For more information, try '--help'.
    ");
    insta::assert_snapshot!(wrong(&cluster, &["run", "hello-spark-submti"]), @r#"
        error: there is no app and no file called "hello-spark-submti"
        hint: did you mean "hello-spark-submit"?
    "#);
    insta::assert_snapshot!(wrong(&cluster, &["run", "kubernetes"]), @r#"
        error: there is no app and no file called "kubernetes"
        hint: apps: flights-nightly, flights-report, hello-argo-workflow-template, hello-argo-workflows, hello-spark-operator, hello-spark-operator-argo-workflows, hello-spark-operator-dynamic-allocation, hello-spark-operator-history, hello-spark-operator-nightly, hello-spark-operator-pod-template, hello-spark-operator-prometheus, hello-spark-operator-python-zip, hello-spark-operator-restarts, hello-spark-operator-volume-shuffle, hello-spark-submit, hello-spark-submit-argo-workflows, nightly-flights
    "#);
    insta::assert_snapshot!(wrong(&cluster, &["e2e", "flight-report"]), @r#"
        error: there is no scenario called "flight-report"
        hint: did you mean "flights-report"?
    "#);
    insta::assert_snapshot!(wrong(&cluster, &["bench", "up-frist"]), @r#"
        error: there is no figure called "up-frist"
        hint: did you mean "up-first"?
    "#);
    insta::assert_snapshot!(wrong(&cluster, &["up", "--dryrun"]), @r"
        error: unexpected argument '--dryrun' found

          tip: a similar argument exists: '--dry-run'

        Usage: cargo xtask up --dry-run

        For more information, try '--help'.
    ");
    insta::assert_snapshot!(wrong(&cluster, &["status", "-o", "yaml"]), @r"
        error: invalid value 'yaml' for '--output <FORM>'
          [possible values: table, json]

        For more information, try '--help'.
    ");
    insta::assert_snapshot!(wrong(&cluster, &["run", "x", "--timeout", "soon"]), @r#"
        error: invalid value 'soon' for '--timeout <TIME>': "soon" is not a duration such as 90s or 3m

        For more information, try '--help'.
    "#);
    insta::assert_snapshot!(wrong(&cluster, &["run", "x", "--at", "2026-01-31"]), @r#"
        error: invalid value '2026-01-31' for '--at <TIME>': failed to find time component, which is required for parsing a timestamp

        For more information, try '--help'.
    "#);
    cluster.assert_gone();
}

#[test]
fn a_name_that_no_cluster_can_have_is_refused() {
    let mut cluster = Cluster::new("names");
    cluster.name = "Not_A_Name".to_owned();
    insta::assert_snapshot!(wrong(&cluster, &["up"]), @r#"
        error: "NAME" cannot be the name of a cluster: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
    "#);
}

#[test]
fn what_needs_a_cluster_says_how_to_start_it() {
    let cluster = Cluster::new("absent");
    let expected = "error: cluster NAME is not up\nhint: start it with `cargo xtask up --name NAME`";
    for words in [&["logs", "x"][..], &["kubeconfig"], &["kubectl", "get", "pods"], &["run", "hello-spark-submit"]] {
        assert_eq!(cluster.tidy(&cluster.run(words).failed(1)), expected, "{words:?}");
    }
    insta::assert_snapshot!(cluster.tidy(&cluster.run(&["status"]).succeeded()), @"cluster NAME: there is none");
    insta::assert_snapshot!(cluster.tidy(&cluster.run(&["down"]).succeeded()), @"cluster NAME: there is nothing to take away");
    insta::assert_snapshot!(cluster.tidy(&cluster.run(&["down", "--all"]).succeeded()), @"there are no clusters");
    cluster.assert_gone();
}

#[test]
fn broken_files_are_told_with_line_and_column_before_anything_is_started() {
    let cluster = Cluster::of_own_project("files");
    cluster.write("tinderbox.yaml", "port: 1\nimages:\n- name: x\n  form: python:3\n");
    insta::assert_snapshot!(wrong(&cluster, &["up"]), @r"
        error: DIR/files/tinderbox.yaml:4:3: images[0]: unknown field `form`, expected one of `name`, `from`, `packages`, `pip`, `jars`, `files`, `env`, `user`, `folders`, `entrypoint`, `command`, `workingDir`
    ");
    cluster.write("tinderbox.yaml", "port: [1\n");
    insta::assert_snapshot!(wrong(&cluster, &["up"]), @"error: DIR/files/tinderbox.yaml:1:7: port: invalid type: sequence, expected u16");
    cluster.write("tinderbox.yaml", "port: 0\n");
    cluster
        .write("manifests/clusters/local/a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n lost: 1\n");
    insta::assert_snapshot!(wrong(&cluster, &["up"]), @r"
        error: DIR/files/manifests/clusters/local/a.yaml:5:2: while parsing a block mapping, did not find expected key
    ");
    cluster.write("manifests/clusters/local/a.yaml", "kind: Namespace\nmetadata: {name: a}\n");
    insta::assert_snapshot!(wrong(&cluster, &["up"]), @r"
        error: DIR/files/manifests/clusters/local/a.yaml:1:1: this is no Kubernetes object: apiVersion is missing
    ");
    cluster.write("scenario.yaml", "submit:\n  app: x\nbudget: never\n");
    insta::assert_snapshot!(wrong(&cluster, &["e2e", "scenario.yaml"]), @r#"
        error: scenario.yaml:1:1: "never" is not a duration such as 90s or 3m
    "#);
    cluster.assert_gone();
}

#[test]
fn what_the_api_rejects_is_told_with_the_field_and_its_place() {
    let cluster = Cluster::of_own_project("rejected");
    cluster.run(&["up"]).succeeded();
    let rejected = |text: &str| {
        cluster.write("a.yaml", text);
        cluster.tidy(&cluster.run(&["run", "a.yaml"]).failed(1))
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n";
    let invalid =
        rejected(&format!("{pod}  restartPolicy: Sometimes\n  containers:\n  - name: main\n    image: busybox\n"));
    insta::assert_snapshot!(invalid, @r#"
        error: a.yaml:6:3: the API rejects pod/a: Pod "a" is invalid: spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"
    "#);
    let unknown = rejected(&format!("{pod}  containers:\n  - name: main\n    imag: busybox\n"));
    insta::assert_snapshot!(unknown, @r#"
        error: a.yaml:8:5: the API rejects pod/a: failed to create typed patch object (/a; /v1, Kind=Pod): .spec.containers[0].imag: field not declared in schema
    "#);
    let kind = rejected("apiVersion: batch/v1\nkind: Jobb\nmetadata:\n  name: a\n");
    insta::assert_snapshot!(kind, @r#"
        error: a.yaml:2:1: the API knows no kind Jobb in batch/v1
        hint: did you mean "Job"?
    "#);
    let group = rejected("apiVersion: sparkoperator.example/v1\nkind: App\nmetadata:\n  name: a\n");
    insta::assert_snapshot!(group, @r"
        error: a.yaml:2:1: the API knows no kind App in sparkoperator.example/v1
        hint: look at apiVersion and kind, or apply the CustomResourceDefinition of the kind first
    ");
    let namespace = rejected("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: nowhere\n");
    insta::assert_snapshot!(namespace, @r#"
        error: a.yaml:1:1: the API rejects configmap/a: namespaces "nowhere" not found
    "#);
    assert_eq!(cluster.kubectl(&["get", "pods", "-o", "name"]).succeeded(), "");
}

/// Applications of which each has a fault, and one that only is too large.
const DOOMED: &str = r#"apiVersion: v1
kind: ServiceAccount
metadata: {name: poor, namespace: spark-jobs}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: nobody, namespace: spark-jobs}
spec:
  type: Python
  sparkVersion: 4.0.1
  image: apache/spark:4.0.1
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  driver:
    serviceAccount: nobody
    memory: 900g
  executor: {coreRequest: "700"}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: poor, namespace: spark-jobs}
spec:
  type: Python
  sparkVersion: 4.0.1
  image: apache/spark:4.0.1
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  driver: {serviceAccount: poor}
  executor: {}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: ScheduledSparkApplication
metadata: {name: never, namespace: spark-jobs}
spec:
  schedule: "61 * * * *"
  timeZone: Mars/Olympus
  template:
    type: Scala
    sparkVersion: 4.0.1
    image: apache/spark:4.0.1
    mainApplicationFile: local:///opt/spark/examples/jars/spark-examples.jar
    mainClass: org.apache.spark.examples.SparkPi
    sparkConf:
      spark.master: local
    driver: {serviceAccount: hello-spark-operator-driver}
    executor: {}
"#;

#[test]
fn what_cannot_succeed_is_not_submitted() {
    let cluster = Cluster::new("doomed");
    cluster.run(&["up"]).succeeded();
    cluster.write("doomed.yaml", DOOMED);
    let told = cluster.run(&["run", "doomed.yaml"]).failed(2);
    let told: Vec<&str> = told.lines().collect();
    let (warned, refused): (Vec<&str>, Vec<&str>) = told.iter().partition(|line| line.contains("the largest node"));
    let nodes = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].status.allocatable.memory}"]).succeeded();
    assert!(
        warned
            .iter()
            .any(|line| line.contains(&format!("its driver asks for 1260Gi memory, and the largest node has {nodes}"))),
        "{told:?}"
    );
    assert!(warned.iter().any(|line| line.contains("its executor asks for 700 cpu")), "{told:?}");
    insta::assert_snapshot!(refused.join("\n"), @r#"
    error: this cannot succeed, and is not submitted:
      doomed.yaml:14:5: the ServiceAccount nobody is not there in the namespace spark-jobs
      doomed.yaml:26:12: a driver cannot act as the ServiceAccount poor: in the namespace spark-jobs it may not create pods, get pods, list pods, watch pods, delete pods, deletecollection pods, create configmaps, deletecollection configmaps, list persistentvolumeclaims, deletecollection persistentvolumeclaims, deletecollection services; give it a Role that says so
      doomed.yaml:33:3: the schedule "61 * * * *" cannot be read: end of range (61) above maximum (59): 61
      doomed.yaml:34:3: there is no time zone "Mars/Olympus"
      doomed.yaml:35:3: sparkConf key "spark.master" is not allowed: this value is managed by the operator
    "#);
    let kinds = "sparkapplications,scheduledsparkapplications,serviceaccounts";
    let there = cluster.kubectl(&["get", kinds, "-n", "spark-jobs", "-o", "name"]).succeeded();
    assert!(!["nobody", "poor", "never"].iter().any(|name| there.contains(name)), "{there}");
}
