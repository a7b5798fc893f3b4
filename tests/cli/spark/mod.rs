//! Spark as its users run it: `spark-submit` on this machine in cluster mode, and in a pod in client mode.

mod forward;
mod host;
mod loss;

use std::collections::{BTreeMap, BTreeSet};

use forward::Forward;
use host::Host;
use serde_json::json;

use crate::program::{Cluster, root};

const IMAGE: &str = "apache/spark:4.0.1";
const PI: &str = "local:///opt/spark/examples/src/main/python/pi.py";
const NAMESPACE: &str = "spark-jobs";
/// The app whose rights and pod template are used.
const ACCOUNT: &str = "hello-spark-submit";
/// The pod whose driver runs in client mode.
const CLIENT: &str = "in-a-pod";

/// Two small executors, which stay when they have ended.
fn settings() -> Vec<String> {
    [
        "spark.kubernetes.container.image=apache/spark:4.0.1",
        "spark.kubernetes.driver.request.cores=100m",
        "spark.kubernetes.executor.request.cores=100m",
        "spark.kubernetes.executor.deleteOnTermination=false",
        "spark.executor.instances=2",
        "spark.executor.cores=1",
        "spark.executor.memory=512m",
        "spark.driver.memory=512m",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Besides: no node takes the executors before it has a label, the drivers wait for them, and all tell of their classes.
fn held() -> Vec<String> {
    let more = [
        "spark.kubernetes.executor.node.selector.released=yes",
        "spark.scheduler.minRegisteredResourcesRatio=1",
        "spark.scheduler.maxRegisteredResourcesWaitingTime=10m",
        "spark.driver.extraJavaOptions=-Xlog:class+load",
        "spark.executor.extraJavaOptions=-Xlog:class+load",
    ];
    settings().into_iter().chain(more.map(str::to_owned)).collect()
}

/// A cluster with the rights of the app hello-spark-submit.
fn cluster(purpose: &str) -> Cluster {
    let cluster = Cluster::new(purpose);
    cluster.run(&["up"]).succeeded();
    let rights = root().join("manifests/apps/hello-spark-submit/rbac.yaml");
    let words = ["-n", NAMESPACE, "apply", "-f", rights.to_str().expect("plain")];
    cluster.kubectl(&words).succeeded();
    cluster
}

/// A pod that runs `spark-submit` in client mode, the Service under which executors reach it, and their template.
fn in_client_mode() -> String {
    let mut args =
        ["--master=k8s://https://kubernetes.default.svc", "--deploy-mode=client"].map(str::to_owned).to_vec();
    let own = [
        format!("spark.kubernetes.namespace={NAMESPACE}"),
        format!("spark.kubernetes.driver.pod.name={CLIENT}"),
        format!("spark.driver.host={CLIENT}.{NAMESPACE}.svc"),
        "spark.driver.port=7078".to_owned(),
        "spark.driver.blockManager.port=7079".to_owned(),
        "spark.kubernetes.executor.podTemplateFile=/template/pod-template.yaml".to_owned(),
    ];
    args.extend(held().into_iter().chain(own).map(|setting| format!("--conf={setting}")));
    args.extend([PI.replace("local://", ""), "10".to_owned()]);
    let container = json!({"name": "driver", "image": IMAGE, "command": ["/opt/spark/bin/spark-submit"], "args": args,
        "volumeMounts": [{"name": "template", "mountPath": "/template"}],
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": CLIENT, "labels": {"app": CLIENT}}, "spec": {
        "serviceAccountName": format!("{ACCOUNT}-driver"), "restartPolicy": "Never", "containers": [container],
        "securityContext": {"runAsNonRoot": true, "runAsUser": 185, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "template", "configMap": {"name": "template"}}]}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": CLIENT}, "spec": {"clusterIP": "None",
        "selector": {"app": CLIENT}, "ports": [{"name": "rpc", "port": 7078}, {"name": "blocks", "port": 7079}]}});
    let text = std::fs::read_to_string(host::template()).expect("it is there");
    let template = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "template"},
        "data": {"pod-template.yaml": text}});
    json!({"apiVersion": "v1", "kind": "List", "items": [template, service, pod]}).to_string()
}

/// Of each driver's pod the name and the id of its application, once both have asked for two executors.
fn two_drivers(cluster: &Cluster) -> BTreeMap<String, String> {
    let columns =
        "jsonpath={.metadata.ownerReferences[0].name} {.metadata.labels.spark-app-selector} {.metadata.name}{\"\\n\"}";
    let mut executors = BTreeSet::new();
    cluster.watch(&["-n", NAMESPACE, "get", "pods", "-l", "spark-role=executor", "-o", columns], |line| {
        executors.insert(line.to_owned());
        executors.len() == 4
    });
    let pair = |line: &String| {
        let mut words = line.split(' ').map(str::to_owned);
        (words.next().expect("a driver"), words.next().expect("an application"))
    };
    executors.iter().map(pair).collect()
}

/// The web interface of the driver that `spark-submit` made, through an Ingress by its name.
fn look_through_ingress(cluster: &Cluster, drivers: &BTreeMap<String, String>) {
    let (_, id) = drivers.iter().find(|(driver, _)| *driver != CLIENT).expect("the other one");
    let names = "jsonpath={.items[0].metadata.name}";
    let selector = format!("spark-app-selector={id}");
    let service = cluster.kubectl(&["-n", NAMESPACE, "get", "services", "-l", &selector, "-o", names]).succeeded();
    let backend = json!({"service": {"name": service, "port": {"name": "spark-ui"}}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "pi"},
        "spec": {"defaultBackend": backend}});
    cluster.kubectl_reads(&["-n", NAMESPACE, "create", "-f", "-"], &ingress.to_string()).succeeded();
    let port = cluster.state()["ingressPort"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");
    let address = "jsonpath={.status.loadBalancer.ingress[0].ip}{\"\\n\"}";
    cluster.watch(&["-n", NAMESPACE, "get", "ingress", "pi", "-o", address], |line| line == "127.0.0.1");
    let shown = Forward::to(port, "pi.localhost").ask("/api/v1/applications").expect("it was complete before");
    assert_eq!(shown[0]["id"], json!(id), "{shown}");
}

/// Asks the drivers' web interfaces, both through kubectl at once, which application they show.
fn look_at_both(cluster: &Cluster, drivers: &BTreeMap<String, String>) {
    assert_eq!(drivers.len(), 2, "{drivers:?}");
    let forwards: Vec<_> = drivers.iter().map(|(pod, id)| (Forward::new(cluster, pod, 4040), id)).collect();
    for (forward, id) in &forwards {
        let shown = loop {
            if let Some(shown) = forward.ask("/api/v1/applications") {
                break shown;
            }
        };
        assert_eq!((&shown[0]["id"], &shown[1]), (&json!(id), &json!(null)), "{shown}");
    }
}

fn log(cluster: &Cluster, pod: &str) -> String {
    cluster.kubectl(&["-n", NAMESPACE, "logs", pod]).succeeded()
}

/// Of Spark's own classes nearly all must have come from the class-data archive.
fn assert_archived(pod: &str, log: &str) {
    let classes =
        log.lines().filter(|line| line.contains("[class,load] org.apache.spark.") && !line.contains("$Lambda"));
    let (archived, others): (Vec<_>, Vec<_>) = classes.partition(|line| line.contains("source: shared objects file"));
    let from_jars =
        others.iter().filter(|line| line.contains("source: file:") || line.contains("source: jar:")).count();
    let archived = archived.len();
    assert!(archived > 300 && archived > 20 * from_jars, "{pod}: {archived} from the archive, {from_jars} from jars");
}

/// What is true of an application when it has ended.
fn assert_pi(cluster: &Cluster, driver: &str, application: &str) {
    let phase = cluster.ended(&["-n", NAMESPACE, "pod", driver]);
    let said = log(cluster, driver);
    assert_eq!(phase, "Succeeded", "{said}");
    assert!(said.lines().any(|line| line.starts_with("Pi is roughly 3.1")), "{said}");
    assert_archived(driver, &said);
    let selector = format!("spark-role=executor,spark-app-selector={application}");
    let names = "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
    let executors = cluster.kubectl(&["-n", NAMESPACE, "get", "pods", "-l", &selector, "-o", names]).succeeded();
    assert_eq!(executors.lines().count(), 2, "{executors}");
    let mut finished = 0;
    for (executor, id) in executors.lines().zip(1..) {
        assert!(executor.ends_with(&format!("-exec-{id}")), "{executors}");
        let phase = cluster.ended(&["-n", NAMESPACE, "pod", executor]);
        let told = log(cluster, executor);
        assert_eq!(phase, "Succeeded", "{told}");
        assert_archived(executor, &told);
        finished += told.lines().filter(|line| line.contains(" INFO Executor: Finished task ")).count();
    }
    assert_eq!(finished, 10, "tasks of {driver}");
}

#[test]
fn two_drivers_at_once_show_themselves_and_compute_pi() {
    let host = Host::get();
    let cluster = cluster("spark");
    cluster.kubectl_reads(&["-n", NAMESPACE, "create", "-f", "-"], &in_client_mode()).succeeded();
    let submission = host.submit(&cluster, "from-the-host", &held()).env("KUBECONFIG", cluster.kubeconfig()).begin();
    let drivers = two_drivers(&cluster);
    look_at_both(&cluster, &drivers);
    look_through_ingress(&cluster, &drivers);
    cluster.kubectl(&["label", "nodes", "--all", "released=yes"]).succeeded();
    let told = submission.end();
    assert!(told.contains("phase: Succeeded"), "{told}");
    assert!(drivers.contains_key(CLIENT), "{drivers:?}");
    for (driver, application) in &drivers {
        assert_pi(&cluster, driver, application);
    }
}

#[test]
fn a_verb_that_the_drivers_role_lacks_is_named() {
    let host = Host::get();
    let cluster = cluster("forbidden");
    let role = format!("{ACCOUNT}-driver");
    let lacking =
        r#"[{"op": "test", "path": "/rules/0/verbs/1", "value": "get"}, {"op": "remove", "path": "/rules/0/verbs/1"}]"#;
    cluster.kubectl(&["-n", NAMESPACE, "patch", "role", &role, "--type=json", "-p", lacking]).succeeded();

    // With the submitter's own account instead of the administrator's certificate.
    let authority = tempfile::NamedTempFile::new().expect("a file");
    let words = ["-n", NAMESPACE, "get", "configmap", "kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}"];
    std::fs::write(authority.path(), cluster.kubectl(&words).succeeded()).expect("written");
    let token = cluster.kubectl(&["-n", NAMESPACE, "create", "token", ACCOUNT]).succeeded();
    let mut settings = settings();
    settings.push(format!("spark.kubernetes.authenticate.submission.oauthToken={}", token.trim()));
    settings.push(format!("spark.kubernetes.authenticate.submission.caCertFile={}", authority.path().display()));
    settings.push("spark.kubernetes.driver.pod.name=forbidden".to_owned());

    // Spark's client tells of the end, and is content with it.
    let told = host.submit(&cluster, "forbidden", &settings).begin().end();
    assert!(told.contains("phase: Failed") && told.contains("exit code: 1"), "{told}");
    let wanted = format!(
        "pods \"forbidden\" is forbidden: User \"system:serviceaccount:{NAMESPACE}:{role}\" cannot get resource \"pods\" \
         in API group \"\" in the namespace \"{NAMESPACE}\""
    );
    let log = log(&cluster, "forbidden");
    assert!(log.contains(&wanted), "{log}");
}
