//! Jobs that lose executors. The executors of one fit on no node: the pool grows for them, one of its nodes dies under the job, Spark goes
//! on with another executor on another node, and in the end all of these nodes leave. An executor of the other takes more memory than
//! it may.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::NAMESPACE;
use crate::machine::Timed;
use crate::program::{Cluster, root};

const CONFIG: &str = "
nodes:
  timing: {renewSeconds: 1, graceSeconds: 4, evictionSeconds: 1}
  pools:
    - name: base
      capacity: {cpu: 2, memory: 4Gi}
      min: 1
    - name: work
      labels: {tier: work}
      taints: [{key: work, effect: NoSchedule}]
      capacity: {cpu: 1, memory: 2Gi}
      max: 3
      idleSeconds: 2
";

/// Tasks that take their time and no processor: from when both executors are there until a third one has been.
const JOB: &str = r#"
import time
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
seen = set()
while len(seen) < 4:
    total = context.parallelize(range(4), 4).map(lambda number: time.sleep(0.2) or number).sum()
    assert total == 6, total
    # The driver is one of them.
    before = len(seen)
    seen |= {(info.host(), info.port()) for info in context._jsc.sc().statusTracker().getExecutorInfos()}
    if before < 3 <= len(seen):
        print("both are here", flush=True)
print("done with a third")
spark.stop()
"#;

/// A task that takes all the memory that there is, the first time.
const HUNGRY: &str = r#"
from pyspark import TaskContext
from pyspark.sql import SparkSession

def work(number):
    if TaskContext.get().attemptNumber() == 0:
        bytearray(b"x" * (4 << 30))
    return number

spark = SparkSession.builder.getOrCreate()
print("sum is", spark.sparkContext.parallelize([7], 1).map(work).sum())
spark.stop()
"#;

/// An application and its script; `executor` is merged into what is said of executors, and `conf` is Spark's.
fn application(name: &str, script: &str, executor: Value, conf: Value) -> String {
    let driver = json!({"cores": 1, "coreRequest": "100m", "memory": "512m",
        "serviceAccount": "hello-spark-operator-driver", "configMaps": [{"name": name, "path": "/job"}]});
    let mut whole = json!({"instances": 1, "cores": 1, "coreRequest": "100m", "memory": "512m"});
    whole.as_object_mut().expect("an object").extend(executor.as_object().cloned().expect("an object"));
    let spec = json!({"type": "Python", "mode": "cluster", "sparkVersion": "4.0.1", "image": super::IMAGE,
        "mainApplicationFile": "local:///job/job.py", "restartPolicy": {"type": "Never"}, "sparkConf": conf,
        "driver": driver, "executor": whole});
    let application = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": name}, "spec": spec});
    let job = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"job.py": script}});
    json!({"apiVersion": "v1", "kind": "List", "items": [job, application]}).to_string()
}

/// Gives drivers their rights, and submits.
fn submit(cluster: &Cluster, objects: &str) {
    let rights = root().join("manifests/apps/hello-spark-operator/rbac.yaml");
    cluster.kubectl(&["-n", NAMESPACE, "apply", "-f", rights.to_str().expect("plain")]).succeeded();
    cluster.kubectl_reads(&["-n", NAMESPACE, "create", "-f", "-"], objects).succeeded();
}

/// Waits for the good end of an application; what its driver said.
fn completed(cluster: &Cluster, name: &str) -> String {
    let application = format!("sparkapplication/{name}");
    let state = "--for=jsonpath={.status.applicationState.state}=COMPLETED";
    cluster.kubectl(&["-n", NAMESPACE, "wait", &application, state, "--timeout=300s"]).succeeded();
    super::log(cluster, &format!("{name}-driver"))
}

/// Waits until a pod has said something.
fn said(cluster: &Cluster, pod: &str, text: &str) {
    let running = format!("pod/{pod}");
    let words = ["-n", NAMESPACE, "wait", &running, "--for=condition=Ready", "--timeout=120s"];
    cluster.kubectl(&words).succeeded();
    let mut command = Command::new("timeout");
    command.args(["300", "kubectl", "--kubeconfig"]).arg(cluster.kubeconfig());
    command.args(["-n", NAMESPACE, "logs", "-f", pod]).stdout(Stdio::piped());
    let mut kubectl = Timed(command.spawn().expect("coreutils are there"));
    let lines = BufReader::new(kubectl.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let seen: Vec<String> = lines.take_while(|line| !line.contains(text)).collect();
    assert!(kubectl.0.try_wait().expect("it can be asked").is_none(), "no {text:?} in\n{}", seen.join("\n"));
}

/// The messages of events of one reason, in all namespaces.
fn events(cluster: &Cluster, reason: &str) -> Vec<String> {
    let field = format!("--field-selector=reason={reason}");
    let words = ["get", "events", "-A", &field, "-o", "jsonpath={range .items[*]}{.message}{\"\\n\"}{end}"];
    cluster.kubectl(&words).succeeded().lines().map(str::to_owned).collect()
}

#[test]
fn a_job_outlives_a_node_of_a_pool_that_grows_and_shrinks() {
    let cluster = Cluster::new("loss");
    cluster.write("nodes.yaml", CONFIG);
    let config = cluster.files().join("nodes.yaml");
    cluster.run(&["up", "--config", config.to_str().expect("plain")]).succeeded();
    let tolerations = json!([{"key": "work", "operator": "Exists"}]);
    let executor =
        json!({"instances": 2, "coreRequest": "600m", "nodeSelector": {"tier": "work"}, "tolerations": tolerations});
    submit(&cluster, &application("loss", JOB, executor, json!({})));
    let name = |suffix: &str| format!("{}-{suffix}", cluster.name);

    said(&cluster, "loss-driver", "both are here");
    let grown = events(&cluster, "TriggeredScaleUp");
    assert!(grown.iter().any(|text| text.starts_with("pod triggered scale-up: [{work 0->")), "{grown:?}");

    let dead = name("work-0");
    cluster.run(&["node", "kill", &dead]).succeeded();
    let node = format!("node/{dead}");
    cluster.kubectl(&["wait", &node, "--for=condition=Ready=Unknown", "--timeout=60s"]).succeeded();
    // For Spark a pod that nobody ends still runs. That it will not come back has to be said, as on any Kubernetes.
    cluster.kubectl(&["taint", "nodes", &dead, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"]).succeeded();
    let log = completed(&cluster, "loss");
    assert!(log.contains("done with a third"), "{log}");
    let executors = events(&cluster, "SparkExecutorRunning");
    assert_eq!(executors.len(), 3, "{executors:?}");

    // It comes back after all; then there is nothing that keeps a node of this pool.
    cluster.kubectl(&["taint", "nodes", &dead, "node.kubernetes.io/out-of-service-"]).succeeded();
    cluster.run(&["node", "start", &dead]).succeeded();
    cluster.kubectl(&["wait", "node", "-l", "tier=work", "--for=delete", "--timeout=120s"]).succeeded();
    let nodes: Value = cluster.run(&["node", "list", "-o", "json"]).json(0);
    assert_eq!(json!([nodes[0]["name"], nodes[1]]), json!([name("base-0"), null]));
    let gone = events(&cluster, "ScaleDown");
    assert!(gone.iter().any(|text| text == "node removed by cluster autoscaler"), "{gone:?}");
    let empty = events(&cluster, "ScaleDownEmpty");
    assert!(empty.contains(&format!("Scale-down: removing empty node \"{}\"", name("work-1"))), "{empty:?}");
}

#[test]
fn an_executor_that_takes_too_much_memory_is_killed_and_replaced() {
    let cluster = Cluster::new("oom");
    cluster.run(&["up"]).succeeded();
    let kept = json!({"spark.kubernetes.executor.deleteOnTermination": "false"});
    submit(&cluster, &application("hungry", HUNGRY, json!({}), kept));
    let log = completed(&cluster, "hungry");
    assert!(log.contains("sum is 7"), "{log}");
    assert!(log.contains("137(SIGKILL, possible container OOM)"), "{log}");
    let first = "spark-role=executor,spark-exec-id=1";
    let terminated = ".items[0].status.containerStatuses[0].state.terminated";
    let end = format!("jsonpath={{.items[0].metadata.name}} {{{terminated}.reason}} {{{terminated}.exitCode}}");
    let killed = cluster.kubectl(&["-n", NAMESPACE, "get", "pods", "-l", first, "-o", &end]).succeeded();
    let (pod, why) = killed.split_once(' ').expect("a name");
    assert_eq!(why, "OOMKilled 137");
    let state = format!("jsonpath={{.status.executorState['{pod}']}}");
    let told = cluster.kubectl(&["-n", NAMESPACE, "get", "sparkapplication", "hungry", "-o", &state]).succeeded();
    assert_eq!(told, "FAILED");
}
