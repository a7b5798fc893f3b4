//! Virtual nodes: several of them, the death of one, and what Kubernetes makes of it.

use crate::program::Cluster;
use serde_json::{Value, json};

const CONFIG: &str = "
nodes:
  timing: {renewSeconds: 1, graceSeconds: 3, evictionSeconds: 2}
  pools:
    - name: base
      capacity: {cpu: 1, memory: 2Gi, pods: 20}
      min: 1
    - name: work
      labels: {tier: work}
      taints: [{key: work, effect: NoSchedule}]
      capacity: {cpu: 2, memory: 4Gi, pods: 20}
      min: 2
      max: 2
";

/// Two pods that spread over the nodes for work, and say where they are.
const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {tier: work}
      tolerations: [{key: work, operator: Exists}]
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox
        command: [sh, -c, "echo $NODE $HOST; exec sleep MARKER"]
        env:
        - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
"#;

fn nodes(cluster: &Cluster) -> Vec<Value> {
    let nodes = cluster.run(&["node", "list", "-o", "json"]).json(0);
    nodes.as_array().expect("a list").clone()
}

#[test]
fn a_node_dies_and_comes_back() {
    let cluster = Cluster::of_own_project("nodes");
    cluster.write("tinderbox.yaml", CONFIG);
    cluster.run(&["up"]).succeeded();
    let name = |suffix: &str| format!("{}-{suffix}", cluster.name);
    let known: Vec<Value> =
        nodes(&cluster).iter().map(|node| json!([node["name"], node["cpu"], node["taints"]])).collect();
    let tainted = json!(["work:NoSchedule"]);
    let wanted = [
        json!([name("base-0"), "1", []]),
        json!([name("work-0"), "2", tainted]),
        json!([name("work-1"), "2", tainted]),
    ];
    assert_eq!(known, wanted);

    let marker = 800_000_000 + std::process::id();
    cluster.kubectl_reads(&["create", "-f", "-"], &WEB.replace("MARKER", &marker.to_string())).succeeded();
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).succeeded();
    let template = r#"{range .items[*]}{.metadata.name} {.spec.nodeName} {.status.hostIP}{"\n"}{end}"#;
    let pods = cluster.kubectl(&["get", "pods", "-o", &format!("jsonpath={template}")]).succeeded();
    let mut homes = Vec::new();
    for line in pods.lines() {
        let [pod, node, host] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{pods}") };
        assert_eq!(cluster.kubectl(&["logs", pod]).succeeded(), format!("{node} {host}\n"));
        homes.push((node.to_owned(), pod.to_owned()));
    }
    homes.sort();
    assert_eq!(homes.iter().map(|(node, _)| node.clone()).collect::<Vec<_>>(), [name("work-0"), name("work-1")]);

    let killed = cluster.run(&["node", "kill", &name("work-1"), "-o", "json"]).json(0);
    assert_eq!(json!([killed["node"], killed["power"], killed["already"]]), json!([name("work-1"), false, false]));
    let left = crate::machine::all_with(&format!("sleep\0{marker}")).count();
    assert_eq!(left, 1, "the processes of the dead node are gone, and no others");
    let dead = &homes[1].1;
    let phase = ["get", "pod", dead, "-o", "jsonpath={.status.phase}"];
    assert_eq!(cluster.kubectl(&phase).succeeded(), "Running", "nobody has told the API");
    assert!(cluster.run(&["node", "kill", &name("work-1")]).succeeded().contains("is killed already"));

    let node = format!("node/{}", name("work-1"));
    cluster.kubectl(&["wait", &node, "--for=condition=Ready=Unknown", "--timeout=60s"]).succeeded();
    cluster
        .kubectl(&["wait", "deployment/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=60s"])
        .succeeded();
    let dead_node =
        nodes(&cluster).into_iter().find(|one| one["name"] == name("work-1").as_str()).expect("it is known");
    assert_eq!(json!([dead_node["power"], dead_node["state"]]), json!([false, "Unknown"]));
    let why = cluster.kubectl(&[
        "get",
        "events",
        "--field-selector=reason=TaintManagerEviction",
        "-o",
        "jsonpath={.items[0].message}",
    ]);
    assert_eq!(why.succeeded(), format!("Marking for deletion Pod default/{dead}"));

    cluster.run(&["node", "start", &name("work-1")]).succeeded();
    cluster.kubectl(&["wait", &node, "--for=condition=Ready", "--timeout=60s"]).succeeded();
    // What was marked for deletion ends as soon as somebody is there to end it.
    cluster.kubectl(&["wait", "pod", dead, "--for=delete", "--timeout=60s"]).succeeded();

    let unknown = cluster.run(&["node", "kill", "work-7"]).failed(2);
    let names = ["base-0", "work-0", "work-1"].map(name).join(", ");
    assert!(
        unknown.contains("there is no node called \"work-7\"") && unknown.contains(&format!("nodes: {names}")),
        "{unknown}"
    );
}

#[test]
fn wrong_pools_are_refused_with_their_line() {
    let cluster = Cluster::of_own_project("pools");
    cluster.write("tinderbox.yaml", "nodes:\n  pools:\n    - name: a\n      min: 3\n      max: 2\n");
    let said = cluster.run(&["up"]).failed(2);
    assert!(said.contains("tinderbox.yaml:3:7: nodes.pools[0]: pool `a`: min (3) is more than max (2)"), "{said}");
    assert!(!cluster.home().exists());
}
