//! Names and services: two servers on the same port, reached by name from a third pod.

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;

use crate::cluster::Cluster;

async fn serve(cluster: &Cluster, name: &str) -> Pod {
    let script =
        format!("mkdir /tmp/www; echo {name} > /tmp/www/index.html; cd /tmp/www; exec python3 -m http.server 80");
    let spec = json!({"containers": [{"name": "main", "image": "python", "command": ["sh", "-c", script],
        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1}}]});
    let pod = cluster.pod(name, spec).await;
    cluster.until(&pod, "ready", |p| crate::cluster::container(p, "main")["ready"] == true).await
}

async fn expose(cluster: &Cluster, name: &str, headless: bool, pods: &[&Pod]) {
    let mut service =
        json!({"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 8080, "targetPort": 80}]}});
    if headless {
        service["spec"]["clusterIP"] = "None".into();
    }
    cluster.create::<Service>(service).await;
    let endpoints: Vec<_> = pods
        .iter()
        .map(|pod| json!({"addresses": [pod.status.as_ref().unwrap().pod_ip], "conditions": {"ready": true}}))
        .collect();
    let slice = json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 80}], "endpoints": endpoints});
    cluster.create::<EndpointSlice>(slice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_answer_by_name_and_in_turn() {
    let cluster = Cluster::start().await;
    let (one, two) = tokio::join!(serve(&cluster, "one"), serve(&cluster, "two"));
    expose(&cluster, "both", false, &[&one, &two]).await;
    expose(&cluster, "direct", true, &[&two]).await;
    cluster.create::<Service>(json!({"metadata": {"name": "empty"}, "spec": {"ports": [{"port": 80}]}})).await;
    let script = r#"
import urllib.request, socket, errno
get = lambda url: urllib.request.urlopen(url, timeout=10).read().decode().strip()
print(sorted({get("http://both:8080/") for _ in range(6)}))
print(get("http://both.default.svc.cluster.local:8080/"), flush=True)
print(get("http://direct.default.svc:80/"))
try:
    get("http://empty:80/")
except Exception as error:
    print(error.reason.errno == errno.ECONNREFUSED)
try:
    socket.gethostbyname("nobody.default.svc.cluster.local")
except socket.gaierror:
    print("no such name")
"#;
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "python", "command": ["python3", "-c", script]}]});
    let pod = cluster.pod("client", spec).await;
    let pod = cluster.until_phase(&pod, "Succeeded").await;
    let log = cluster.logs(&pod, "main").await.unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines[0], "['one', 'two']");
    assert!(["one", "two"].contains(&lines[1]), "{log}");
    assert_eq!(lines[2..], ["two", "True", "no such name"], "{log}");
    cluster.stop().await;
}
