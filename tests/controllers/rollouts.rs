//! `kubectl rollout` over the kinds that have one.

use tinderbox_tests::wire::Served;

use crate::world::World;

fn manifest(kind: &str, image: &str) -> String {
    let service = if kind == "StatefulSet" { "serviceName: app" } else { "revisionHistoryLimit: 5" };
    format!(
        r"
apiVersion: apps/v1
kind: {kind}
metadata: {{name: app, annotations: {{kubernetes.io/change-cause: to {image}}}}}
spec:
  {service}
  selector: {{matchLabels: {{app: app}}}}
  template:
    metadata: {{labels: {{app: app}}}}
    spec: {{containers: [{{name: c, image: {image}}}]}}
"
    )
}

async fn roll_and_go_back(kind: &str, complete: &str) {
    let served = Served::start().await;
    let _world = World::over(&served.server).await;
    let name = format!("{}/app", kind.to_lowercase());
    for image in ["one", "two"] {
        served.apply(&manifest(kind, image)).await;
        let said = served.out(&["rollout", "status", &name, "--timeout=20s"]).await;
        assert!(said.contains(complete), "{said}");
    }
    let history = served.out(&["rollout", "history", &name]).await;
    let rows: Vec<&str> = history.lines().map(str::trim).filter(|line| line.contains("to ")).collect();
    assert_eq!(rows, ["1         to one", "2         to two"], "{history}");
    let first = served.out(&["rollout", "history", &name, "--revision=1"]).await;
    assert!(first.contains("one"), "{first}");

    let said = served.out(&["rollout", "undo", &name]).await;
    assert!(said.contains("rolled back"), "{said}");
    served.out(&["rollout", "status", &name, "--timeout=20s"]).await;
    let image = served.out(&["get", &name, "-o", "jsonpath={.spec.template.spec.containers[*].image}"]).await;
    assert_eq!(image, "one");
    let images = served.out(&["get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].image}"]).await;
    assert_eq!(images, "one");
    served.out(&["rollout", "restart", &name]).await;
    served.out(&["rollout", "status", &name, "--timeout=20s"]).await;
}

#[tokio::test]
async fn of_a_stateful_set() {
    roll_and_go_back("StatefulSet", "partitioned roll out complete: 1 new pods have been updated").await;
}

#[tokio::test]
async fn of_a_daemon_set() {
    roll_and_go_back("DaemonSet", "daemon set \"app\" successfully rolled out").await;
}

#[tokio::test]
async fn of_a_deployment() {
    roll_and_go_back("Deployment", "deployment \"app\" successfully rolled out").await;
}
