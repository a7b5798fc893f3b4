//! Looking: get with its forms, watches, and describe of what really runs.

use serde_json::{Value, json};

use super::{pod, rows, wait_for};
use crate::program::Cluster;

/// A description without its padding.
fn plain(text: &str) -> String {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// Describes an object; these texts must be there in this order.
pub(super) fn described(cluster: &Cluster, words: &[&str], texts: &[&str]) {
    let said = plain(&cluster.out(&[&["describe"], words].concat()));
    let mut rest = said.as_str();
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else { panic!("no {text:?} in its place in:\n{said}") };
        rest = after;
    }
}

#[test]
fn a_watch_shows_what_a_pod_goes_through() {
    let cluster = Cluster::up("watch");
    let mut waits = pod("waits", json!({"name": "main", "image": "busybox"}));
    waits["spec"]["nodeSelector"] = json!({"no": "node"});
    cluster.apply(&waits);
    let watch = cluster.begin(&["get", "pods", "-w", "-o", "wide", "--output-watch-events"]);
    let head = watch.until("waits");
    assert_eq!(plain(&head[0]), "EVENT NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES\n");
    assert_eq!(plain(&head[1]).split(" 0 ").next(), Some("ADDED waits 0/1 Pending"));

    let container =
        |name: &str| json!({"name": name, "image": "busybox", "command": ["sh", "-c", wait_for("/tmp/go")]});
    let mut staged = pod("staged", container("main"));
    staged["spec"]["initContainers"] = json!([container("first")]);
    cluster.apply(&staged);
    let mut seen = watch.until("Init:0/1");
    for (container, statuses, next) in
        [("first", "initContainerStatuses", "Running"), ("main", "containerStatuses", "Completed")]
    {
        let runs = format!("--for=jsonpath={{.status.{statuses}[0].state.running}}");
        cluster.out(&["wait", "pod/staged", &runs, "--timeout=60s"]);
        cluster.out(&["exec", "staged", "-c", container, "--", "touch", "/tmp/go"]);
        seen.extend(watch.until(next));
    }
    cluster.out(&["delete", "pod", "staged"]);
    seen.extend(watch.until("DELETED"));

    let table: Vec<Vec<&str>> = seen.iter().map(|line| line.split_whitespace().collect()).collect();
    let mut states: Vec<[&str; 2]> = table.iter().map(|row| [row[2], row[3]]).collect();
    states.dedup();
    let wanted =
        [["0/1", "Pending"], ["0/1", "Init:0/1"], ["0/1", "PodInitializing"], ["1/1", "Running"], ["0/1", "Completed"]];
    assert_eq!(states, wanted, "{seen:#?}");
    let running = table.iter().find(|row| row[3] == "Running").expect("it ran");
    assert_eq!(running[7], format!("{}-0", cluster.name));
    assert!(running[6].starts_with("10.244."), "{running:?}");
}

#[test]
fn tables_of_all_namespaces_and_with_more_columns() {
    let cluster = Cluster::up("tables");
    cluster.out(&["create", "namespace", "other"]);
    cluster.script("here", "sleep 1000");
    cluster.out(&["run", "there", "-n", "other", "--image=busybox", "--restart=Never", "--", "true"]);
    cluster.out(&["wait", "pod/there", "-n", "other", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"]);
    let all = cluster.out(&["get", "pods", "-A"]);
    let cells: Vec<_> = rows(&all).into_iter().map(|row| row[..4].join(" ")).collect();
    assert_eq!(cells, ["default here 1/1 Running", "other there 0/1 Completed"]);
    let node = cluster.out(&["get", "nodes", "-o", "wide"]);
    let row = &rows(&node)[0];
    assert_eq!((row[1], row[4]), ("Ready", "v1.34.2"));
    let address = cluster.json(&["get", "pod", "here"])["status"]["podIP"].clone();
    let wide = cluster.out(&["get", "pod", "here", "-o", "wide"]);
    assert_eq!(rows(&wide)[0][5..7], [address.as_str().expect("it has one"), &format!("{}-0", cluster.name)]);
    let sorted =
        cluster.out(&["get", "pods", "-A", "--sort-by=.status.phase", "-o", "custom-columns=N:.metadata.name"]);
    assert_eq!(sorted, "N\nhere\nthere\n");
    let ended = cluster.out(&["get", "pods", "-A", "--field-selector=status.phase!=Running", "-o", "name"]);
    assert_eq!(ended, "pod/there\n");
}

#[test]
fn describe_tells_state_and_events() {
    let cluster = Cluster::up("describe");
    let node = format!("{}-0", cluster.name);
    cluster.apply(&json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}));
    let mut keeper = pod(
        "keeper",
        json!({"name": "main", "image": "busybox", "command": ["sleep", "1000"],
        "ports": [{"containerPort": 80}], "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}}),
    );
    keeper["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    cluster.apply(&keeper);
    cluster.out(&["wait", "pod/keeper", "--for=condition=Ready", "--timeout=60s"]);
    let address = cluster.json(&["get", "pod", "keeper"])["status"]["podIP"].as_str().expect("it has one").to_owned();

    described(
        &cluster,
        &["pod", "keeper"],
        &[
            &format!("Node: {node}/"),
            "Status: Running",
            &format!("IP: {address}"),
            "State: Running",
            "Ready: True",
            "cpu: 200m",
            "/data from data (rw)",
            "Ready True",
            "ClaimName: data",
            "QoS Class: Burstable",
            "Normal Scheduled",
            &format!("Successfully assigned default/keeper to {node}"),
            "Normal Created",
            "kubelet Created container: main",
            "kubelet Started container main",
        ],
    );
    described(
        &cluster,
        &["pvc", "data"],
        &[
            "StorageClass: standard",
            "Status: Bound",
            "Capacity: 1Gi",
            "Used By: keeper",
            "Normal WaitForFirstConsumer",
            "Normal ProvisioningSucceeded",
        ],
    );
    described(
        &cluster,
        &["node", &node],
        &[
            "Ready True",
            "KubeletReady",
            &format!("Hostname: {node}"),
            "Kubelet Version: v1.34.2",
            "default keeper 100m",
            "cpu 100m",
            "Normal Starting",
            "kubelet Starting kubelet.",
            "NodeReady",
        ],
    );

    cluster.out(&["expose", "pod", "keeper", "--port=8080", "--target-port=80"]);
    let slices = [
        "wait",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=keeper",
        "--for=jsonpath={.endpoints[0].addresses[0]}",
    ];
    cluster.out(&slices);
    described(
        &cluster,
        &["service", "keeper"],
        &[
            "Selector: app=keeper",
            "Type: ClusterIP",
            "IP: 10.96.",
            "Port: <unset> 8080/TCP",
            "TargetPort: 80/TCP",
            &format!("Endpoints: {address}:80"),
        ],
    );
    cluster.out(&["create", "job", "once", "--image=busybox", "--", "true"]);
    cluster.out(&["wait", "job/once", "--for=condition=complete", "--timeout=60s"]);
    described(
        &cluster,
        &["job", "once"],
        &[
            "Completions: 1",
            "Completed At:",
            "Pods Statuses: 0 Active (0 Ready) / 1 Succeeded / 0 Failed",
            "Image: busybox",
            "job-controller Created pod: once-",
            "job-controller Job completed",
        ],
    );
}

#[test]
fn a_deployment_is_described_with_its_sets() {
    let cluster = Cluster::up("sets");
    cluster.out(&["create", "deployment", "web", "--image=busybox", "--replicas=2", "--", "sleep", "1000"]);
    cluster.out(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let set = rows(&cluster.out(&["get", "replicasets"]))[0][0].to_owned();
    described(
        &cluster,
        &["deployment", "web"],
        &[
            "Replicas: 2 desired | 2 updated | 2 total | 2 available | 0 unavailable",
            "StrategyType: RollingUpdate",
            "Image: busybox",
            "Available True MinimumReplicasAvailable",
            "Progressing True NewReplicaSetAvailable",
            &format!("NewReplicaSet: {set} (2/2 replicas created)"),
            &format!("deployment-controller Scaled up replica set {set} from 0 to 2"),
        ],
    );
    let all = plain(&cluster.out(&["get", "all", "-o", "wide"]));
    for row in [format!("replicaset.apps/{set} 2 2 2"), "deployment.apps/web 2/2 2 2".to_owned()] {
        assert!(all.contains(&row), "no {row:?} in:\n{all}");
    }
    let events = cluster.json(&["get", "events", "--field-selector=involvedObject.kind=ReplicaSet"]);
    let made = |event: &Value| event["message"].as_str().is_some_and(|text| text.starts_with("Created pod: web-"));
    assert_eq!(events["items"].as_array().expect("a list").iter().filter(|event| made(event)).count(), 2);
}
